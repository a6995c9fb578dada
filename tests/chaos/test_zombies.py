"""Processes stand still for longer than their leases, then go on as if no time had passed; copies come and go."""

import asyncio

import pytest

from tests.chaos.faults import copies, national, stopped
from tests.chaos.hub import Hub
from tests.chaos.province import Province

pytestmark = pytest.mark.timeout(240)

# Longer than a lease and a reader's session (3 s each), shorter than the supervisor's patience.
ASLEEP_SECONDS = 6.0


async def test_zombies_and_copies(hub: Hub, province: Province) -> None:
    """Rows 3, 6: partitions change hands in mid-batch, and whoever lost them commits nothing twice.

    sync-national is stopped in the middle of a push, and its copy takes over; what the first brings back is refused.
    """
    courier = hub.urls["sync-national"]
    fenced = await hub.metric(courier, "hub_sync_fenced_total")
    async with copies(hub, "sync-national", "dossier", "payment") as (second_courier, *_):
        second_courier.suspend()
        async with national(hub, "portal", "slow", seconds=1) as portal:
            playing = asyncio.create_task(province.play())
            await portal.strikes(1)
            async with stopped(hub, "sync-national", "dossier", "payment", "console"):
                second_courier.resume()
                await asyncio.sleep(ASLEEP_SECONDS)
    async with copies(hub, "citizen-db-adapter", "console"):
        await playing
    await province.keeps_every_promise()
    assert await hub.metric(courier, "hub_sync_fenced_total") > fenced
