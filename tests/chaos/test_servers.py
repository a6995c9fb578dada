"""Kafka and PostgreSQL go away and come back."""

import asyncio
import signal

import pytest

from tests.chaos.faults import down, national, unlogged
from tests.chaos.hub import Hub, until
from tests.chaos.province import DOSSIERS, Province

pytestmark = pytest.mark.timeout(240)

DRAINED_SECONDS = 60.0


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
async def test_intake_goes_on_without_the_broker(hub: Hub, province: Province, how: signal.Signals) -> None:
    """Row 4: everything is taken in while Kafka is away, visibly, and leaves the outbox soon after it is back."""
    async with down(hub, "kafka", how):
        playing = asyncio.create_task(province.play())
        await until(lambda: len(province.history.codes) == DOSSIERS, seconds=30, why="all are filed without Kafka")
        async with asyncio.timeout(30):
            while not await hub.metric(hub.urls["dossier"], "hub_outbox_waiting"):
                await asyncio.sleep(0.1)
        filed = await _outbox(hub, "SELECT max(id) FROM outbox")
    async with asyncio.timeout(DRAINED_SECONDS):
        while await _outbox(hub, "SELECT count(*) FROM outbox WHERE id <= $1", filed):
            await asyncio.sleep(0.1)
    await playing
    await province.keeps_every_promise()


@pytest.mark.long
async def test_services_whose_log_volume_is_full_go_on_and_say_so(hub: Hub, province: Province) -> None:
    """Row 16: there is much to log (the portal fails, Kafka goes and comes), and nowhere to write it."""
    services = ("gateway", "dossier", "payment", "sync-national")
    async with unlogged(hub, *services), national(hub, "portal", "error", rate=0.5) as portal:
        playing = asyncio.create_task(province.play())
        await portal.strikes(5)
        async with down(hub, "kafka"):
            await until(lambda: len(province.history.codes) == DOSSIERS, seconds=60, why="all are filed without Kafka")
        await playing
        await portal.become("normal")
        await province.keeps_every_promise()
        for service in services:
            lost = await hub.metric(hub.urls[service], "hub_log_lines_lost_total")
            assert lost > 0 or service == "gateway", f"{service} says how many lines it could not write"


async def _outbox(hub: Hub, query: str, *values: int) -> int:
    [row] = await hub.rows("dossier", query, *values)
    return int(row[0])


@pytest.mark.parametrize("how", [signal.SIGQUIT, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
async def test_postgresql_restarts(hub: Hub, province: Province, how: signal.Signals) -> None:
    """Row 7: shut down fast or at once; callers hear 503 within a second; the same keys tell what was committed."""
    headers = await province.operator.authorization()
    async with province.playing():
        await asyncio.sleep(0.3)
        async with down(hub, "postgres", how):
            asked = [await hub.asked("/v1/dossiers?limit=1", headers) for _ in range(20)]
    assert {status for status, _ in asked} == {503}
    assert max(seconds for _, seconds in asked) < 1.0
    await province.keeps_every_promise()
