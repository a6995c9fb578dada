"""What cannot be played is said in one sentence, with exit code 2."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sandbox.__main__ import app

DATA = Path(__file__).parents[2] / "data" / "binh_dinh_2023"
PERIOD = ("--province", "H08", "--from", "2023-01-01", "--to", "2023-12-25")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--data", str(DATA), *PERIOD, "--scale", "1/0"), "The scale '1/0' is not a number.\n"),
        (("--data", str(DATA), *PERIOD, "--scale", "2"), "The scale must be above 0 and at most 1.\n"),
        (("--data", str(DATA), *PERIOD, "--scale", "0.0000001"), "At this scale no dossier is left.\n"),
        (("--data", "nowhere", *PERIOD), "There is no appendix_1_dossiers.csv in nowhere.\n"),
    ],
)
def test_an_order_that_cannot_be_played_is_refused_in_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    outcome = CliRunner().invoke(app, ["replay", *arguments])
    assert (outcome.exit_code, outcome.stderr) == (2, sentence)


def test_credentials_that_are_not_there_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "clients.json"
    arguments = ["replay", "--data", str(DATA), *PERIOD, "--scale", "0.002", "--credentials", str(missing)]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"{missing} does not hold the clients bootstrap and operator")
