"""Grouped commits: many callers' rows in one transaction, each caller answered after the commit.

For append-only rows only (the exchange log): nobody's row can fail another's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from shared.errors import Overloaded

T = TypeVar("T")
R = TypeVar("R")


class Grouped(Generic[T, R]):
    """`write` gets everything that came while the last group was being written, and answers in order."""

    def __init__(
        self,
        write: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        max_group: int = 500,
        max_waiting: int = 5000,
    ) -> None:
        self._write = write
        self._max_group = max_group
        self._max_waiting = max_waiting
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._filled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin writing groups, in the background."""
        self._task = asyncio.create_task(self._run(), name="grouped commits")

    async def stop(self) -> None:
        """Write what waits, then stop."""
        while self._waiting:
            await asyncio.sleep(0.01)
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def submit(self, item: T) -> R:
        """Durable when this returns. Raises what `write` raised, or `Overloaded` when too many wait."""
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded(retry_after_seconds=1)
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._filled.set()
        return await future

    async def _run(self) -> None:
        while True:
            await self._filled.wait()
            group = self._waiting[: self._max_group]
            del self._waiting[: len(group)]
            if not self._waiting:
                self._filled.clear()
            try:
                results = await self._write([item for item, _ in group])
            except Exception as fault:
                for _, future in group:
                    if not future.done():
                        future.set_exception(fault)
            else:
                for (_, future), result in zip(group, results, strict=True):
                    if not future.done():
                        future.set_result(result)
