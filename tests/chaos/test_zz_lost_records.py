"""The broker loses records that it had acknowledged (row 5). Last in its folder: the topics are not what they were."""

import asyncio
import shutil

import asyncpg
import pytest

from deploy.local import steering
from tests.chaos.faults import down
from tests.chaos.hub import Hub
from tests.chaos.province import OF_TOPICS, Province

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

# Every publisher's receipt check has asked again (hub.py: every 2 s about what is older than 2 s).
CHECKS_SECONDS = 8.0


async def test_what_a_broker_lost_and_a_reader_never_saw_is_published_again(hub: Hub, province: Province) -> None:
    """Row 5: an older data folder is restored while console and payment have not read what was published since.

    Records that every reader has taken in stay lost on the topic: no effect lacks them. Whoever rebuilds a read model
    from offset zero has the publishers send again what they keep (35 days), as `published_again` does here.
    """
    data = hub.folder / "kafka" / "data"
    older = hub.folder / "kafka-older"
    async with down(hub, "kafka"):
        shutil.copytree(data, older)
    again = await missing(hub)
    await asyncio.to_thread(steering.stop, hub.layout, "console")
    hub.deaths["console"] += 1
    playing = asyncio.create_task(province.play())
    await playing
    await all_published(hub)
    await asyncio.to_thread(steering.stop, hub.layout, "kafka")
    hub.deaths["kafka"] += 1
    shutil.rmtree(data)
    older.rename(data)
    for name in ("kafka", "console"):
        await asyncio.to_thread(steering.start, hub.layout, name)
    await hub.ready()
    # A hub looks level as long as nobody knows what is missing: the check has to have asked first.
    async with asyncio.timeout(60):
        while await missing(hub) == again:
            await asyncio.sleep(0.2)
    await asyncio.sleep(CHECKS_SECONDS)
    await province.keeps_every_promise(but=OF_TOPICS)
    await published_again(hub)
    await province.keeps_every_promise()


async def missing(hub: Hub) -> float:
    """How many events the publishers' receipt checks have found missing."""
    publishers = ("dossier", "payment", "citizen-db-adapter", "sync-national", "gateway")
    return sum([await hub.metric(hub.urls[name], "hub_receipts_missing_total") for name in publishers])


async def all_published(hub: Hub) -> None:
    """The broker has acknowledged everything."""
    async with asyncio.timeout(60):
        for url in hub.described.postgres.values():
            connection = await asyncpg.connect(url)
            try:
                while await connection.fetchval("SELECT count(*) FROM outbox"):
                    await asyncio.sleep(0.1)
            finally:
                await connection.close()


async def published_again(hub: Hub) -> None:
    """Everything that is kept goes to the topics once more; readers drop what they have."""
    for url in hub.described.postgres.values():
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(
                "INSERT INTO outbox (event_id, source, topic, key, value, headers) "
                "SELECT event_id, source, topic, key, value, headers FROM outbox_published ORDER BY number"
            )
        finally:
            await connection.close()
