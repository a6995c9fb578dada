"""Single requests that come at the same time are carried out together: one transaction, one flush of the disk for all.

```
came alone ─▶ carried out at once
came while others are carried out ─▶ with all who did, as soon as those are done
the group failed, or says `APART` of one ─▶ that one by itself, after the group: it may wait or fail, the others not
```
Nobody's request can fail or hold up another's. Callers with other rights are other groups, because row-level security
is set for a transaction.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import Generic, Literal, NamedTuple, TypeVar

from shared.auth import Caller
from shared.errors import HubError
from shared.grouping import Grouped

_MOST_TOGETHER = 64
T = TypeVar("T")
R = TypeVar("R")


class Rights(NamedTuple):
    """What those have in common who share a transaction."""

    client_id: str
    agencies: tuple[str, ...]


class _Apart(Enum):
    """What a group says of one that it left alone: carry that one out by itself."""

    APART = "apart"


APART = _Apart.APART
Apart = Literal[_Apart.APART]


class Singles(Generic[T, R]):
    """`together` carries out a group and waits for nobody; `apart` one request, and may wait. Both commit."""

    def __init__(
        self,
        together: Callable[[Rights, Sequence[T]], Awaitable[Sequence[R | Apart]]],
        apart: Callable[[Rights, T], Awaitable[R]],
    ) -> None:
        self._together = together
        self._apart = apart
        self._grouped: Grouped[tuple[Rights, T], R | Apart | Exception] = Grouped(
            self._by_rights, max_group=_MOST_TOGETHER
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Requests are taken until the end."""
        self._grouped.start()
        try:
            yield
        finally:
            await self._grouped.stop()

    async def submit(self, caller: Caller, item: T) -> R:
        """Durable when this returns. Raises what `together` or `apart` raised of this one."""
        rights = Rights(caller.client_id, caller.agencies)
        outcome = await self._grouped.submit((rights, item))
        if isinstance(outcome, Exception):
            raise outcome
        return await self._apart(rights, item) if outcome is APART else outcome

    async def _by_rights(self, waiting: Sequence[tuple[Rights, T]]) -> list[R | Apart | Exception]:
        places: dict[Rights, list[int]] = defaultdict(list)
        for place, (rights, _) in enumerate(waiting):
            places[rights].append(place)
        outcomes: list[R | Apart | Exception] = [APART] * len(waiting)

        async def run(rights: Rights, group: Sequence[int]) -> None:
            found = await self._outcomes(rights, [waiting[place][1] for place in group])
            for place, outcome in zip(group, found, strict=True):
                outcomes[place] = outcome

        await asyncio.gather(*(run(rights, group) for rights, group in places.items()))
        return outcomes

    async def _outcomes(self, rights: Rights, items: Sequence[T]) -> Sequence[R | Apart | Exception]:
        try:
            return await self._together(rights, items)
        except HubError as refused:  # not one of them: the database is away, and would be for each alone
            return [refused] * len(items)
        except Exception as fault:  # whatever one of them brings out: each meets it alone, the others not at all
            return [fault] if len(items) == 1 else [APART] * len(items)
