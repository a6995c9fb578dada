"""The broker loses records that it had acknowledged (row 5). Last in its folder: the topics are not what they were."""

import asyncio
import shutil
from contextlib import suppress

import pytest

from deploy.local import steering
from sandbox.promises_events import PUBLISHERS, READERS
from tests.chaos.faults import down
from tests.chaos.hub import Hub
from tests.chaos.province import OF_TOPICS, Province

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

# The receipt checks ask every 2 s about what is older than 2 s (hub.py), a reader that is behind later.
SECONDS = 90.0


async def test_what_a_broker_lost_and_a_reader_never_saw_is_published_again(hub: Hub, province: Province) -> None:
    """Row 5: an older data folder is restored while the console has read nothing of what was published since.

    Records that every reader has taken in stay lost on the topic, and no effect lacks them: so inboxes are what counts.
    """
    data = hub.folder / "kafka" / "data"
    older = hub.folder / "kafka-older"
    async with down(hub, "kafka"):
        shutil.copytree(data, older)
    again = await missing(hub)
    await asyncio.to_thread(steering.stop, hub.layout, "console")
    hub.deaths["console"] += 1
    await province.play()
    await all_published(hub)
    await asyncio.to_thread(steering.stop, hub.layout, "kafka")
    hub.deaths["kafka"] += 1
    shutil.rmtree(data)
    older.rename(data)
    for name in ("kafka", "console"):
        await asyncio.to_thread(steering.start, hub.layout, name)
    await hub.ready()
    # A hub looks level as long as nobody knows what is missing: the check has to have asked first.
    async with asyncio.timeout(SECONDS):
        while await missing(hub) == again:
            await asyncio.sleep(0.2)
    await every_inbox_is_whole(hub)
    await province.keeps_every_promise(but=OF_TOPICS)


async def missing(hub: Hub) -> float:
    """How many events the publishers' receipt checks have found missing."""
    publishers = ("dossier", "payment", "citizen-db-adapter", "sync-national", "gateway")
    return sum([await hub.metric(hub.urls[name], "hub_receipts_missing_total") for name in publishers])


async def all_published(hub: Hub) -> None:
    """The broker has acknowledged everything."""
    async with asyncio.timeout(60):
        for package in hub.described.postgres:
            while await hub.rows(package, "SELECT FROM outbox LIMIT 1"):
                await asyncio.sleep(0.1)


async def every_inbox_is_whole(hub: Hub) -> None:
    """Every reader has taken in every event of its topics."""
    lacking: dict[str, list[str]] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            while True:
                lacking = {
                    f"{topic}, {reader}": found
                    for topic, publisher in PUBLISHERS.items()
                    for reader in READERS[topic]
                    if (found := sorted(await _written(hub, publisher, topic) - await _taken_in(hub, reader)))
                }
                if not lacking:
                    return
                await asyncio.sleep(0.5)
    assert not lacking, {which: (len(ids), ids[:3]) for which, ids in lacking.items()}


async def _written(hub: Hub, publisher: str, topic: str) -> set[str]:
    written = "SELECT source || ' ' || event_id AS name FROM {} WHERE topic = $1"
    return await _names(hub, publisher, f"{written.format('outbox')} UNION {written.format('outbox_published')}", topic)


async def _taken_in(hub: Hub, reader: str) -> set[str]:
    return await _names(hub, reader, "SELECT source || ' ' || event_id AS name FROM inbox")


async def _names(hub: Hub, service: str, query: str, *arguments: str) -> set[str]:
    return {row["name"] for row in await hub.rows(service, query, *arguments)}
