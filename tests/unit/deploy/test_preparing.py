"""Which Python the environment is made with."""

import stat
import sys
from pathlib import Path

import pytest

from deploy import preparing


def an_interpreter(path: Path, *, exit_code: int) -> Path:
    """A program that answers every question with this exit code."""
    path.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_distributions_python_is_taken_where_it_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = an_interpreter(tmp_path / "python3", exit_code=0)
    monkeypatch.setattr(preparing, "DISTRIBUTIONS_PYTHON", theirs)
    assert preparing.interpreter() == theirs


@pytest.mark.parametrize("exists", [True, False], ids=["too old or incomplete", "not there"])
def test_otherwise_the_one_that_runs_the_setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool) -> None:
    theirs = tmp_path / "python3"
    if exists:
        an_interpreter(theirs, exit_code=1)
    monkeypatch.setattr(preparing, "DISTRIBUTIONS_PYTHON", theirs)
    assert preparing.interpreter() == sys.executable


def test_an_interpreter_that_is_too_old_makes_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert preparing.makes_environments(sys.executable)
    monkeypatch.setattr(preparing, "OLDEST_PYTHON", (sys.version_info.major, sys.version_info.minor + 1))
    assert not preparing.makes_environments(sys.executable)
