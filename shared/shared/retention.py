"""What a service keeps for a time only: first answers of POSTs, and exchanges that were compared with the log."""

from shared.db import Database

EVERY_SECONDS = 3600.0
_DAYS = {"idempotency": 3, "exchange_kept": 35}
"""Table → days. An answer is promised for 24 h (api.md); effects are compared in minutes, and kept as events are."""
_BATCH = 5000
_SWEEP = """
DELETE FROM {table} WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM {table} WHERE recorded_at < now() - make_interval(days => :days) LIMIT :batch))
"""


class Retention:
    """One pass over the tables that this service has of those; run by a worker every hour."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def step(self) -> int:
        """Delete some of what is too old; how many rows. Not all at once: nobody waits for a long transaction."""
        swept = 0
        async with self._database.transaction() as tx:
            for table, days in _DAYS.items():
                if await tx.value("SELECT to_regclass(:table) IS NOT NULL", table=table):
                    swept += await tx.execute(_SWEEP.format(table=table), days=days, batch=_BATCH)
        return swept
