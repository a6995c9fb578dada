"""Processes stand still for longer than their leases, then go on as if no time had passed; copies come and go."""

import asyncio
from contextlib import suppress

import psutil
import pytest

from tests.chaos.faults import copies, national, stopped
from tests.chaos.hub import Hub
from tests.chaos.province import Province

pytestmark = pytest.mark.timeout(240)

# Longer than a lease and a reader's session (3 s each), shorter than the supervisor's patience (20 s).
ASLEEP_SECONDS = 6.0
TAKEN_OVER_SECONDS = 10.0
FENCED_SECONDS = 5.0


async def test_zombies_and_copies(hub: Hub, province: Province) -> None:
    """Rows 3, 6: partitions change hands in mid-batch, and whoever lost them commits nothing twice.

    sync-national is stopped in the middle of a push, and its copy takes over; what the first brings back is refused.
    """
    async with copies(hub, "sync-national", "dossier", "payment") as (second_courier, *_):
        second_courier.suspend()
        async with national(hub, "portal", "slow", seconds=0.8), asyncio.timeout(90):
            playing = asyncio.create_task(province.play())
            while not await _is_fenced(hub, second_courier):
                second_courier.suspend()
            async with stopped(hub, "dossier", "payment", "console"):
                await asyncio.sleep(ASLEEP_SECONDS)
    async with copies(hub, "citizen-db-adapter", "console"):
        await playing
    await province.keeps_every_promise()


async def _is_fenced(hub: Hub, copy: psutil.Process) -> bool:
    """Whether a worker came back to a lease that was no longer its own; not when it had saved just before it slept."""
    courier, name = hub.urls["sync-national"], "hub_sync_fenced_total"
    before = await hub.metric(courier, name)
    while not await _leases(hub):
        await asyncio.sleep(0.05)
    async with stopped(hub, "sync-national"):
        in_hand = await _leases(hub)
        copy.resume()
        with suppress(TimeoutError):
            async with asyncio.timeout(TAKEN_OVER_SECONDS):
                while in_hand and in_hand <= await _leases(hub):
                    await asyncio.sleep(0.1)
    with suppress(TimeoutError):
        async with asyncio.timeout(FENCED_SECONDS if in_hand else 0):
            while await hub.metric(courier, name) == before:
                await asyncio.sleep(0.1)
    return await hub.metric(courier, name) > before


async def _leases(hub: Hub) -> set[tuple[str, int]]:
    """Dossiers in workers' hands, and the fencing token of each."""
    query = "SELECT dossier_code, lease_token FROM standing WHERE lease_token IS NOT NULL"
    return {(row["dossier_code"], row["lease_token"]) for row in await hub.rows("sync_national", query)}
