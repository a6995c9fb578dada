"""The README's table of settings is complete."""

import re
from pathlib import Path

from console.settings import Settings

README = Path(__file__).parents[3] / "services" / "console" / "README.md"


def test_every_setting_stands_in_the_readme() -> None:
    named = set(re.findall(r"^\| `HUB_([A-Z_]+)`", README.read_text("utf-8"), re.MULTILINE))
    assert named == {name.upper() for name in Settings.model_fields}
