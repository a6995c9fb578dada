"""House style that no tool of others checks: documents name what is there, what is suppressed says why."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_LISTED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
FILES = [name for name in _LISTED if (ROOT / name).exists()]
_MODULE = re.compile(r"`([\w./-]+\.py)`")
_SUPPRESSION = re.compile(r"#\s*(?:noqa|type: ignore)\b(.*)$", re.MULTILINE)
_WHY = re.compile(r".*\s[-#]\s\S")


@pytest.mark.parametrize("document", [name for name in FILES if name.endswith(".md")])
def test_every_module_that_a_document_names_is_there(document: str) -> None:
    """A service's README names its own modules; whatever has a folder before it is looked for everywhere."""
    own = f"{Path(document).parent}/" if document.startswith("services/") else ""
    named = set(_MODULE.findall((ROOT / document).read_text()))
    missing = {
        name
        for name in named
        if not any(f"/{it}".endswith(f"/{name}") for it in FILES if "/" in name or it.startswith(own))
    }
    assert not missing


def test_every_suppression_says_why() -> None:
    silent = {
        f"{name}: {found[0]}"
        for name in FILES
        if name.endswith(".py") and not name.startswith("tests/")
        for found in _SUPPRESSION.finditer((ROOT / name).read_text())
        if not _WHY.match(found[1])
    }
    assert not silent
