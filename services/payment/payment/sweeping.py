"""The worker that asks with QUERY what became of charges nobody confirmed, and lets the oldest expire.

TrangThaiGD 1   the same code path as CONFIRM (`charging.settle`)
TrangThaiGD 4   failed
anything else   asked again: after `query_after_seconds`, doubled up to `longest_seconds`;
                older than `expire_after_seconds`: expired (a success that comes even later still counts)
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from payment import charging, store
from payment.charge import Notice
from payment.platform import Platform
from payment.store import Row
from shared.db import Database
from shared.errors import Upstream
from shared.telemetry import log


@dataclass(frozen=True, slots=True)
class Patience:
    """When the platform is asked about a charge, and when the hub stops waiting."""

    batch: int
    query_after_seconds: float
    longest_seconds: float
    expire_after_seconds: float


class Sweeping:
    """One worker's step; `shared.worker.Worker` repeats it."""

    def __init__(self, database: Database, platform: Platform, patience: Patience) -> None:
        self._database = database
        self._platform = platform
        self._patience = patience
        # Each answer is written at once in a transaction of its own: no more of them than the pool has places.
        self._slots = asyncio.Semaphore(4)

    async def step(self) -> int:
        """Ask about one batch; the number of charges asked about."""
        due = await self._lease()
        await asyncio.gather(*(self._sweep(row) for row in due))
        return len(due)

    async def _lease(self) -> Sequence[Row]:
        state = self._platform.breaker_state
        if state == "open":
            return []
        async with self._database.transaction() as tx:
            return await store.lease_queries(
                tx,
                most=1 if state == "half_open" else self._patience.batch,
                query_after_seconds=self._patience.query_after_seconds,
                longest_seconds=self._patience.longest_seconds,
                expire_after_seconds=self._patience.expire_after_seconds,
            )

    async def _sweep(self, row: Row) -> None:
        async with self._slots:
            try:
                notice = await self._platform.query(row["reference"], row["at"])
            except Upstream as fault:
                log.warning("query_unanswered", reference=row["reference"], reason=fault.internal or str(fault))
                return
            await self._save(row, notice)

    async def _save(self, row: Row, notice: Notice) -> None:
        async with self._database.transaction() as tx:
            if notice.status != "waiting":
                await charging.settle(tx, notice, told(notice))
            elif row["is_over"]:
                await charging.expire(tx, row["id"])


def told(notice: Notice) -> dict[str, object]:
    """What is kept of an answer to QUERY: it is not signed, so its fields are kept and not its text."""
    return {
        "status": notice.status,
        "amount_vnd": notice.amount_vnd,
        "currency": notice.currency,
        "at": notice.at,
    }
