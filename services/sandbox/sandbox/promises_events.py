"""Outbox = topic = inbox, read directly from databases and broker; nothing parked or waiting; the log verifies.

One set of event identities is held at a time (a province-year has a million events on `lgsp.dossier`); the other
sides are streamed past it.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Collection
from typing import Any

import asyncpg
import orjson

from sandbox.promise import Findings, Promise, of_differences, of_sets
from sandbox.replay_stack import Stack
from shared.kafka import Kafka

_SETTLE_TRIES = 20
_READERS_SECONDS = 30.0
"""More than a killed reader's partitions wait for their next owner."""
_PAGE = 5000
_METADATA_SECONDS = 20
_RECOVERED_SECONDS = 150
"""Longer than the gateway waits before it takes an exchange for lost (HUB_RECOVER_AFTER_SECONDS)."""
PUBLISHERS = {
    "lgsp.dossier": "dossier",
    "lgsp.identity": "citizen_db_adapter",
    "lgsp.payment": "payment",
    "lgsp.sync": "sync_national",
    "lgsp.ministry": "gateway",
}
WITH_EFFECTS = {"gateway", "dossier", "payment", "citizen_db_adapter", "sync_national"}
"""The services whose tables name the exchange that each effect came by."""
READERS = {
    "lgsp.dossier": ("payment", "citizen_db_adapter", "sync_national", "console"),
    "lgsp.identity": ("dossier", "console"),
    "lgsp.payment": ("dossier", "console"),
    "lgsp.sync": ("console",),
    "lgsp.ministry": ("dossier",),
}
_LEFT = "SELECT key, reader, reason, waiting FROM parked ORDER BY id"
_LEFT_OF_MINISTRIES = """
SELECT key, reader, reason, waiting FROM parked
UNION ALL SELECT dossier_code, 'lgsp.ministry', reason, state = 'waiting' FROM ministry_event
WHERE state NOT IN ('applied', 'past')
"""


async def check(stack: Stack, codes: Collection[str]) -> Findings:
    """`codes`: the dossiers whose parked and waiting events count (others belong to somebody else)."""
    promises = [await _nothing_left(stack, codes)]
    figures: dict[str, Any] = {}
    settled = time.monotonic() + _READERS_SECONDS
    for topic in PUBLISHERS:
        promise, counted = await _equal_sets(stack, topic)
        while not promise.holds and time.monotonic() < settled:
            # A hub is level while a reader whose effects nobody waits for may still wait for its partitions.
            await asyncio.sleep(1.0)
            promise, counted = await _equal_sets(stack, topic)
        promises.append(promise)
        figures[topic] = counted
    promises.append(await log_is_complete(stack))
    return Findings(promises, figures)


async def _nothing_left(stack: Stack, codes: Collection[str]) -> Promise:
    """Nothing unpublished, parked or waiting. The last acknowledgements may still be on their way: looks again."""
    left: list[str] = []
    for _ in range(_SETTLE_TRIES):
        left = []
        for package, url in stack.postgres.items():
            connection = await asyncpg.connect(url)
            try:
                unpublished = await connection.fetchval("SELECT count(*) FROM outbox")
                if unpublished:
                    left.append(f"{package}: {unpublished} events unpublished")
                rows = await connection.fetch(_LEFT_OF_MINISTRIES if package == "dossier" else _LEFT)
                own = [row for row in rows if row["key"] in codes]
                for row in own[:3]:
                    state = "waits" if row["waiting"] else "is parked"
                    left.append(f"{package}: an event of {row['key']} {state} ({row['reason']})")
                if len(own) > 3:
                    left.append(f"{package}: {len(own)} events parked or waiting")
            finally:
                await connection.close()
        if not left:
            break
        await asyncio.sleep(0.5)
    return of_differences("nothing is parked, nothing waits, every outbox is empty", "0 events", left)


