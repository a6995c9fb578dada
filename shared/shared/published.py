"""What a service has published, read again from its own tables in the order of publication, from a position on.

A row's `number` is drawn by the one relay when Kafka has the event: what commits late is published late and numbered
late, so whoever has read up to a number has missed nothing before it. Kept 35 days (`schema.outbox_published`).

However many wait for news, one of them asks the database; the newest rows are in memory for all of them.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import NamedTuple

from shared.db import Database, Reading
from shared.errors import HubError

_POLL_SECONDS = 0.2
_BOUNDS_SECONDS = 1.0
_PAGE = 500
_REMEMBERED = 2000
_AFTER = """
SELECT number, value FROM outbox_published WHERE number > $1 AND topic = $2 ORDER BY number LIMIT $3
"""


class Published(NamedTuple):
    """One event, as it was published, and the agency it is about ("" when that is not known)."""

    number: int
    agency_code: str
    text: str


class PositionGone(HubError):
    """What followed this position is no longer kept, or it was never given out (a guess, a restored database)."""

    status, code, title = 410, "position_gone", "What followed this position is not to be had; begin without it"


Told = Callable[[Reading, Sequence[tuple[int, str]]], Awaitable[list[Published]]]
"""Names the agencies of these rows (number, text)."""


class Tail:
    """The end of one topic's published events."""

    def __init__(self, database: Database, topic: str, told: Told) -> None:
        """`database`: as the system's role."""
        self._database = database
        self._topic = topic
        self._told = told
        self._rows: deque[Published] = deque()
        self._since = self._newest = -1
        """In memory are all rows after the first number, up to the second."""
        self._asking: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._bounds = (0, 0)
        self._looked_at = float("-inf")

    async def newest(self) -> int:
        """The number of the last event published until now (a second ago at most), of whatever topic."""
        return (await self._kept())[1]

    async def require_kept(self, number: int) -> None:
        """Raises `PositionGone`."""
        oldest, newest = await self._kept()
        if number > newest:
            self._looked_at = float("-inf")  # it may have been published since
            oldest, newest = await self._kept()
        if 0 < number < oldest - 1 or 0 < newest < number:
            raise PositionGone

    async def after(self, number: int) -> list[Published]:
        """The next events after this one, some hundreds at most; [] when there are none yet."""
        if self._since <= number < self._newest:
            return list(islice((row for row in self._rows if row.number > number), _PAGE))
        return await self._read(number)

    async def wait_beyond(self, number: int, seconds: float) -> bool:
        """Whether anything was published after this one, waiting for it at most so long."""
        ends = time.monotonic() + seconds
        while self._newest <= number:
            left = ends - time.monotonic()
            if left <= 0:
                return False
            asking = self._asking = self._asking or asyncio.create_task(self._ask(number))
            done, _ = await asyncio.wait({asking}, timeout=left)
            if done:
                if self._asking is asking:
                    self._asking = None
                asking.result()
        return True

    async def close(self) -> None:
        """Ask no more."""
        for task in (self._asking, self._looking):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})

    async def _kept(self) -> tuple[int, int]:
        """Oldest and newest number. Hundreds who come at once (a service restarts) ask together."""
        if time.monotonic() - self._looked_at > _BOUNDS_SECONDS:
            looking = self._looking = self._looking or asyncio.create_task(self._look())
            await asyncio.wait({looking})
            if self._looking is looking:
                self._looking = None
            looking.result()
        return self._bounds

    async def _look(self) -> None:
        async with self._database.reading() as rx:
            row = await rx.raw.fetchrow(
                "SELECT coalesce(min(number), 0) AS oldest, coalesce(max(number), 0) AS newest FROM outbox_published"
            )
        self._bounds, self._looked_at = (row["oldest"], row["newest"]), time.monotonic()

    async def _ask(self, number: int) -> None:
        # All who wait share this look: one that waits for what lies far ahead must not make it pass over their news.
        start = max(min(number, self._bounds[1]), self._newest)
        found = await self._read(start)
        if not found:
            await asyncio.sleep(_POLL_SECONDS)
            return
        if start != self._newest:  # nobody listened for a while: rows in between were never read
            self._rows.clear()
            self._since = start
        self._rows.extend(found)
        self._newest = found[-1].number
        while len(self._rows) > _REMEMBERED:
            self._since = self._rows.popleft().number

    async def _read(self, number: int) -> list[Published]:
        async with self._database.reading() as rx:
            rows = await rx.raw.fetch(_AFTER, number, self._topic, _PAGE)
            return await self._told(rx, [(row["number"], row["value"]) for row in rows])
