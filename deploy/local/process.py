"""Starting, finding and ending ordinary processes.

A process id alone says nothing: after a crash the system gives it to somebody else. So a process is known by
its id together with its start time, kept in a pid file, and everything the stack starts carries the stack's
folder in its environment (`LGSP_STACK`), by which leftovers are found whose pid file was never written.
"""

import contextlib
import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

MARKER = "LGSP_STACK"
Question = Callable[[], bool]
# The clock of a process's start is rounded to 1/100 s; two looks at the same process may differ by as much.
SAME_START_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user a program runs as when the stack itself runs as root."""

    name: str
    uid: int
    gid: int

    @classmethod
    def unprivileged(cls) -> "Account | None":
        """`postgres` where the system knows it, else `nobody`; None when we are not root: then nothing is
        dropped.
        """
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(name, entry.pw_uid, entry.pw_gid)
        return None


@dataclass(frozen=True, slots=True)
class Program:
    """What to start: nothing of the caller's environment reaches it but what `environment` says."""

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15.0


def base_environment() -> dict[str, str]:
    """What every program gets: a search path, a home, a UTF-8 locale."""
    return {
        "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
    }


def spawn(program: Program, log: Path, marker: str) -> subprocess.Popen[bytes]:
    """Starts the program in a session of its own (a Ctrl-C in the terminal is not for it), output
    appended to `log`.
    """
    rotate(log)
    identity: dict[str, Any] = {}
    if program.account is not None:
        identity = {"user": program.account.uid, "group": program.account.gid, "extra_groups": []}
    with log.open("ab") as output:
        return subprocess.Popen(
            list(program.command),
            cwd=program.folder,
            env={**base_environment(), **program.environment, MARKER: marker},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **identity,
        )


def rotate(log: Path, max_bytes: int = 64 * 1024 * 1024) -> None:
    """Keeps one older log: a stack that lives for weeks must not fill the disk with its restarts."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > max_bytes:
            log.replace(log.with_suffix(".log.1"))


def remember(pid_file: Path, pid: int) -> None:
    """Writes id and start time so that a later stack can tell this process from a stranger with the same
    id.
    """
    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:  # died at once; whoever started it sees that by itself
        return
    scratch = pid_file.with_suffix(".new")
    scratch.write_text(json.dumps({"pid": pid, "started": started}))
    scratch.replace(pid_file)


def recall(pid_file: Path) -> psutil.Process | None:
    """The process of a pid file if it is still the same one, running; None for a stale, torn or missing
    file.
    """
    try:
        remembered = json.loads(pid_file.read_text())
        process = psutil.Process(int(remembered["pid"]))
        same = abs(process.create_time() - float(remembered["started"])) < SAME_START_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


def leftovers(marker: str) -> Iterator[psutil.Process]:
    """Processes that carry the stack's marker, whoever started them; not the calling process nor its
    ancestors.
    """
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid not in ours and process.environ().get(MARKER) == marker:
                yield process


def end(processes: Sequence[psutil.Process], first: signal.Signals, seconds: float) -> None:
    """Asks each process to stop and kills what is still there after `seconds`; returns when all are gone."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(first)
            process.send_signal(signal.SIGCONT)  # a stopped process would not see the signal
    _, alive = psutil.wait_procs(list(processes), timeout=seconds)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=10)


def wait_gone(process: subprocess.Popen[bytes], program: Program) -> None:
    """Stops a program started by us and reaps it."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(program.stop_signal)
        process.send_signal(signal.SIGCONT)
    try:
        process.wait(program.stop_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until(ready: Question, process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Asks `ready` until it says yes; False when the process died or the time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        if ready():
            return True
        time.sleep(0.05)
    return False
