"""One program kept alive.

```
starting ──answers──▶ up ──dies, or does not answer for 20 s (then killed)──▶ waiting ──backoff──▶ starting
                         └──stopped by somebody who holds it down (steering.py)──▶ held ──let go──▶ starting
```
The backoff doubles from 0.2 s to 10 s and starts anew after half a minute of good health, or when it was held.
"""

import asyncio
import contextlib
import logging
import subprocess
import time
from collections.abc import Awaitable, Callable

import psutil

from deploy.local import process
from deploy.local.layout import Layout
from deploy.local.problem import StackError
from deploy.local.process import Program

log = logging.getLogger("deploy.local")

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
GOOD_HEALTH_SECONDS = 30.0
SILENT_SECONDS = 20.0
# A death is seen at once; only silence has to be asked for.
CHECK_EVERY_SECONDS = 5.0
LOOK_EVERY_SECONDS = 0.1
TRIES_AT_FIRST = 3


class Supervised:
    """Starts a program, watches it, starts it again."""

    def __init__(
        self,
        name: str,
        layout: Layout,
        prepare: Callable[[], Program],
        answers: Callable[[], Awaitable[bool]],
        *,
        is_alive: Callable[[], Awaitable[bool]] | None = None,
        start_seconds: float = 60.0,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        """`prepare` is called before every start: it clears what a crash left and says how to start.

        `answers` tells whether the program does its work; `start_seconds` is how long it may take to begin.
        `is_alive` is asked from then on, where "not now" is a sign of life too (default: `answers`).
        """
        self.name = name
        self.state = "new"
        self.restarts = 0
        self._layout = layout
        self._prepare = prepare
        self._answers = answers
        self._is_alive = is_alive or answers
        self._start_seconds = start_seconds
        self._silent_seconds = silent_seconds
        self._program: Program | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._pause = FIRST_PAUSE_SECONDS

    @property
    def pid(self) -> int | None:
        """The running process."""
        return self._child.pid if self._child and self._child.poll() is None else None

    async def start(self) -> None:
        """Starts it and waits until it answers. Raises a sentence when it does not after a few tries."""
        for _ in range(TRIES_AT_FIRST):
            if await self._begin():
                return
            await asyncio.sleep(FIRST_PAUSE_SECONDS)
        self.state = "failed"
        raise StackError(f"{self.name} did not start ({self._last_words()}): see {self._layout.log(self.name)}.")

    async def watch(self) -> None:
        """Keeps it alive until cancelled."""
        while True:
            up_since = time.monotonic()
            await self._until_it_fails()
            if time.monotonic() - up_since > GOOD_HEALTH_SECONDS:
                self._pause = FIRST_PAUSE_SECONDS
            self.restarts += 1
            if not await self._was_held():
                self.state = "waiting"
                await asyncio.sleep(self._pause)
                self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
            try:
                await self._begin()
            except (StackError, OSError, psutil.Error) as problem:  # a full disk, say: it may pass
                log.warning("%s could not be started: %s", self.name, problem)

    async def stop(self) -> None:
        """Stops it by its own signal, killing it when that takes too long."""
        self.state = "stopping"
        if self._child is not None and self._program is not None:
            await asyncio.to_thread(process.wait_gone, self._child, self._program)
        with contextlib.suppress(FileNotFoundError):
            self._layout.pid_file(self.name).unlink()
        self.state = "stopped"

    async def _was_held(self) -> bool:
        """Waits while somebody holds it down; whether somebody did."""
        held = self._layout.held(self.name)
        if not held.exists():
            return False
        self.state = "held"
        while held.exists():
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        self._pause = FIRST_PAUSE_SECONDS
        return True

    async def _begin(self) -> bool:
        """One start; True once it answers."""
        self.state = "starting"
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            await asyncio.to_thread(self._child.wait)
        self._program = await asyncio.to_thread(self._prepare)
        log.info("%s starts", self.name)
        self._child = process.spawn(self._program, self._layout.log(self.name), self._layout.marker)
        process.remember(self._layout.pid_file(self.name), self._child.pid)
        deadline = time.monotonic() + self._start_seconds
        while time.monotonic() < deadline and self._child.poll() is None:
            if await self._answers():
                self.state = "up"
                log.info("%s is up, process %d", self.name, self._child.pid)
                return True
            await asyncio.sleep(0.05)
        return False

    async def _until_it_fails(self) -> None:
        """Returns when the process is gone, or has been silent for too long and was killed."""
        heard_at = asked_at = time.monotonic()
        while self._child is not None and (code := self._child.poll()) is None:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            if time.monotonic() - asked_at < min(CHECK_EVERY_SECONDS, self._silent_seconds / 4):
                continue
            answered = await self._is_alive()
            asked_at = time.monotonic()
            if answered:
                heard_at, self.state = asked_at, "up"
            elif asked_at - heard_at > self._silent_seconds:
                log.warning("%s has not answered for %.0f s: killed", self.name, asked_at - heard_at)
                self._child.kill()
        log.warning("%s ended with code %s", self.name, code if self._child else None)

    def _last_words(self) -> str:
        """The last line of its log."""
        try:
            lines = self._layout.log(self.name).read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1][:300] if lines else "it said nothing"
