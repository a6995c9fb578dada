"""The worker's loop: takes intents that readers and routes wrote, calls remote systems, writes what came of it.

A step leases some intents (database time), works on them and returns how many. A remote system's failure makes
the loop wait; a bug is counted, logged with an incident and tried again later, never skipped.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from shared.errors import HubError
from shared.telemetry import COUNTERS, log

_LONGEST_PAUSE_SECONDS = 5.0


class Worker:
    """Calls `step` again and again: at once while it finds work, else when woken or after `idle_seconds`."""

    def __init__(
        self,
        name: str,
        step: Callable[[], Awaitable[int]],
        *,
        idle_seconds: float = 0.5,
        wake: asyncio.Event | None = None,
    ) -> None:
        self.name = name
        self.wake = wake or asyncio.Event()
        self._step = step
        self._idle_seconds = idle_seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin working, in the background."""
        self._task = asyncio.create_task(self._run(), name=f"worker {self.name}")

    async def stop(self) -> None:
        """Stop at once; leases run out and the work is taken up again."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        failures = 0
        while True:
            self.wake.clear()
            try:
                worked = await self._step()
                failures = 0
            except HubError as fault:
                failures += 1
                worked = 0
                log.warning("worker_waits", worker=self.name, code=fault.code, fault=fault.internal)
            except Exception:
                failures += 1
                worked = 0
                COUNTERS.bugs.labels(f"worker {self.name}").inc()
                log.exception("worker_failed", worker=self.name)
            if failures:
                await asyncio.sleep(min(0.2 * 2 ** min(failures, 10), _LONGEST_PAUSE_SECONDS))
            elif not worked:
                # Not `wait_for`: in Python 3.11 it swallows a cancellation that comes together with the wake-up.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._idle_seconds):
                        await self.wake.wait()
