"""How much the portal is asked at once, and how much in a minute: as much as it bears, no more.

`Lanes`   batches under way at the same time. One more for each round of quick answers, half as many when the portal
          says that it has too much (429, 5xx) or does not answer in time: additive increase, multiplicative decrease.
`Quota`   calls in a minute, all copies of the service together, when the portal grants only so many.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType

PLAIN_BATCH_CALLS = 4
"""Log in, insert, update, progress: a batch is begun only when so many calls are left."""
Reserve = Callable[[int], Awaitable[tuple[int, float]]]
"""Asks for so many calls; tells how many were granted, and in how many seconds there are new ones."""


class Lanes:
    """Places for batches: between 1 and `most`, beginning with one."""

    def __init__(self, most: int, quick_seconds: float) -> None:
        self.open = 1.0
        """How many batches may be under way; grows by fractions."""
        self._most = most
        self._quick_seconds = quick_seconds
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._halved_at = 0.0

    async def __aenter__(self) -> None:
        while self._taken >= int(self.open):
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except BaseException:
                self._wake()  # perhaps it was woken for this place, which somebody else can have
                raise
        self._taken += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._taken -= 1
        self._wake()

    def answered(self, seconds: float) -> None:
        """The portal took so long; a slow answer is no reason to ask more, nor to ask less."""
        if seconds <= self._quick_seconds and self.open < self._most:
            self.open = min(self._most, self.open + 1 / self.open)
            self._wake()

    def overloaded(self, begun_at: float) -> None:
        """A call begun at this monotonic time was turned away, failed or got no answer.

        Calls that were already under way when the lanes were halved say nothing new.
        """
        if begun_at > self._halved_at:
            self._halved_at = time.monotonic()
            self.open = max(1.0, self.open / 2)

    def _wake(self) -> None:
        free = int(self.open) - self._taken
        while free > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1


class Quota:
    """Calls of a minute, reserved a few at a time where all copies see it. Without a `reserve` there is no limit."""

    def __init__(self, reserve: Reserve | None = None, chunk: int = 10) -> None:
        self._reserve = reserve
        self._chunk = max(chunk, PLAIN_BATCH_CALLS)
        self._left = 0
        self._ends = 0.0
        self._over_until = 0.0
        self._begun = 0
        self._asking = asyncio.Lock()

    @property
    def left(self) -> int:
        """Calls reserved here for this minute and not made yet."""
        return self._left if time.monotonic() < self._ends else 0

    @property
    def wait_seconds(self) -> float:
        """Seconds until there are calls again; 0 when there are, as far as is known."""
        return max(0.0, self._over_until - time.monotonic())

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[bool]:
        """Whether a batch may begin that meets with no trouble: beside those under way there are calls for it."""
        may_begin = self._reserve is None or await self._begin()
        try:
            yield may_begin
        finally:
            self._begun -= may_begin and self._reserve is not None

    async def take(self) -> bool:
        """One call, if there is one left."""
        if self._reserve is None:
            return True
        async with self._asking:
            may = await self._filled(1)
            self._left -= may
            return may

    async def _begin(self) -> bool:
        async with self._asking:
            may_begin = await self._filled(PLAIN_BATCH_CALLS * (self._begun + 1))
            self._begun += may_begin
            return may_begin

    async def _filled(self, needed: int) -> bool:
        started = time.monotonic()
        if started >= self._ends:
            self._left = 0  # they were calls of a minute that is over
        if self._left < needed and self._reserve and not self.wait_seconds:
            asked = max(self._chunk, needed - self._left)
            granted, until_new = await self._reserve(asked)
            self._left += granted
            self._ends = started + until_new
            if granted < asked:
                self._over_until = time.monotonic() + until_new
        return self._left >= needed
