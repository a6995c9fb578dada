"""Outbox, relay, reader, inbox and parking on a real PostgreSQL and a real Apache Kafka."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import TopicPartition

from deploy.local.databases import Urls
from shared import inbox, outbox
from shared.clock import now
from shared.db import Database, NotCommitted, Transaction
from shared.errors import NotFound
from shared.events import Event, new_event
from shared.inbox import Handler, Park
from shared.kafka import PARTITIONS, Kafka
from shared.outbox import Relay
from shared.reader import MAX_BUGS, Reader

TOPIC = "lgsp.identity"


@pytest_asyncio.fixture
async def urls(service_database: Callable[[str], Awaitable[Urls]]) -> Urls:
    return await service_database("noted")


@pytest_asyncio.fixture
async def database(urls: Urls) -> AsyncIterator[Database]:
    base = Database(urls.system, pool_size=5)
    yield base
    await base.close()


@pytest.fixture
def kafka(kafka_bootstrap: str, kafka_prefix: str) -> Kafka:
    return Kafka(kafka_bootstrap, kafka_prefix)


def an_event(key: str = "H08.15-230301-0001", text: str = "noted", **members: Any) -> Event:
    return new_event("/lgsp/test", "vn.lgsp.test.noted.v1", key, now(), {"text": text, **members})


async def note(tx: Transaction, batch: Sequence[Event]) -> Sequence[Park]:
    """Notes what it reads; `park`, `wait` and `bug` in the text do what they say."""
    parks = []
    for event in batch:
        text = event.data["text"]
        if text.startswith("bug"):
            raise NotFound if "rule" in text else ZeroDivisionError
        if text.startswith("park"):
            parks.append(Park(event, "refused", "partner"))
        elif text.startswith("wait"):
            parks.append(Park(event, "too early", "partner", waiting=True))
        else:
            await tx.execute(
                "INSERT INTO note (agency_code, key, text) VALUES ('H08.15', :key, :text)", key=event.subject, text=text
            )
    return parks


@asynccontextmanager
async def running(database: Database, kafka: Kafka, handler: Handler = note) -> AsyncIterator[Reader]:
    relay = Relay(database.url, kafka, database.wake)
    reader = Reader(database, kafka, "noted", TOPIC, handler)
    async with AsyncExitStack() as stack:
        for part in (relay, reader):
            part.start()
            stack.push_async_callback(part.stop)
        yield reader


async def publish(database: Database, *new: Event) -> None:
    async with database.transaction() as tx:
        await outbox.publish(tx, TOPIC, new)


async def notes(database: Database) -> list[str]:
    async with database.reading() as rx:
        return [row["text"] for row in await rx.rows("SELECT text FROM note ORDER BY number")]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def held_up(database: Database, expected: tuple[int, int]) -> None:
    """So many are parked and so many wait, once the reader has come that far."""

    async def counted() -> tuple[int, int]:
        async with database.reading() as rx:
            return await inbox.counts(rx)

    async def holds() -> bool:
        return await counted() == expected

    try:
        await until(holds)
    except TimeoutError:
        assert await counted() == expected


async def noted(database: Database, expected: list[str], seconds: float = 20.0) -> None:
    async def holds() -> bool:
        return await notes(database) == expected

    try:
        await until(holds, seconds)
    except TimeoutError:
        assert await notes(database) == expected


async def test_what_is_committed_reaches_the_reader_in_order(database: Database, kafka: Kafka) -> None:
    async with running(database, kafka):
        await publish(database, *[an_event(text=str(number)) for number in range(1200)])
        await noted(database, [str(number) for number in range(1200)])
    async with database.reading() as rx:
        assert await rx.value("SELECT count(*) FROM outbox") == 0
        assert await rx.value("SELECT count(*) FROM outbox_published") == 1200
        assert await rx.value("SELECT count(*) FROM inbox") == 1200


async def test_rolled_back_events_are_never_published(database: Database, kafka: Kafka) -> None:
    async with running(database, kafka):
        with pytest.raises(ZeroDivisionError):
            async with database.transaction() as tx:
                await outbox.publish(tx, TOPIC, [an_event(text="never")])
                raise ZeroDivisionError
        await publish(database, an_event(text="kept"))
        await noted(database, ["kept"])


class Stumbling(Kafka):
    """Its client library fails as nobody foresaw, the first time that each side is asked for."""

    stumbled: ClassVar[set[str]] = set()

    def producer(self) -> Any:
        self._stumble("producer")
        return super().producer()

    def consumer(self, group: str | None, **settings: Any) -> Any:
        consumer = super().consumer(group, **settings)
        consumer.start = self._starting(consumer.start)
        return consumer

    def _starting(self, start: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def started() -> None:
            self._stumble("consumer")
            await start()

        return started

    def _stumble(self, side: str) -> None:
        if side not in self.stumbled:
            self.stumbled.add(side)
            raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")


async def test_neither_relay_nor_reader_ends_for_an_unforeseen_fault(database: Database, kafka: Kafka) -> None:
    """Row 7: asyncpg's own confusion, when PostgreSQL went away in the middle of a query, once ended a relay."""
    async with running(database, Stumbling(kafka.bootstrap, kafka.prefix)):
        await publish(database, an_event(text="carried all the same"))
        await noted(database, ["carried all the same"])
    assert Stumbling.stumbled == {"producer", "consumer"}


