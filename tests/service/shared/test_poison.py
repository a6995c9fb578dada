"""Row 17: whatever stands on a topic is parked with its reason after five tries at most, and what follows it passes.

More than twenty bugs in five minutes stop the reader: `test_messaging.py`.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import orjson
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError

from deploy.local.databases import Urls
from shared import events, inbox
from shared.db import Database, Transaction
from shared.events import Event
from shared.inbox import Park
from shared.kafka import Kafka
from tests.service.shared.test_messaging import TOPIC, an_event, held_up, note, noted, publish, running, until


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


def good(text: str) -> bytes:
    """An event of another dossier."""
    return events.encode(an_event("good", text))


async def only_counted(_tx: Transaction, _batch: Sequence[Event]) -> Sequence[Park]:
    """Takes everything."""
    return []


class Record(NamedTuple):
    """What somebody puts on the topic, past every check of ours."""

    value: bytes | None
    key: bytes = b"poisoned"
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp_ms: int | None = None


POISON: dict[str, Record] = {
    "nothing": Record(b""),
    "a tombstone": Record(None),
    "no JSON": Record(b'{"id": "1", '),
    "no object": Record(b"[1, 2, 3]"),
    "no UTF-8": Record(b'{"id": "\xff\xfe"}'),
    "NUL in the id": Record(written(id="a\x00b")),
    "NUL in a text": Record(written(data={"text": "a\x00b"})),
    "NUL in the key": Record(b"{", key=b"\x00"),
    "NUL in a header": Record(b"{", headers=[("hub-client", b"\x00")]),
    "half a surrogate pair": Record(written().replace(b'"noted"', b'"\\ud800"')),
    "a number that is none": Record(written().replace(b'"noted"', b"1e999")),
    "nested without end": Record(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "nested deeper than can be written": Record(
        written().replace(b'"noted"', b'{"a":' * 300 + b"1" + b"}" * 300),
    ),
    "no id": Record(written(id=None)),
    "no type": Record(written(type=7)),
    "no time": Record(written(time="yesterday")),
    "a time without end": Record(written(time="y" * 100_000)),
    "data that is no object": Record(written(data=[1])),
    "an id longer than an index takes": Record(written(id=secrets.token_hex(5_000))),
    "a code longer than an index takes": Record(written(data={"dossier_code": secrets.token_hex(5_000)})),
    "a key longer than an index takes": Record(b"{", key=secrets.token_bytes(5_000)),
    "five megabytes": Record(written(data={"text": "x" * 5_000_000})),
    "five megabytes of brackets": Record(b"[" * 5_000_000),
}
"""Each with a key of its own would pass alone; on one key they stand behind each other as well."""

STRANGE: dict[str, Record] = {
    "a header without value": Record(b"", headers=[("hub-client", None)]),
    "a header that is no UTF-8": Record(b"", headers=[("hub-client", b"\xff")]),
    "long before any hub": Record(b"", timestamp_ms=0),
}
"""Around an event that is good: it passes."""


async def allow_large_records(kafka: Kafka) -> None:
    """A broker set up by others may take what ours would not."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        sizes = {"max.message.bytes": "20000000"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, kafka.topic(TOPIC), configs=sizes)])
    finally:
        await admin.close()


