"""The limits of files and functions."""

from pathlib import Path

from deploy import limits


def test_long_files_and_functions_are_named(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("def f() -> None:\n" + "    pass\n" * 45 + "x = 1\n" * 400)
    found = list(limits.too_long(path))
    assert len(found) == 2
    assert "446 lines" in found[0]
    assert "f has 46 lines" in found[1]
