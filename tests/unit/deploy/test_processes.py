"""A process is known by its id and its start time."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local import process
from deploy.local.process import Program


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that sleeps, started as the stack starts its own."""
    program = Program("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path)
    child = process.spawn(program, tmp_path / "sleeper.log", marker=str(tmp_path))
    yield child
    child.kill()
    child.wait()


def test_a_process_is_recalled_by_id_and_start(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    pid_file = tmp_path / "sleeper.json"
    process.remember(pid_file, sleeper.pid)
    found = process.recall(pid_file)
    assert found is not None
    assert found.pid == sleeper.pid


def test_a_stranger_with_the_same_id_is_not_ours(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    pid_file = tmp_path / "sleeper.json"
    pid_file.write_text(json.dumps({"pid": sleeper.pid, "started": 1.0}))
    assert process.recall(pid_file) is None


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"pid": "x"}', '{"pid": 999999999, "started": 1}'])
def test_a_torn_or_stale_pid_file_names_nobody(torn: str, tmp_path: Path) -> None:
    pid_file = tmp_path / "torn.json"
    pid_file.write_text(torn)
    assert process.recall(pid_file) is None


def test_leftovers_are_found_by_their_folder_without_a_pid_file(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert [found.pid for found in process.leftovers(str(tmp_path))] == [sleeper.pid]
    assert list(process.leftovers(str(tmp_path / "other"))) == []


def test_a_stopped_process_is_ended_too(sleeper: subprocess.Popen[bytes]) -> None:
    stopped = psutil.Process(sleeper.pid)
    stopped.suspend()
    begun = time.monotonic()
    process.end([stopped], signal.SIGTERM, 5)
    assert time.monotonic() - begun < 4
    assert not stopped.is_running() or stopped.status() == psutil.STATUS_ZOMBIE


def test_a_program_sees_nothing_of_our_environment_but_what_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_SECRET_OF_THE_CALLER", "x")
    show = "import os, json; print(json.dumps(dict(os.environ)))"
    program = Program("show", [sys.executable, "-c", show], tmp_path, {"HUB_PORT": "1"})
    process.spawn(program, tmp_path / "show.log", marker="m").wait()
    seen = json.loads((tmp_path / "show.log").read_text())
    assert set(seen) == {"PATH", "HOME", "LANG", "LC_ALL", "HUB_PORT", process.MARKER}
