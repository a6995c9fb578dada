"""Exchanges kept beside effects: noted in the transaction, told to the gateway, the same for every service."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

import pytest_asyncio

from deploy.local.databases import Urls
from shared import clock, exchanges
from shared.db import Database


@pytest_asyncio.fixture
async def database(service_database: Callable[[str], Awaitable[Urls]]) -> AsyncIterator[Database]:
    base = Database((await service_database("noted")).system, pool_size=2)
    yield base
    await base.close()


def soon() -> datetime:
    return clock.now() + timedelta(minutes=1)


async def test_an_exchange_is_told_with_all_its_dossiers(database: Database) -> None:
    before = clock.now() - timedelta(minutes=1)
    async with database.transaction() as tx:
        await exchanges.keep(tx, "one", "desk", ["H08-230301-0002", "H08-230301-0001"])
        await exchanges.keep(tx, "two", "desk")
        await exchanges.keep(tx, None, "not through a gateway")
    async with database.reading() as rx:
        found = await exchanges.kept(rx, before, soon())
        only = await exchanges.kept(rx, before, soon(), "two")
        earlier = await exchanges.kept(rx, before - timedelta(hours=1), before)
    assert [(it["exchange_id"], it["dossier_codes"]) for it in found] == [
        ("one", ["H08-230301-0001", "H08-230301-0002"]),
        ("two", []),
    ]
    assert [it["exchange_id"] for it in only] == ["two"]
    assert earlier == []


async def test_what_was_rolled_back_had_no_effect(database: Database) -> None:
    try:
        async with database.transaction() as tx:
            await exchanges.keep(tx, "one", "desk")
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    async with database.reading() as rx:
        assert await exchanges.kept(rx, clock.now() - timedelta(hours=1), soon()) == []
