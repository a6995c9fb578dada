"""The stack starts again after `kill -9` of anything."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from deploy.local import process
from deploy.local.layout import Layout
from tests.support import servers

pytestmark = pytest.mark.timeout(300)


class LocalStack:
    """One private stack of this test, driven by the command as a person does it."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m deploy.local …` with servers of its own, whatever the test run uses."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        command = [sys.executable, "-m", "deploy.local", *arguments, "--dir", str(self.layout.folder)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)

    def up(self, *only: str) -> None:
        """Starts it, and insists."""
        done = self.run("up", "--free-ports", "--only", ",".join(only))
        assert done.returncode == 0, done.stdout + done.stderr

    def process(self, name: str) -> psutil.Process:
        """The running process of a program."""
        found = process.recall(self.layout.pid_file(name))
        assert found is not None, f"{name} does not run"
        return found

    def kill(self, name: str) -> int:
        """kill -9; the id of who died."""
        victim = self.process(name)
        victim.send_signal(signal.SIGKILL)
        victim.wait(5)
        return victim.pid

    def is_well(self) -> bool:
        """All its programs are ready."""
        return self.run("status").returncode == 0

    @property
    def stack(self) -> dict[str, str]:
        """What stack.json says."""
        return dict(json.loads((self.layout.folder / "stack.json").read_text()))


@pytest.fixture
def local_stack() -> Iterator[LocalStack]:
    """A stack in an empty folder; nothing of it is left afterwards."""
    with servers.folder() as folder:
        one = LocalStack(folder / "run")
        yield one
        one.run("down", "--erase")
        assert list(process.leftovers(one.layout.marker)) == []


def eventually(question: Callable[[], bool], seconds: float = 120) -> None:
    """Asks until the answer is yes."""
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.2)


async def _count(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        await connection.execute("INSERT INTO kept VALUES (1)")
        return int(await connection.fetchval("SELECT count(*) FROM kept"))
    finally:
        await connection.close()


async def test_everything_comes_back_after_kill_9(local_stack: LocalStack) -> None:
    local_stack.up("postgres", "kafka", "sandbox")
    assert await _count(local_stack.stack["postgres_admin"]) == 1

    died = {name: local_stack.kill(name) for name in ("postgres", "kafka", "sandbox")}
    eventually(local_stack.is_well)
    assert all(local_stack.process(name).pid != pid for name, pid in died.items())
    assert await _count(local_stack.stack["postgres_admin"]) == 2

    orphan = local_stack.process("sandbox").pid
    died = {name: local_stack.kill(name) for name in ("supervisor", "postgres")}
    local_stack.up("postgres", "kafka", "sandbox")
    assert not psutil.pid_exists(orphan)
    assert local_stack.is_well()
    assert await _count(local_stack.stack["postgres_admin"]) == 3

    assert local_stack.run("down").returncode == 0
    assert list(process.leftovers(local_stack.layout.marker)) == []


async def test_an_empty_or_stale_pid_file_does_not_keep_postgres_from_starting(local_stack: LocalStack) -> None:
    local_stack.up("postgres")
    pid_file = local_stack.layout.folder / "postgres/data/postmaster.pid"
    for left in ("", f"{os.getpid()}\n"):
        local_stack.run("down")
        pid_file.write_text(left)
        local_stack.up("postgres")
    assert await _count(local_stack.stack["postgres_admin"]) == 1


def test_a_second_up_finds_the_stack_running(local_stack: LocalStack) -> None:
    local_stack.up("postgres")
    first = local_stack.process("postgres").pid
    local_stack.up("postgres")
    assert local_stack.process("postgres").pid == first


def test_a_port_that_was_taken_meanwhile_is_given_up_for_another(local_stack: LocalStack) -> None:
    local_stack.up("postgres")
    local_stack.run("down")
    kept = json.loads((local_stack.layout.folder / "ports.json").read_text())["postgres"]
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", kept))
        listener.listen()
        local_stack.up("postgres")
    assert json.loads((local_stack.layout.folder / "ports.json").read_text())["postgres"] != kept


def test_a_machine_without_java_is_told_so_in_one_sentence(local_stack: LocalStack, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.local", "up", "--free-ports", "--only", "kafka"]
    environment = {"PATH": str(tmp_path)}
    command += ["--dir", str(local_stack.layout.folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "apt-get install" in done.stderr
