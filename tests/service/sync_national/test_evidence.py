"""Every attempt is kept for 35 days, in tables of a day each."""

import asyncio
from datetime import UTC, datetime, timedelta

from shared.db import Database
from sync_national import evidence
from sync_national.evidence import Attempt
from tests.service.sync_national.conftest import Hub
from tests.support.neighbours import eventually

CODE = "H08.15-260302-0001"


def an_attempt(number: int) -> Attempt:
    return Attempt(CODE, "H08.15", number, number, 0, "accepted", None, "[]", {"record": {"n": number}, "progress": []})


async def test_days_past_their_time_go_with_their_tables(hub: Hub) -> None:
    now = datetime.now(UTC)
    async with hub.system.transaction() as tx:
        for number in range(1, 31):  # more than any count would have kept
            await evidence.keep(tx, "dvcqg", now, [an_attempt(number)])
        await evidence.keep(tx, "dvcqg", now - timedelta(days=36), [an_attempt(31)])
    async with hub.system.reading() as rx:
        found = await evidence.attempts_of(rx, "dvcqg", CODE, 100)
        assert [it["number"] for it in found] == list(range(31, 0, -1))
        assert found[0]["request"] == {"record": {"n": 31}, "progress": []}
    await asyncio.gather(*(evidence.forget(hub.system, 35) for _ in range(3)))
    async with hub.system.transaction() as tx:
        found = await evidence.attempts_of(tx, "dvcqg", CODE, 100)
        days = await tx.rows(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'attempt'::regclass ORDER BY 1"
        )
    assert [it["number"] for it in found] == list(range(30, 0, -1))
    assert len(days) == 35 + 1 + 7
    assert days[-1]["relname"] == f"attempt_{now + timedelta(days=7):%Y%m%d}"


async def test_a_batch_is_saved_while_the_days_are_renewed(hub: Hub) -> None:
    """Both need both tables; neither may hold the one while it waits for the other."""
    now = datetime.now(UTC)
    last = f"{now + timedelta(days=7):%Y%m%d}"
    owner = Database(hub.urls.owner, pool_size=1)
    async with owner.transaction() as tx:
        await tx.raw.execute(f"DROP TABLE attempt_{last}, attempt_content_{last}")
    await owner.close()

    async def waits() -> bool:
        async with hub.system.reading() as rx:
            rows = await rx.rows(
                "SELECT 1 FROM pg_locks WHERE NOT granted "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        return bool(rows)

    async with hub.system.transaction() as tx:
        await tx.raw.execute("LOCK TABLE attempt_content IN ROW EXCLUSIVE MODE")  # as its first statement does
        renewing = asyncio.create_task(evidence.forget(hub.system, 35))
        await eventually(waits, seconds=60)
        await evidence.keep(tx, "dvcqg", now, [an_attempt(1)])
    await renewing
    async with hub.system.reading() as rx:
        assert len(await evidence.attempts_of(rx, "dvcqg", CODE, 100)) == 1
