"""Row 17: whatever stands on a topic is parked with its reason after five tries at most, and what follows it passes.

More than twenty bugs in five minutes stop the reader: `test_messaging.py`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.local.databases import Urls
from shared import events, inbox
from shared.db import Database, Transaction
from shared.events import Event
from shared.inbox import Park
from shared.kafka import Kafka
from tests.service.shared.test_messaging import TOPIC, an_event, note, noted, publish, running, until


@pytest_asyncio.fixture
async def database(service_database: Callable[[str], Awaitable[Urls]]) -> AsyncIterator[Database]:
    base = Database((await service_database("noted")).system, pool_size=5)
    yield base
    await base.close()


@pytest.fixture
def kafka(kafka_bootstrap: str, kafka_prefix: str) -> Kafka:
    return Kafka(kafka_bootstrap, kafka_prefix)


def written(**members: Any) -> bytes:
    """An event as it stands on a topic, with these members instead of its own."""
    return orjson.dumps(orjson.loads(events.encode(an_event("poisoned"))) | members)


POISON: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b'{"id": "1", ',
    "no object": b"[1, 2, 3]",
    "no UTF-8": b'{"id": "\xff\xfe"}',
    "NUL in a text": written(id="a\x00b"),
    "a number that is none": written().replace(b'"noted"', b"1e999"),
    "nested without end": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "no id": written(id=None),
    "no type": written(type=7),
    "no time": written(time="yesterday"),
    "data that is no object": written(data=[1]),
    "five megabytes": written(data={"text": "x" * 5_000_000}),
}


async def allow_large_records(kafka: Kafka) -> None:
    """A broker set up by others may take what ours would not."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        sizes = {"max.message.bytes": "20000000"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, kafka.topic(TOPIC), configs=sizes)])
    finally:
        await admin.close()


async def produce(kafka: Kafka, values: Sequence[bytes]) -> None:
    """All to the partition of one key, in order, past every check of ours."""
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=20_000_000)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(kafka.topic(TOPIC), value, partition=0)
    finally:
        await producer.stop()


async def parked(database: Database) -> Sequence[Any]:
    async with database.reading() as rx:
        return await rx.rows("SELECT source, owner, reason FROM parked ORDER BY id")


async def test_poison_is_parked_with_its_reason_and_the_partition_goes_on(database: Database, kafka: Kafka) -> None:
    await allow_large_records(kafka)
    await produce(kafka, [*POISON.values(), events.encode(an_event("poisoned", "passes"))])
    async with running(database, kafka) as reader:
        await noted(database, ["passes"])
        found = await parked(database)
        assert [row["owner"] for row in found] == ["poison"] * len(POISON)
        assert all(row["reason"].startswith("not an event: ") for row in found)
        assert not reader.stopped


async def test_what_is_parked_as_ours_passes_once_the_bug_is_mended(database: Database, kafka: Kafka) -> None:
    """Five tries, parked with the fault's name, the next ones of its dossier behind it; re-driven in their order."""
    tries = 0

    async def has_a_bug(tx: Transaction, batch: Sequence[Event]) -> Sequence[Park]:
        nonlocal tries
        for event in batch:
            if event.data["text"] == "first":
                tries += len(batch) == 1
                raise ZeroDivisionError
        return await note(tx, batch)

    async with running(database, kafka, has_a_bug):
        await publish(database, an_event("one", "first"), an_event("other", "passes"))
        await noted(database, ["passes"])

        async def is_parked() -> bool:
            return len(await parked(database)) == 1

        await until(is_parked)
        assert tries == 5
        await publish(database, an_event("one", "second"), an_event("other", "passes too"))
        await noted(database, ["passes", "passes too"])
        found = await parked(database)
        assert [(row["owner"], row["reason"]) for row in found] == [
            ("hub", "ZeroDivisionError"),
            ("partner", "behind an earlier event"),
        ]
    async with database.transaction() as tx:
        await inbox.resume(tx, TOPIC, ["one"], note, parked_too=True)
    await noted(database, ["passes", "passes too", "first", "second"])
    async with database.reading() as rx:
        assert await inbox.counts(rx) == (0, 0)


async def test_a_schema_too_new_is_the_handlers_to_refuse(database: Database, kafka: Kafka) -> None:
    """An envelope that can be read comes to the handler; what it cannot use is parked in the publisher's name."""

    async def knows_the_first_schema(tx: Transaction, batch: Sequence[Event]) -> Sequence[Park]:
        strange = [event for event in batch if not event.type.endswith(".v1")]
        known = [event for event in batch if event not in strange]
        return [*(Park(event, f"unknown type {event.type}", "poison") for event in strange), *(await note(tx, known))]

    await produce(kafka, [written(type="vn.lgsp.test.noted.v9", id="too-new")])
    async with running(database, kafka, knows_the_first_schema):
        await publish(database, an_event("other", "passes"))
        await noted(database, ["passes"])

        async def is_parked() -> bool:
            return [row["reason"] for row in await parked(database)] == ["unknown type vn.lgsp.test.noted.v9"]

        await until(is_parked)