async def _equal_sets(stack: Stack, topic: str) -> tuple[Promise, dict[str, int]]:
    """What the publisher wrote, what the topic has and what each reader took in are the same set."""
    publisher = PUBLISHERS[topic]
    written = {
        identity
        async for identity in _rows(
            stack.postgres[publisher],
            "SELECT source, event_id FROM outbox_published WHERE topic = $1 "
            "UNION ALL SELECT source, event_id FROM outbox WHERE topic = $1",
            topic,
        )
    }
    sides: dict[str, tuple[int, int]] = {}
    counted = {"written": len(written)}
    on_topic: set[bytes] = set()
    records = 0
    async for identity in _topic(stack, topic):
        records += 1
        on_topic.add(identity)
    sides["topic"] = (len(written - on_topic), len(on_topic - written))
    counted["records"], counted["on_topic"] = records, len(on_topic)
    del on_topic
    # The hub's own sources are paths; a partner's source has its client in front.
    own = "source LIKE '/lgsp/%'"
    of_topic = f"NOT {own}" if topic == "lgsp.ministry" else f"source = '/lgsp/{publisher.replace('_', '-')}'"
    for reader in READERS[topic]:
        known, unknown = 0, 0
        async for identity in _rows(stack.postgres[reader], f"SELECT source, event_id FROM inbox WHERE {of_topic}"):  # noqa: S608 - names from the tables above
            if identity in written:
                known += 1
            else:
                unknown += 1
        # (source, event_id) is the inbox's primary key: as many known ones as written means each of them once.
        sides[f"inbox of {reader}"] = (len(written) - known, unknown)
        counted[f"inbox_{reader}"] = known + unknown
    expected = f"{len(written)} events written"
    found = f"{len(written)} on the topic and in {len(READERS[topic])} inboxes"
    return of_sets(f"outbox = topic = inbox for {topic}", expected, sides, found), counted


async def _rows(url: str, query: str, *arguments: str) -> AsyncIterator[bytes]:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(readonly=True):
            async for row in connection.cursor(query, *arguments, prefetch=_PAGE):
                yield _identity(row[0], row[1])
    finally:
        await connection.close()


async def _topic(stack: Stack, name: str) -> AsyncIterator[bytes]:
    """Every record from offset zero to the present end."""
    kafka = Kafka(stack.kafka, stack.kafka_prefix)
    topic = kafka.topic(name)
    consumer = kafka.consumer(None)
    await consumer.start()
    try:
        # Without a group a subscription is an assignment of every partition, once the cluster has been asked.
        consumer.subscribe([topic])
        async with asyncio.timeout(_METADATA_SECONDS):
            while not (partitions := list(consumer.assignment())):
                await asyncio.sleep(0.02)
        starts = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        waiting = {partition for partition in partitions if ends[partition] > starts[partition]}
        for partition in partitions:
            consumer.seek(partition, starts[partition])
        while waiting:
            batches = await consumer.getmany(*waiting, timeout_ms=1000, max_records=_PAGE)
            for partition, records in batches.items():
                for record in records:
                    if record.offset < ends[partition]:
                        yield _identity_of_record(record)
            waiting = {each for each in waiting if await consumer.position(each) < ends[each]}
    finally:
        await consumer.stop()


def _identity_of_record(record: Any) -> bytes:
    event = orjson.loads(record.value)
    client = next((value.decode() for name, value in record.headers if name == "hub-client"), None)
    return _identity(f"{client} {event['source']}" if client else event["source"], event["id"])


def _identity(source: str, event_id: str) -> bytes:
    """Source and id; the hub's own events of one topic have one source and a UUID: 16 bytes."""
    if source.startswith("/lgsp/"):
        return bytes.fromhex(event_id.replace("-", ""))
    return f"{source}\0{event_id}".encode()


async def log_is_complete(stack: Stack) -> Promise:
    """Every effect's exchange has its record. One whose gateway was killed is recovered a while later."""
    ends = time.monotonic() + _RECOVERED_SECONDS
    while True:
        kept = set()
        for package in stack.postgres.keys() & WITH_EFFECTS:
            kept |= {row async for row in _ids(stack, package, "SELECT DISTINCT exchange_id FROM exchange_effect")}
        recorded = {row async for row in _ids(stack, "gateway", "SELECT id::text FROM exchange")}
        lacking = sorted(kept - recorded)
        if not lacking or time.monotonic() > ends:
            break
        await asyncio.sleep(1.0)
    return of_differences("every effect has its exchange in the log", f"{len(kept)} exchanges", lacking)


async def _ids(stack: Stack, package: str, query: str) -> AsyncIterator[str]:
    connection = await asyncpg.connect(stack.postgres[package])
    try:
        async with connection.transaction(readonly=True):
            async for row in connection.cursor(query, prefetch=_PAGE):
                if row[0] is not None:
                    yield row[0]
    finally:
        await connection.close()


async def log_verifies(stack: Stack) -> Promise:
    """The gateway's own checker over its hash chains."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    environment["HUB_DATABASE_SYSTEM_URL"] = stack.postgres["gateway"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "audit", "verify"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    last = (said.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
    return Promise("the exchange log verifies", process.returncode == 0, "an unbroken chain", last[:300])