async def produce(kafka: Kafka, records: Sequence[Record]) -> None:
    """All to one partition, in order, past every check of ours."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=20_000_000)
    await producer.start()
    try:
        for value, key, headers, at in records:
            where = {"key": key, "partition": 0, "timestamp_ms": at, "headers": headers}
            async with asyncio.timeout(30):
                while not await _is_taken(producer.send_and_wait(kafka.topic(TOPIC), value, **where)):
                    await asyncio.sleep(0.1)
    finally:
        await producer.stop()


async def _is_taken(sending: Awaitable[object]) -> bool:
    """Not yet, while the broker has not heard of the size that the topic allows now."""
    try:
        await sending
    except MessageSizeTooLargeError:
        return False
    return True


async def parked(database: Database) -> Sequence[Any]:
    async with database.reading() as rx:
        return await rx.rows("SELECT source, owner, reason FROM parked ORDER BY id")


async def test_every_kind_of_poison_is_parked_with_its_reason_and_what_follows_it_passes(
    database: Database, kafka: Kafka
) -> None:
    """All kinds on one partition, behind each a good event of another dossier, and at the end one of the same."""
    await allow_large_records(kafka)
    behind = [Record(good(f"passes behind {kind}")) for kind in POISON]
    same = Record(events.encode(an_event("poisoned", "the dossier goes on")))
    await produce(kafka, [record for pair in zip(POISON.values(), behind, strict=True) for record in pair] + [same])
    async with running(database, kafka) as reader:
        passed = [f"passes behind {kind}" for kind in POISON]
        await noted(database, [*passed, "the dossier goes on"], seconds=60)
        assert not reader.stopped
    async with database.reading() as rx:
        rows = await rx.rows("SELECT event_id, owner, reason FROM parked ORDER BY id")
    found = {row["event_id"]: (row["owner"], row["reason"].partition(":")[0]) for row in rows}
    places = {kind: f"{kafka.topic(TOPIC)}/0/{2 * number}" for number, kind in enumerate(POISON)}
    assert {kind: found.get(place) for kind, place in places.items()} == dict.fromkeys(
        POISON, ("poison", "not an event")
    )
    assert len(rows) == len(POISON)
    assert max(len(row["reason"]) for row in rows) < 300, "what came does not stand in the reason"


async def test_a_good_event_passes_in_a_strange_record(database: Database, kafka: Kafka) -> None:
    records = [record._replace(value=good(kind)) for kind, record in STRANGE.items()]
    await produce(kafka, records)
    async with running(database, kafka):
        await noted(database, list(STRANGE))


async def test_an_event_that_has_become_larger_than_it_came_is_parked_all_the_same(
    database: Database, kafka: Kafka
) -> None:
    """A partner's event just below the limit, without the members that we write ourselves, once blocked its topic."""
    large = orjson.loads(written(data={"text": "park " + "x" * (events.MAX_BYTES - 300)}))
    del large["datacontenttype"]
    values = orjson.dumps(large).replace(
        b'"park x', b'"park ' + b" " * (events.MAX_BYTES - len(orjson.dumps(large))) + b"x"
    )
    assert len(values) == events.MAX_BYTES
    await produce(kafka, [Record(values), Record(good("passes"))])
    async with running(database, kafka):
        await noted(database, ["passes"])
        await held_up(database, (1, 0))
    [row] = await parked(database)
    assert (row["owner"], row["reason"]) == ("partner", "refused")
    async with database.transaction() as tx:
        await inbox.resume(tx, TOPIC, ["poisoned"], only_counted, parked_too=True)


async def test_what_cannot_even_be_kept_is_parked_by_its_place(
    database: Database, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the next kind is that nobody thought of: parking it fails, and its partition goes on."""
    plain = inbox.first_time

    async def cannot_keep(tx: Transaction, batch: Sequence[Event]) -> list[Event]:
        if any(event.data.get("text") == "of no known kind" and event.source != "/lgsp/poison" for event in batch):
            await tx.value("SELECT 1 / 0")
        return await plain(tx, batch)

    monkeypatch.setattr(inbox, "first_time", cannot_keep)
    await produce(kafka, [Record(written(data={"text": "of no known kind"})), Record(good("passes"))])
    async with running(database, kafka) as reader:
        await noted(database, ["passes"])
        await held_up(database, (1, 0))
        assert not reader.stopped
    [row] = await parked(database)
    assert (row["source"], row["owner"]) == ("/lgsp/poison", "hub")
    assert row["reason"] == "DivisionByZeroError; it cannot be kept: DivisionByZeroError"


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
    async with running(database, kafka, has_a_bug):  # started again without the repair
        await publish(database, an_event("other", "passes still"))
        await noted(database, ["passes", "passes too", "passes still"])
        assert await parked(database) == found
    async with running(database, kafka):  # and with it
        await noted(database, ["passes", "passes too", "passes still", "first", "second"])
        await held_up(database, (0, 0))


async def test_a_schema_too_new_is_the_handlers_to_refuse(database: Database, kafka: Kafka) -> None:
    """An envelope that can be read comes to the handler; what it cannot use is parked in the publisher's name."""

    async def knows_the_first_schema(tx: Transaction, batch: Sequence[Event]) -> Sequence[Park]:
        strange = [event for event in batch if not event.type.endswith(".v1")]
        known = [event for event in batch if event not in strange]
        return [*(Park(event, f"unknown type {event.type}", "poison") for event in strange), *(await note(tx, known))]

    await produce(kafka, [Record(written(type="vn.lgsp.test.noted.v9", id="too-new"))])
    async with running(database, kafka, knows_the_first_schema):
        await publish(database, an_event("other", "passes"))
        await noted(database, ["passes"])

        async def is_parked() -> bool:
            return [row["reason"] for row in await parked(database)] == ["unknown type vn.lgsp.test.noted.v9"]

        await until(is_parked)