async def test_a_late_commit_with_a_smaller_id_is_not_skipped(database: Database, kafka: Kafka) -> None:
    """Row 8: the relay takes what is there, not what has a larger id than the last one."""
    async with running(database, kafka):
        async with database.transaction() as slow:
            await outbox.publish(slow, TOPIC, [an_event("H08.15-230301-0001", "slow")])
            await publish(database, an_event("H08.15-230301-0002", "fast"))
            await noted(database, ["fast"])
        await noted(database, ["fast", "slow"])


async def test_the_same_event_twice_has_one_effect(database: Database, kafka: Kafka) -> None:
    event = an_event(text="once")
    async with running(database, kafka):
        await publish(database, event, event)
        await publish(database, event, an_event(text="after"))
        await noted(database, ["once", "after"])


async def test_a_crash_between_effect_and_commit_repeats_the_batch(database: Database, kafka: Kafka) -> None:
    tries = 0

    async def dies_once(tx: Transaction, batch: Sequence[Event]) -> Sequence[Park]:
        nonlocal tries
        tries += 1
        parks = await note(tx, batch)
        if tries == 1:
            reader = asyncio.current_task()
            assert reader is not None
            reader.cancel()
            await asyncio.sleep(0)
        return parks

    await publish(database, an_event(text="a"), an_event(text="b"))
    with pytest.raises(TimeoutError):
        async with running(database, kafka, dies_once), asyncio.timeout(2):
            await noted(database, ["a", "b"])
    assert await notes(database) == []
    async with running(database, kafka, dies_once):
        await noted(database, ["a", "b"])


async def test_a_refused_event_parks_and_later_ones_of_its_dossier_behind_it(database: Database, kafka: Kafka) -> None:
    one, two = "H08.15-230301-0001", "H08.15-230301-0002"
    async with running(database, kafka):
        await publish(database, an_event(one, "park"), an_event(one, "behind"), an_event(two, "passes"))
        await publish(database, an_event(one, "behind too"))
        await publish(database, an_event(two, "passes too"))
        await noted(database, ["passes", "passes too"])
        await held_up(database, (3, 0))
    async with database.transaction() as tx:
        await inbox.resume(tx, TOPIC, [one, two], note, parked_too=True)
    async with database.reading() as rx:
        assert await inbox.counts(rx) == (3, 0), "refused again: all stay"


async def test_an_early_event_waits_and_is_taken_up_in_order(database: Database, kafka: Kafka) -> None:
    key = "H08.15-230301-0001"
    async with running(database, kafka):
        await publish(database, an_event(key, "wait for the fact"), an_event(key, "second"))
        await publish(database, an_event(key, "third"), an_event("other", "passes"))
        await noted(database, ["passes"])
        await held_up(database, (0, 3))

    async def grant(tx: Transaction, batch: Sequence[Event]) -> Sequence[Park]:
        return await note(tx, [an_event(event.subject, "now " + event.data["text"]) for event in batch])

    async with database.transaction() as tx:
        await inbox.resume(tx, TOPIC, [key], grant)
    assert await notes(database) == ["passes", "now wait for the fact", "now second", "now third"]
    async with database.reading() as rx:
        assert await inbox.counts(rx) == (0, 0)
        assert await rx.value("SELECT count(*) FROM parked_head") == 0


async def test_a_bug_is_found_by_halving_and_parked_as_ours(database: Database, kafka: Kafka) -> None:
    batch = [an_event(f"H08.15-230301-{n:04}", "bug" if n == 37 else str(n)) for n in range(60)]
    async with running(database, kafka) as reader:
        await publish(database, *batch)

        async def all_but_one() -> bool:
            return len(await notes(database)) == 59

        await until(all_but_one, 30)
        async with database.reading() as rx:
            row = await rx.row("SELECT owner, reason FROM parked")
        assert row is not None
        assert (row["owner"], row["reason"]) == ("hub", "ZeroDivisionError")
        assert not reader.stopped


async def test_a_rules_refusal_that_escapes_a_handler_is_a_bug_too(database: Database, kafka: Kafka) -> None:
    async with running(database, kafka):
        await publish(database, an_event("k", "bug in a rule"), an_event("other", "passes"))
        await noted(database, ["passes"])

        async def is_parked() -> bool:
            async with database.reading() as rx:
                return bool(await rx.value("SELECT count(*) = 1 FROM parked WHERE owner = 'hub'"))

        await until(is_parked)


