"""Dossier codes: `{agency}-{yyMMdd of the local submission day}-{number of that agency's day, at least 4 digits}`.

Numbers are reserved in blocks, in a transaction of its own before the dossier's: a code is never given twice, not
over a crash and not by two processes; what a process had left over when it ended is a gap. A block doubles each
time it is used up soon, so that a busy counter asks seldom and a quiet one wastes little.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from shared.db import Database, Transaction

MAX_BLOCK = 256
_MAX_KEPT = 4096
Day = tuple[str, date]
"""An agency's day: what a series of numbers belongs to."""

_RESERVE = """
INSERT INTO code_block AS b (agency_code, day, next_number)
SELECT agency_code, day, 1 + size
FROM unnest($1::text[], $2::date[], $3::int[]) AS wanted(agency_code, day, size) ORDER BY 1, 2
ON CONFLICT (agency_code, day) DO UPDATE SET next_number = b.next_number + EXCLUDED.next_number - 1
RETURNING agency_code, day, next_number
"""


@dataclass(slots=True)
class _Block:
    next_number: int
    end: int
    size: int

    def take(self, count: int) -> list[int]:
        taken = list(range(self.next_number, min(self.next_number + count, self.end)))
        self.next_number += len(taken)
        return taken


def code(agency_code: str, day: date, number: int) -> str:
    """`H08.15-230301-0001`; a five-digit number stays whole."""
    return f"{agency_code}-{_six_digits(day)}-{number:04d}"


@lru_cache(maxsize=4096)
def _six_digits(day: date) -> str:
    return f"{day:%y%m%d}"  # strftime is slow


class Numbers:
    """This process's reserved numbers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._blocks: OrderedDict[Day, _Block] = OrderedDict()
        self._reserving = asyncio.Lock()

    async def draw(self, wanted: Mapping[Day, int]) -> dict[Day, list[int]]:
        """So many numbers for each agency's day. Call it outside any transaction: it may open one."""
        drawn = {day: self._at_hand(day, count) for day, count in wanted.items()}
        if self._short(drawn, wanted):
            async with self._reserving:
                # Whoever held the lock before may have reserved enough for us too.
                for day, missing in self._short(drawn, wanted).items():
                    drawn[day] += self._at_hand(day, missing)
                short = self._short(drawn, wanted)
                if short:
                    await self._reserve(short)
                    for day, missing in short.items():
                        drawn[day] += self._at_hand(day, missing)
        return drawn

    def _at_hand(self, day: Day, count: int) -> list[int]:
        block = self._blocks.get(day)
        return block.take(count) if block else []

    @staticmethod
    def _short(drawn: Mapping[Day, list[int]], wanted: Mapping[Day, int]) -> dict[Day, int]:
        return {day: count - len(drawn[day]) for day, count in wanted.items() if len(drawn[day]) < count}

    async def _reserve(self, short: Mapping[Day, int]) -> None:
        sizes = {}
        for day, missing in short.items():
            last = self._blocks.get(day)
            # A first single dossier of a day reserves just itself: most days of a replay see few.
            grown = min(last.size * 2, MAX_BLOCK) if last else 1
            sizes[day] = max(missing, grown)
        async with self._database.transaction() as tx:
            ends = await _reserve(tx, sizes)
        for day, end in ends.items():
            self._blocks[day] = _Block(end - sizes[day], end, min(sizes[day], MAX_BLOCK))
            self._blocks.move_to_end(day)
        while len(self._blocks) > _MAX_KEPT:
            self._blocks.popitem(last=False)


async def _reserve(tx: Transaction, sizes: Mapping[Day, int]) -> dict[Day, int]:
    """The first number after each block."""
    agencies, days = [agency for agency, _ in sizes], [day for _, day in sizes]
    rows = await tx.raw.fetch(_RESERVE, agencies, days, list(sizes.values()))
    return {(row["agency_code"], row["day"]): row["next_number"] for row in rows}
