"""Single dossiers that come at the same time are stored together: one statement, one flush of the disk for all.

Nobody's dossier can fail another's: a group that the database refuses is written again one by one. Callers of other
agencies are other groups, because row-level security is set for a statement.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import asyncpg

from dossier import intake_store
from dossier.intake_store import Line
from shared.direct import Direct
from shared.errors import HubError
from shared.grouping import Grouped

_MOST_TOGETHER = 64
_Outcome = Exception | None


class Singles:
    """Started and stopped with the service."""

    def __init__(self, direct: Direct) -> None:
        self._direct = direct
        self._grouped: Grouped[tuple[tuple[str, ...], Line], _Outcome] = Grouped(self._write, max_group=_MOST_TOGETHER)
        self.start, self.stop = self._grouped.start, self._grouped.stop

    async def insert(self, agencies: tuple[str, ...], line: Line) -> None:
        """Durable when this returns. Raises what the database refused of this line."""
        refused = await self._grouped.submit((agencies, line))
        if refused is not None:
            raise refused

    async def _write(self, waiting: Sequence[tuple[tuple[str, ...], Line]]) -> list[_Outcome]:
        places: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, (agencies, _) in enumerate(waiting):
            places[agencies].append(place)
        outcomes: list[_Outcome] = [None] * len(waiting)

        async def write(agencies: tuple[str, ...], group: Sequence[int]) -> None:
            try:
                await intake_store.insert(self._direct, agencies, [waiting[place][1] for place in group])
            except (HubError, asyncpg.PostgresError) as refused:
                if len(group) == 1:
                    outcomes[group[0]] = refused
                else:
                    await asyncio.gather(*(write(agencies, [place]) for place in group))

        await asyncio.gather(*(write(agencies, group) for agencies, group in places.items()))
        return outcomes