async def test_too_many_bugs_stop_the_reader(database: Database, kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.reader.TRIES", 1)
    async with running(database, kafka) as reader:
        await publish(database, *[an_event(f"k{n}", "bug") for n in range(MAX_BUGS + 5)])

        async def stopped() -> bool:
            return reader.stopped

        await until(stopped)
    async with database.reading() as rx:
        parked = await rx.value("SELECT count(*) FROM parked WHERE owner = 'hub'")
    assert parked == MAX_BUGS, "the one that stopped it is not skipped"


async def test_a_reader_that_ends_by_itself_is_seen(database: Database, kafka: Kafka) -> None:
    """A client library's own cancellation once ended a reader in silence."""
    async with running(database, kafka) as reader:
        await publish(database, an_event(text="one"))
        await noted(database, ["one"])
        assert reader._task is not None
        reader._task.cancel()

        async def seen() -> bool:
            return reader.stopped

        await until(seen)


async def test_bytes_that_are_no_event_park_as_poison(database: Database, kafka: Kafka) -> None:
    """Row 17: whatever stands on the topic, the partition goes on."""
    producer = kafka.producer()
    await producer.start()
    try:
        for value in (b"", b"{", b"[]", b'{"id": 1}', b"\xff\x00"):
            await producer.send_and_wait(kafka.topic(TOPIC), value=value, key=b"k")
    finally:
        await producer.stop()
    async with running(database, kafka):
        await publish(database, an_event("other", "passes"))
        await noted(database, ["passes"])

        async def all_parked() -> bool:
            async with database.reading() as rx:
                return bool(await rx.value("SELECT count(*) = 5 FROM parked WHERE owner = 'poison'"))

        await until(all_parked)


async def test_the_reader_tells_which_events_it_has_never_seen(database: Database, kafka: Kafka) -> None:
    seen, lost = an_event(text="seen"), an_event(text="lost")
    async with running(database, kafka):
        await publish(database, seen)
        await noted(database, ["seen"])
    async with database.reading() as rx:
        assert await inbox.missing(rx, "/lgsp/test", [seen.id, lost.id]) == [lost.id]


async def test_the_api_role_sees_only_its_callers_agencies(urls: Urls, database: Database) -> None:
    async with database.transaction() as tx:
        for agency in ("H08.15", "H08.1", "H08", "H09.15"):
            await tx.execute("INSERT INTO note (agency_code, key) VALUES (:a, 'k')", a=agency)
    api = Database(urls.api, pool_size=1)
    expected = {("H08.15",): {"H08.15"}, ("H08",): {"H08", "H08.1", "H08.15"}, ("H08.1",): {"H08.1"}, (): set()}
    for agencies, visible in expected.items():
        async with api.reading(agencies) as rx:
            assert {row["agency_code"] for row in await rx.rows("SELECT agency_code FROM note")} == visible
    with pytest.raises(Exception, match="row-level security"):
        async with api.transaction(["H08.15"]) as tx:
            await tx.execute("INSERT INTO note (agency_code, key) VALUES ('H09.15', 'k')")
    with pytest.raises(Exception, match="read-only"):
        async with api.reading(["H08"]) as rx:
            await rx.rows("DELETE FROM note RETURNING 1")
    await api.close()


async def test_a_failed_statement_passed_over_in_silence_is_no_commit(database: Database) -> None:
    """PostgreSQL answers COMMIT with ROLLBACK then: nobody may take that for durable."""
    with pytest.raises(NotCommitted):
        async with database.transaction() as tx:
            await outbox.publish(tx, TOPIC, [an_event(text="never")])
            with pytest.raises(asyncpg.PostgresError):
                await tx.value("SELECT 1 / 0")
    async with database.reading() as rx:
        assert await rx.value("SELECT count(*) FROM outbox") == 0


async def test_offsets_are_committed_soon_after_the_effect_and_when_the_reader_stops(
    database: Database, kafka: Kafka
) -> None:
    async with running(database, kafka) as reader:
        await publish(database, an_event(text="one"))
        await noted(database, ["one"])
        await until(lambda: _committed(kafka, reader, 1))
        await publish(database, an_event(text="two"))
        await noted(database, ["one", "two"])
    assert await _committed(kafka, reader, 2)


async def _committed(kafka: Kafka, reader: Reader, expected: int) -> bool:
    observer = kafka.consumer(reader._group)  # what a new owner would start from
    await observer.start()
    try:
        name = kafka.topic(TOPIC)
        offsets = [await observer.committed(TopicPartition(name, number)) or 0 for number in range(PARTITIONS)]
    finally:
        await observer.stop()
    return sum(offsets) == expected
