"""One statement that is a transaction of its own: for hot paths, a single round trip to PostgreSQL.

`Database.transaction` opens, says for which agencies it works, runs, commits: four round trips and SQLAlchemy around
them. A lane here keeps `hub.agencies` as a setting of its session and sets it anew only when the next caller's differ;
the statement commits by itself before its answer comes. Row-level security holds as everywhere.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import asyncpg

from shared.crashpoint import crashpoint, is_armed
from shared.db import ANSWER_SECONDS, BY_KEYS, DatabaseUnavailable

_CONNECT_SECONDS = 2.0
_WAIT_SECONDS = 2.0
_LOCK_TIMEOUT = "2000"
_LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresConnectionError)


class _Lane:
    """A connection and the agencies its session is set to."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.agencies: str | None = None

    async def serve(self, agencies: str) -> None:
        if self.agencies != agencies:
            self.agencies = None
            await self.connection.execute("SELECT set_config('hub.agencies', $1, false)", agencies)
            self.agencies = agencies


class Direct:
    """A few such lanes to one database, as one role. `wake` is set after every statement (they write the outbox)."""

    def __init__(self, url: str, *, size: int, wake: asyncio.Event) -> None:
        self._url = url
        self._wake = wake
        # Empty places first: a lane is connected when it is needed.
        self._places: asyncio.LifoQueue[_Lane | None] = asyncio.LifoQueue()
        for _ in range(size):
            self._places.put_nowait(None)

    async def execute(self, agencies: Iterable[str], sql: str, *values: Any, before_commit: str | None = None) -> None:
        """Run one statement and commit it; a lock is waited for two seconds at most.

        `before_commit` names a crash point between the two. Raises `DatabaseUnavailable`, or what PostgreSQL
        refuses (asyncpg's errors).
        """
        place = await self._take()
        lane: _Lane | None = None
        try:
            lane = place or _Lane(await self._connect())
            await lane.serve(",".join(agencies))
            if before_commit is not None and is_armed(before_commit):
                async with lane.connection.transaction():
                    await lane.connection.execute(sql, *values)
                    crashpoint(before_commit)
            else:
                await lane.connection.execute(sql, *values)
        except _LOST as fault:
            if lane is not None:
                lane.connection.terminate()
                lane = None
            raise DatabaseUnavailable(internal=repr(fault), retry_after_seconds=1) from fault
        except asyncpg.PostgresError as fault:
            if (fault.sqlstate or "")[:2] in {"53", "57", "08"}:
                raise DatabaseUnavailable(internal=repr(fault), retry_after_seconds=1) from fault
            raise
        finally:
            if lane is not None and lane.connection.is_closed():
                lane = None
            self._places.put_nowait(lane)
        self._wake.set()

    async def close(self) -> None:
        """Close the lanes that are free."""
        while not self._places.empty():
            lane = self._places.get_nowait()
            if lane is not None:
                await lane.connection.close()

    async def _take(self) -> _Lane | None:
        try:
            return self._places.get_nowait()
        except asyncio.QueueEmpty:
            pass
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                return await self._places.get()
        except TimeoutError as fault:
            raise DatabaseUnavailable(internal="no lane was free", retry_after_seconds=1) from fault

    async def _connect(self) -> Any:
        settings = {
            "statement_timeout": "60000",
            "lock_timeout": _LOCK_TIMEOUT,
            "timezone": "UTC",
            "jit": "off",
            **BY_KEYS,
        }
        return await asyncpg.connect(
            self._url, timeout=_CONNECT_SECONDS, command_timeout=ANSWER_SECONDS, server_settings=settings
        )
