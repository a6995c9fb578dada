"""Processes stand still for longer than their leases, then go on as if no time had passed; copies come and go."""

import asyncio

import pytest

from tests.chaos.faults import a_second, national, stopped
from tests.chaos.hub import Hub
from tests.chaos.province import Province

pytestmark = pytest.mark.timeout(240)

# Longer than a lease and a reader's session (3 s each), shorter than the supervisor's patience.
ASLEEP_SECONDS = 6.0


async def test_the_late_write_of_a_zombie_is_refused(hub: Hub, province: Province) -> None:
    """Row 3: stopped in the middle of a push; another copy takes over; what the first brings back is dropped."""
    courier = hub.urls["sync-national"]
    fenced = await hub.metric(courier, "hub_sync_fenced_total")
    async with a_second(hub, "sync-national") as second:
        second.suspend()
        async with national(hub, "portal", "slow", seconds=1) as portal:
            playing = asyncio.create_task(province.play())
            await portal.strikes(1)
            async with stopped(hub, "sync-national"):
                second.resume()
                await asyncio.sleep(ASLEEP_SECONDS)
        await playing
        await province.keeps_every_promise()
    assert await hub.metric(courier, "hub_sync_fenced_total") > fenced


async def test_readers_join_leave_and_stand_still(hub: Hub, province: Province) -> None:
    """Rows 3, 6: partitions change hands in mid-batch; whoever lost them commits nothing twice."""
    async with a_second(hub, "dossier"), a_second(hub, "payment"):
        playing = asyncio.create_task(province.play())
        await asyncio.sleep(1.0)
        async with stopped(hub, "dossier", "payment", "console"):
            await asyncio.sleep(ASLEEP_SECONDS)
        async with a_second(hub, "citizen-db-adapter"), a_second(hub, "console"):
            await playing
    await province.keeps_every_promise()
