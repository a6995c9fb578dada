"""PostgreSQL: two kinds of session, so that the type checker refuses a write inside a query.

Every transaction says for which agencies it works (`hub.agencies`, read by the row-level security of
`shared.schema`). Nobody commits but whoever opened the transaction: a route, a reader or a worker.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

import asyncpg
import orjson
from sqlalchemy import event, text
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.errors import HubError, Overloaded

ALL_AGENCIES = ("*",)
_DIALECT = dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own omission
_CONNECT_SECONDS = 2.0
_POOL_WAIT_SECONDS = 2.0
_STATEMENT_SECONDS = 60
ANSWER_SECONDS = 65.0
"""Longer than a statement may take: who has not answered by then never will. A firewall, or an address that moved to
another server, forgets connections without a word; the system's own patience is a quarter of an hour."""
# What readers, workers and routes ask for they name by its keys, hundreds at a time. A plan made while the tables
# were nearly empty would read them whole, and stays until their statistics change: minutes in which the work of
# each batch grows with all batches before it (measured: 40 ms of a claim instead of 2).
BY_KEYS = dict.fromkeys(("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_sort"), "off")
# One text, one round trip; SQLAlchemy's own begin would be another.
_OPEN_WRITING = "BEGIN; SELECT set_config('hub.agencies', '{}', true)"
_OPEN_READING = "BEGIN READ ONLY; SELECT set_config('hub.agencies', '{}', true)"


class NotCommitted(Exception):
    """A failed statement was passed over in silence, and PostgreSQL rolled back what was to be committed."""


class DatabaseUnavailable(Overloaded):
    """PostgreSQL does not answer; the caller may repeat (with its idempotency key, if the commit was cut)."""

    code, title = "database_unavailable", "The database is not available at the moment"


@lru_cache(maxsize=1024)
def _statement(sql: str) -> tuple[str, tuple[str, ...]]:
    """The text with `$1` for its `:names`, and the names in that order."""
    compiled = text(sql).compile(dialect=_DIALECT)
    return str(compiled), tuple(compiled.positiontup or ())


class Reading:
    """A transaction that cannot write. SQL is text with `:names`; lists bind as PostgreSQL arrays."""

    def __init__(self, driver: Any) -> None:
        self.raw = driver
        """The asyncpg connection inside this transaction, for hot paths (`$1` style)."""

    async def rows(self, sql: str, **parameters: Any) -> Sequence[Mapping[str, Any]]:
        """All rows."""
        return [dict(row) for row in await self._run(self.raw.fetch, sql, parameters)]

    async def row(self, sql: str, **parameters: Any) -> Mapping[str, Any] | None:
        """The first row, or None."""
        row = await self._run(self.raw.fetchrow, sql, parameters)
        return None if row is None else dict(row)

    async def value(self, sql: str, **parameters: Any) -> Any:
        """The first column of the first row, or None."""
        return await self._run(self.raw.fetchval, sql, parameters)

    async def _run(self, ask: Callable[..., Awaitable[Any]], sql: str, parameters: Mapping[str, Any]) -> Any:
        statement, names = _statement(sql)
        return await ask(statement, *[parameters[name] for name in names])


