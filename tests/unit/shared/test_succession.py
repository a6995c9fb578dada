"""Who has an agency has the dossiers of those that ended in it, in every service."""

import pytest

from shared.auth import HUB_AUDIENCE, Caller
from shared.succession import Successions


def a_caller(*agencies: str) -> Caller:
    return Caller("c", "desk", frozenset(), agencies, HUB_AUDIENCE, "t", 0.0, 0.0, "c", None)


@pytest.mark.parametrize(
    ("own", "widened"),
    [
        (("H21.05",), ("H21.05", "H08.15")),
        (("H21",), ("H21", "H08.15", "H08.16")),
        (("H08",), ("H08",)),  # has them anyhow
        (("H08.16",), ("H08.16",)),  # who has ended has not what its successor has
        (("*",), ("*",)),
        ((), ()),
    ],
)
def test_a_caller_has_what_ended_in_its_agencies(own: tuple[str, ...], widened: tuple[str, ...]) -> None:
    successions = Successions()
    assert successions.widen(a_caller(*own)).agencies == own
    successions.take({"items": {"H08.15": "H21.05", "H08.16": "H21"}})
    assert successions.widen(a_caller(*own)).agencies == widened


def test_what_is_not_so_any_more_is_forgotten() -> None:
    successions = Successions()
    successions.take({"items": {"H08.15": "H21.05"}})
    assert successions.widen(a_caller("H21")).agencies == ("H21", "H08.15")
    successions.take({"items": {"H08.15": "H22.05"}})
    assert successions.widen(a_caller("H21")).agencies == ("H21",)
