"""The README's table of settings is complete."""

import re
from pathlib import Path

from sandbox.settings import Settings

README = Path(__file__).parents[3] / "services" / "sandbox" / "README.md"


def test_the_readme_names_every_setting_and_no_other() -> None:
    named = set(re.findall(r"`HUB_([A-Z_]+)`", README.read_text("utf-8").split("## Controls")[0]))
    assert named == {name.upper() for name in Settings.model_fields}
