"""Clients that are changed by two administrators at once."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway import registering
from shared.db import Database

from .conftest import Hub


async def test_a_change_at_the_same_moment_does_not_undo_a_suspension(start_hub: Callable[..., Awaitable[Hub]]) -> None:
    hub = await start_hub()
    database = Database(hub.urls.system, pool_size=2)

    async def renamed() -> None:
        async with database.transaction() as tx:
            await registering.change(tx, "portal", {"name": "Portal"})

    async with database.transaction() as tx:
        await registering.change(tx, "portal", {"state": "suspended"})
        other = asyncio.create_task(renamed())
        async with asyncio.timeout(60):
            while not await tx.value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
    await other
    async with database.reading() as rx:
        client = await registering.existing(rx, "portal")
    await database.close()
    assert (client.state, client.name) == ("suspended", "Portal")
