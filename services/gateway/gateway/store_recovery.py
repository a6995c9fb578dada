"""How far effects and log have been compared, under a lease on database time."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from shared.db import Reading, Transaction

_LEASE_SECONDS = 15
_WINDOW_SECONDS = 10
_LEASE = """
UPDATE recovery SET leased_until = now() + make_interval(secs => $2)
WHERE service = $4 AND leased_until <= now() AND compared_until < now() - make_interval(secs => $1)
RETURNING compared_until,
  least(compared_until + make_interval(secs => $3), now() - make_interval(secs => $1)) AS until,
  compared_until + make_interval(secs => $3) >= now() - make_interval(secs => $1) AS is_last
"""
_MISSING = """
SELECT id::text FROM unnest($1::uuid[]) AS kept(id)
WHERE NOT EXISTS (SELECT FROM exchange WHERE exchange.id = kept.id)
"""


class Window(NamedTuple):
    """What to compare: recorded later than `after`, up to `until`."""

    after: datetime
    until: datetime
    is_last: bool


async def lease(tx: Transaction, service: str, after_seconds: float) -> Window | None:
    """The next window of this service for this process alone; None when another has it, or all is compared."""
    row = await tx.raw.fetchrow(_LEASE, after_seconds, _LEASE_SECONDS, _WINDOW_SECONDS, service)
    return None if row is None else Window(row["compared_until"], row["until"], row["is_last"])


async def missing(rx: Reading, ids: Sequence[str]) -> frozenset[str]:
    """Which of these exchanges have no record."""
    return frozenset(row["id"] for row in await rx.raw.fetch(_MISSING, list(ids)))


async def compared(tx: Transaction, service: str, until: datetime) -> None:
    """Everything recorded up to then has its record; the lease ends."""
    await tx.raw.execute(
        "UPDATE recovery SET compared_until = $1, leased_until = now() WHERE service = $2", until, service
    )