class Transaction(Reading):
    """A transaction that may write; committed by whoever opened it."""

    def __init__(self, driver: Any) -> None:
        super().__init__(driver)
        self._after_commit: list[Callable[[], None]] = []
        self.publishes = False
        """Set by `outbox.publish` (and by hot paths that write the outbox themselves): wakes the relay."""

    async def execute(self, sql: str, **parameters: Any) -> int:
        """Run one statement; the number of rows it touched."""
        tag: str = await self._run(self.raw.execute, sql, parameters)
        touched = tag.rpartition(" ")[2]
        return int(touched) if touched.isdigit() else 0

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What is done in the block is undone alone when it raises; the transaction goes on."""
        waiting = len(self._after_commit)
        await self.raw.execute("SAVEPOINT part")
        try:
            yield
        except Exception:
            await self.raw.execute("ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")
            del self._after_commit[waiting:]
            raise
        await self.raw.execute("RELEASE SAVEPOINT part")

    def on_commit(self, action: Callable[[], None]) -> None:
        """Run `action` once the transaction is durable."""
        self._after_commit.append(action)

    def committed(self) -> None:
        """Called by `Database` after the commit."""
        for action in self._after_commit:
            action()


class Database:
    """One pool for one role. `wake` is set after every commit that wrote to the outbox."""

    def __init__(
        self, url: str, *, pool_size: int = 10, wake: asyncio.Event | None = None, reports: bool = False
    ) -> None:
        """`reports`: statements may read whole tables; otherwise each finds its rows by keys (`BY_KEYS`)."""
        self.url = url
        self.wake = wake or asyncio.Event()
        self._engine: AsyncEngine = create_async_engine(
            url.replace("postgresql://", "postgresql+asyncpg://", 1),
            pool_size=pool_size,
            max_overflow=0,
            isolation_level="AUTOCOMMIT",  # transactions are begun and ended here, not by SQLAlchemy
            pool_timeout=_POOL_WAIT_SECONDS,
            connect_args={
                "timeout": _CONNECT_SECONDS,
                "command_timeout": ANSWER_SECONDS,
                "server_settings": {
                    "statement_timeout": str(_STATEMENT_SECONDS * 1000),
                    # A stopped process cannot hold locks for longer than this.
                    "idle_in_transaction_session_timeout": "10000",
                    "timezone": "UTC",
                    "jit": "off",
                    **({} if reports else BY_KEYS),
                },
            },
        )
        event.listen(self._engine.sync_engine, "connect", _use_json_codec)

    @asynccontextmanager
    async def transaction(self, agencies: Iterable[str] = ALL_AGENCIES) -> AsyncIterator[Transaction]:
        """A writing transaction; commits when the block ends, rolls back when it raises."""
        with _unavailable():
            async with self._opened(_OPEN_WRITING, agencies) as driver:
                tx = Transaction(driver)
                yield tx
        tx.committed()
        if tx.publishes:
            self.wake.set()

    @asynccontextmanager
    async def reading(self, agencies: Iterable[str] = ALL_AGENCIES) -> AsyncIterator[Reading]:
        """A read-only transaction."""
        with _unavailable():
            async with self._opened(_OPEN_READING, agencies) as driver:
                yield Reading(driver)

    async def ping(self) -> None:
        """Raises `DatabaseUnavailable` when PostgreSQL does not answer."""
        async with self.reading() as rx:
            await rx.value("SELECT 1")

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _opened(self, begin: str, agencies: Iterable[str]) -> AsyncIterator[Any]:
        """A transaction on a connection of the pool; a connection that may still be in it goes back to nobody."""
        async with self._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            if driver.is_closed():  # PostgreSQL was away since it was last used
                await connection.invalidate()
                driver = (await connection.get_raw_connection()).driver_connection
            try:
                await driver.execute(begin.format(_quoted(",".join(agencies))))
                yield driver
                ended = await driver.execute("COMMIT")
            except BaseException:
                await _roll_back(connection, driver)
                raise
            if ended != "COMMIT":
                raise NotCommitted


async def _roll_back(connection: AsyncConnection, driver: Any) -> None:
    try:
        await driver.execute("ROLLBACK", timeout=_CONNECT_SECONDS)
    except BaseException as second:
        driver.terminate()
        await connection.invalidate()
        if not isinstance(second, Exception):
            raise


def _quoted(text: str) -> str:
    """Inside a literal. Agencies come from checked tokens, and the text goes out without parameters."""
    if "\x00" in text:
        raise ValueError("NUL in an agency")
    return text.replace("'", "''")


class _unavailable:  # noqa: N801 - reads as the verb it is
    """Turns "PostgreSQL is away" into `DatabaseUnavailable`; everything else passes as it is."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: Any, fault: BaseException | None, _trace: Any) -> None:
        if _is_away(fault):
            raise DatabaseUnavailable(internal=repr(fault), retry_after_seconds=1) from fault


def _is_away(fault: BaseException | None) -> bool:
    """Whether PostgreSQL did not answer, or would not."""
    lost = isinstance(fault, OSError | PoolTimeout | TimeoutError) or (
        isinstance(fault, DBAPIError) and (fault.connection_invalidated or _refuses_work(fault.orig))
    )  # SQLAlchemy's, from its pool; statements run on the driver itself
    lost = lost or (isinstance(fault, asyncpg.PostgresError) and _refuses_work(fault))
    return lost or (isinstance(fault, asyncpg.InterfaceError) and "closed" in str(fault))


def _refuses_work(fault: BaseException | None) -> bool:
    """53xxx insufficient resources, 57P0x shutting down, 08xxx connection, 25P03 idle in transaction."""
    state = getattr(fault, "sqlstate", None) or ""
    return state[:2] in {"53", "08"} or state in {"57P01", "57P02", "57P03", "25P03"}


def passes_later(fault: Exception) -> bool:
    """Whether the same work passes the next time: a neighbour is away, or two transactions met (40P01 deadlock,
    40001 serialisation, 55P03 lock not available).
    """
    if isinstance(fault, HubError) and fault.retryable:
        return True
    state = getattr(fault, "sqlstate", None) or ""
    return state in {"40P01", "40001", "55P03"} or _is_away(fault)


def _use_json_codec(connection: Any, _record: Any) -> None:
    for name in ("json", "jsonb"):
        connection.run_async(
            lambda driver, name=name: driver.set_type_codec(
                name, schema="pg_catalog", encoder=_to_json, decoder=orjson.loads, format="text"
            )
        )


def _to_json(value: Any) -> str:
    """Text passes as the JSON it already is; anything else is encoded."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
