"""Row 6: copies of a reader join, leave and fall silent in mid-batch; every event has its effect once, in order."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from deploy.local.databases import Urls
from shared import outbox
from shared.clock import now
from shared.db import Database, Transaction
from shared.events import Event, new_event
from shared.inbox import Park
from shared.kafka import Kafka
from shared.outbox import Relay
from shared.reader import Reader

TOPIC = "lgsp.identity"
DOSSIERS, VERSIONS = 40, 30


class Impatient(Kafka):
    """A handler may take a second between two polls; then the broker gives its partitions to another copy."""

    def consumer(self, group: str | None, **settings: Any) -> Any:
        return super().consumer(group, max_poll_interval_ms=1000, **settings)


@pytest_asyncio.fixture
async def database(service_database: Callable[[str], Awaitable[Urls]]) -> AsyncIterator[Database]:
    base = Database((await service_database("noted")).system, pool_size=8)
    yield base
    await base.close()


@pytest.fixture
def kafka(kafka_bootstrap: str, kafka_prefix: str) -> Kafka:
    return Kafka(kafka_bootstrap, kafka_prefix, session_seconds=6.0)


class Handling:
    """Notes what it reads, slowly."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.calls = 0
        self.under_way = 0

    async def note(self, tx: Transaction, batch: Sequence[Event]) -> Sequence[Park]:
        self.calls += 1
        self.under_way += 1
        try:
            for event in batch:
                await tx.execute(
                    "INSERT INTO note (agency_code, key, text) VALUES ('H08.15', :key, :text)",
                    key=event.subject,
                    text=event.data["text"],
                )
            await asyncio.sleep(self.seconds)
        finally:
            self.under_way -= 1
        return []

    async def until(self, calls: int) -> None:
        """So many batches were begun, and one is in hand."""
        async with asyncio.timeout(60):
            while self.calls < calls or not self.under_way:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def a_copy(database: Database, kafka: Kafka, handling: Handling) -> AsyncIterator[Reader]:
    reader = Reader(database, kafka, "noted", TOPIC, handling.note)
    reader.start()
    yield reader
    await reader.stop()


async def publish(database: Database, enough: asyncio.Event) -> dict[str, list[str]]:
    """Thirty events of each of forty dossiers, version by version, and more until it is enough; what each should note.

    However much one copy takes at once, there is something left for the next one.
    """
    expected: dict[str, list[str]] = {f"H08.15-230301-{number:04d}": [] for number in range(DOSSIERS)}
    for version in itertools.count():
        if version >= VERSIONS:
            if enough.is_set():
                break
            await asyncio.sleep(0.1)
        for code, texts in expected.items():
            texts.append(f"version {version} of {code}")
        new = [
            new_event("/lgsp/test", "vn.lgsp.test.noted.v1", code, now(), {"text": texts[-1]})
            for code, texts in expected.items()
        ]
        async with database.transaction() as tx:
            await outbox.publish(tx, TOPIC, new)
    return expected


async def all_noted(database: Database, expected: dict[str, list[str]]) -> None:
    """Everything, once, each dossier's in order; nothing more comes."""
    total = sum(map(len, expected.values()))

    async def counted() -> int:
        async with database.reading() as rx:
            return int(await rx.value("SELECT count(*) FROM note"))

    async with asyncio.timeout(90):
        while await counted() < total:
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)
    found: dict[str, list[str]] = {code: [] for code in expected}
    async with database.reading() as rx:
        for row in await rx.rows("SELECT key, text FROM note ORDER BY number"):
            found[row["key"]].append(row["text"])
        assert await rx.value("SELECT count(*) FROM inbox") == total
    assert found == expected


async def test_copies_join_and_leave_in_mid_batch(database: Database, kafka: Kafka) -> None:
    handling = Handling(0.05)
    relay = Relay(database.url, kafka, database.wake)
    relay.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(relay.stop)
        await stack.enter_async_context(a_copy(database, kafka, handling))
        enough = asyncio.Event()
        publishing = asyncio.create_task(publish(database, enough))
        for calls in (2, 5, 8):
            await handling.until(calls)
            async with a_copy(database, kafka, handling), a_copy(database, kafka, handling):
                await handling.until(handling.calls + 2)
        enough.set()
        await all_noted(database, await publishing)


async def test_a_handler_slower_than_the_broker_waits_repeats_nothing(database: Database, kafka: Kafka) -> None:
    """The broker takes its partitions away in mid-batch: what it then commits late has no effect a second time."""
    kafka = Impatient(kafka.bootstrap, kafka.prefix, kafka.session_seconds)
    slow, quick = Handling(0.01), Handling(0.01)
    relay = Relay(database.url, kafka, database.wake)
    relay.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(relay.stop)
        await stack.enter_async_context(a_copy(database, kafka, slow))
        enough = asyncio.Event()
        publishing = asyncio.create_task(publish(database, enough))
        await slow.until(1)
        slow.seconds = 4.0
        await slow.until(slow.calls + 1)
        slow.seconds = 0.01
        await stack.enter_async_context(a_copy(database, kafka, quick))
        await quick.until(1)  # the other copy took over
        enough.set()
        await all_noted(database, await publishing)
