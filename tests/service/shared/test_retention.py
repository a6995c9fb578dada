"""What is kept for a time only goes after it, and nothing before."""

from collections.abc import Awaitable, Callable

from deploy.local.databases import Urls
from shared.db import Database
from shared.retention import Retention

ServiceDatabase = Callable[[str], Awaitable[Urls]]


async def left(database: Database, column: str, table: str) -> list[str]:
    async with database.reading() as rx:
        return [row[column] for row in await rx.rows(f"SELECT {column} FROM {table} ORDER BY 1")]


async def test_answers_and_compared_exchanges_go_when_their_time_is_over(service_database: ServiceDatabase) -> None:
    database = Database((await service_database("dossier")).system, pool_size=1)
    async with database.transaction() as tx:
        for name, age in (("young", 0), ("answered", 4), ("old", 36)):
            for statement in (
                "INSERT INTO exchange_kept (exchange_id, recorded_at) VALUES ($1, now() - make_interval(days => $2))",
                "INSERT INTO idempotency (client_id, key, body_sha256, status, answer, recorded_at) "
                "VALUES ('portal', $1, 'a', 201, '', now() - make_interval(days => $2))",
            ):
                await tx.raw.execute(statement, name, age)
    assert await Retention(database).step() == 3
    assert await left(database, "key", "idempotency") == ["young"]
    assert await left(database, "exchange_id", "exchange_kept") == ["answered", "young"]
    assert await Retention(database).step() == 0
    await database.close()


async def test_a_service_without_these_tables_keeps_everything(service_database: ServiceDatabase) -> None:
    database = Database((await service_database("console")).system, pool_size=1)
    assert await Retention(database).step() == 0
    await database.close()
