"""The reader's loop: Kafka to handler, at least once from the broker, once in effect.

| what comes                         | what happens                                                         |
|------------------------------------|----------------------------------------------------------------------|
| a batch (what one poll brings)     | one transaction: inbox, handler, parking                             |
| nothing, or a quarter of a second  | the offsets of what was applied are committed                        |
| not an event, or over a mebibyte   | parked as poison at once                                             |
| what cannot even be fetched        | read record by record up to it, stepped over, parked as poison       |
| the handler returns `Park`         | parked with reason and owner; later ones of the dossier behind it    |
| PostgreSQL away, deadlock          | rolled back, the same batch again                                    |
| any other exception (a bug)        | rolled back, halved until it stands alone, 5 tries, parked as `hub`  |
| more than 20 such parks in 5 min   | the reader stops, visibly: then the fault is ours                    |

While a batch is applied nothing is fetched, and after it the reader rests for as long as it took: the busier the
machine, the more events share a transaction, an answer of the broker and a flush of the disk. Offsets lag behind the
effects; who starts from an older one finds the events in the inbox.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from shared import clock, events, inbox, unreadable
from shared.crashpoint import crashpoint
from shared.db import Database, Transaction
from shared.errors import HubError, Overloaded
from shared.events import Event, MalformedEvent
from shared.inbox import Handler, Park
from shared.kafka import Kafka, running
from shared.telemetry import COUNTERS, GAUGES, log

MAX_RECORDS = 500
TRIES = 5
MAX_BUGS, BUG_WINDOW_SECONDS = 20, 300.0
_COMMIT_SECONDS, _COMMIT_DEADLINE_SECONDS = 0.25, 5.0
_POSITION_SECONDS = 5.0
_LONGEST_REST_SECONDS = 0.1
_LARGEST_BYTES = 1_048_576
"""Of a record's value. Kafka's own default, above everything that is ever published (`events.MAX_BYTES`)."""
_LONGEST_KEY = 200


class ReaderStopped(Exception):
    """Too many events failed for a fault of ours: going on would only park the rest."""


class ReaderBehind(Overloaded):
    """Whether an event is missing cannot be said before everything published by then has been read."""

    code, title = "reader_behind", "The reader has not come that far yet"


class Reader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """One service on one topic."""

    def __init__(self, database: Database, kafka: Kafka, service: str, topic: str, handler: Handler) -> None:
        self.topic = topic
        self._database = database
        self._kafka = kafka
        self._group = kafka.group(service, topic)
        self._handler = handler
        self._busy = asyncio.Lock()
        self._bugs: deque[float] = deque()
        self._consumer: Any = None
        self._applied: dict[Any, int] = {}
        """Partition → the offset after what was applied, until it is committed."""
        self._unreadable = 0
        """How often the client library failed at what it had fetched, since somebody looked where."""
        self._committed_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._is_ending = self._has_redriven = False
        self.stopped = False

    def start(self) -> None:
        """Begin reading, in the background."""
        self._task = asyncio.create_task(self._run(), name=f"reader {self.topic}")
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Finish the batch in hand, commit its offsets, then leave the group."""
        if self._task:
            async with self._busy:
                with suppress(KafkaError, OSError):
                    await self._commit()
                self._is_ending = True
                self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _ended(self, _task: Any) -> None:
        """A reader that ended by itself is as visible as one that was stopped: nobody reads its topic any more."""
        if not self._is_ending:
            self.stopped = True
            GAUGES.reader_stopped.labels(self.topic).set(1)
            log.critical("reader_ended", topic=self.topic)

    async def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ARG002 - the signature is aiokafka's
        """Called before a partition is given up: wait for the batch in hand, commit its offsets."""
        async with self._busy:
            with suppress(KafkaError, OSError):
                await self._commit()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Nothing to prepare: positions come from the committed offsets."""

    async def has_read_until(self, moment_ms: int) -> bool:
        """Whether every record published before `moment_ms` (epoch) has been taken in by the group."""
        consumer = self._consumer
        if consumer is None:
            return False
        try:
            async with asyncio.timeout(_POSITION_SECONDS):  # a consumer that was stopped would be asked for ever
                return await self._stands_behind(consumer, moment_ms)
        except (KafkaError, TimeoutError) as fault:  # what the broker cannot tell now is asked again later
            log.info("reader_position_unknown", topic=self.topic, fault=repr(fault))
            return False

    async def _stands_behind(self, consumer: Any, moment_ms: int) -> bool:
        name = self._kafka.topic(self.topic)
        partitions = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name) or ()]
        at = await consumer.offsets_for_times(dict.fromkeys(partitions, moment_ms))
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            needed = at[partition].offset if at.get(partition) else ends[partition]
            read = self._applied.get(partition) or await consumer.committed(partition) or 0
            if read < needed:
                return False
        return bool(partitions)

    async def _run(self) -> None:
        while not self.stopped:
            try:
                if not self._has_redriven:
                    await self._redrive()
                consumer = self._kafka.consumer(self._group)
                consumer.subscribe([self._kafka.topic(self.topic)], listener=self)
                async with running(consumer):
                    await self._read_with(consumer)
            except HubError as fault:
                log.warning("reader_waits", topic=self.topic, fault=fault.internal or fault.message)
                await asyncio.sleep(0.5)
            except (KafkaError, OSError) as fault:
                self._unreadable += isinstance(fault, unreadable.FAULTS)
                log.warning("reader_interrupted", topic=self.topic, fault=repr(fault))
                await asyncio.sleep(0.5)
            except ReaderStopped:
                self.stopped = True
                log.critical("reader_stopped", topic=self.topic, bugs=len(self._bugs))
            except Exception as fault:
                self._unreadable += isinstance(fault, unreadable.FAULTS)
                # A loop that ended here would read nothing for ever after, and nobody would see it.
                COUNTERS.bugs.labels(f"reader {self.topic}").inc()
                log.exception("reader_failed", topic=self.topic)
                await asyncio.sleep(0.5)

    async def _read_with(self, consumer: Any) -> None:
        """Only one that is started can be asked where it stands, and told how far it has come."""
        self._consumer = consumer
        try:
            await self._read()
        finally:
            self._consumer = None
            self._applied.clear()

    async def _read(self) -> None:
        if self._unreadable >= TRIES:
            self._unreadable = 0
            async with self._busy:
                for partition in self._consumer.assignment():
                    await self._step_over_in(partition)
        while True:
            patience_ms = 250 if self._applied else 500
            batches = await self._consumer.getmany(timeout_ms=patience_ms, max_records=MAX_RECORDS)
            started = time.monotonic()
            async with self._busy:
                # What was given up meanwhile is left to its new owner, who starts from the committed offset.
                own = {it: records for it, records in batches.items() if it in self._consumer.assignment()}
                if own:
                    self._consumer.pause(*self._consumer.assignment())
                    await self._take(own)
                if not own or started - self._committed_at > _COMMIT_SECONDS:
                    await self._commit()
            if own:
                await asyncio.sleep(min(time.monotonic() - started, _LONGEST_REST_SECONDS))
                self._consumer.resume(*self._consumer.paused())

    async def _redrive(self) -> None:
        """Try again what was parked, dossier by dossier: this start may have brought the repair."""
        async with self._database.reading() as rx:
            keys = await inbox.parked_keys(rx, self.topic)
        for key in keys:
            async with self._database.transaction() as tx:
                await inbox.resume(tx, self.topic, [key], self._tried, parked_too=True)
        self._has_redriven = True
        if keys:
            log.info("parked_events_tried_again", topic=self.topic, dossiers=len(keys))

    async def _tried(self, tx: Transaction, batch: Sequence[Event]) -> Sequence[Park]:
        """What its handler says of an event (one: a dossier's next); where that still fails, the event stays parked."""
        try:
            async with tx.savepoint():
                return await self._handler(tx, batch)
        except Exception as fault:
            if _is_deadlock(fault) or (isinstance(fault, HubError) and fault.retryable):
                raise
            COUNTERS.bugs.labels(f"reader {self.topic}").inc()
            log.error("event_failed", topic=self.topic, ids=[event.id for event in batch], exc_info=fault)
            return [Park(event, type(fault).__name__, "hub") for event in batch]

    async def _step_over_in(self, partition: Any) -> None:
        """Take what can be read of it up to the first place that cannot, and go on behind that.

        The events in between are not in the inbox: their publishers' receipt checks send them again.
        """
        found = await unreadable.read_carefully(self._kafka, partition, await self._consumer.position(partition))
        for first in range(0, len(found.records), MAX_RECORDS):
            await self._apply(found.records[first : first + MAX_RECORDS])
        if found.end < 0:
            return
        where = f"{partition.topic}/{partition.partition}/{found.start}"
        hole = Event(where, inbox.NO_EVENT, "vn.lgsp.poison.v1", where, clock.now(), {"up_to": found.end - 1})
        async with self._database.transaction() as tx:
            if await inbox.first_time(tx, [hole]):
                await inbox.park(tx, self.topic, [Park(hole, "the broker cannot hand it over whole", "poison")])
        COUNTERS.events_parked.labels(self.topic, "poison").inc()
        log.error("records_unreadable", topic=self.topic, first=where, up_to=found.end - 1)
        self._consumer.seek(partition, found.end)
        self._applied[partition] = found.end

    async def _take(self, batches: Mapping[Any, Sequence[Any]]) -> None:
        """Apply what came at once, and note how far that is."""
        try:
            await self._apply([record for records in batches.values() for record in records])
        except HubError as fault:  # only what passes by itself comes up to here: the database is away
            log.warning("reader_waits", topic=self.topic, fault=fault.internal or fault.message)
            for partition, records in batches.items():
                with suppress(IllegalStateError):  # no longer ours
                    self._consumer.seek(partition, records[0].offset)
            await asyncio.sleep(0.5)
            return
        crashpoint("reader.after_effect")
        COUNTERS.events_read.labels(self.topic).inc(sum(map(len, batches.values())))
        self._applied.update({it: records[-1].offset + 1 for it, records in batches.items()})

    async def _commit(self) -> None:
        """Commit the offsets of what was applied."""
        self._committed_at = time.monotonic()
        if not self._applied:
            return
        offsets, self._applied = self._applied, {}
        try:
            async with asyncio.timeout(_COMMIT_DEADLINE_SECONDS):  # aiokafka would try for ever
                await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as fault:
            # A partition was taken away in between: its new owner reads the batch again and drops the repeats.
            log.info("reader_offsets_not_committed", topic=self.topic, fault=repr(fault))

    async def _apply(self, records: Sequence[Any], tries: int = 1) -> None:
        try:
            await self._in_one_transaction(records)
        except Exception as fault:
            if isinstance(fault, HubError) and fault.retryable:
                raise
            if _is_deadlock(fault):
                await asyncio.sleep(0.02 * tries)
                await self._apply(records, tries + 1)
            elif len(records) > 1:
                middle = len(records) // 2
                await self._apply(records[:middle])
                await self._apply(records[middle:])
            elif tries < TRIES:
                await asyncio.sleep(0.05 * 2**tries)
                await self._apply(records, tries + 1)
            else:
                await self._park_bug(records[0], fault)

    async def _in_one_transaction(self, records: Sequence[Any]) -> None:
        batch, poison = _decode(records)
        async with self._database.transaction() as tx:
            fresh = await inbox.first_time(tx, [*batch, *(park.event for park in poison)])
            known = {id(event) for event in fresh}
            parks = await inbox.apply(tx, self.topic, [e for e in batch if id(e) in known], self._handler)
            await inbox.park(tx, self.topic, [park for park in poison if id(park.event) in known])
        for park in [*parks, *poison]:
            if not park.waiting:
                COUNTERS.events_parked.labels(self.topic, park.owner).inc()
                log.warning("event_parked", topic=self.topic, id=park.event.id, owner=park.owner)

    async def _park_bug(self, record: Any, fault: Exception) -> None:
        COUNTERS.bugs.labels(f"reader {self.topic}").inc()
        log.error("event_failed", topic=self.topic, offset=record.offset, exc_info=fault)
        self._count_bug()
        reason = f"{type(fault).__name__}"
        try:
            await self._park_as_ours(record, reason)
        except Exception as second:
            if _is_deadlock(second) or (isinstance(second, HubError) and second.retryable):
                raise
            # It cannot be kept as it is either. What stands in its place can always be: nothing blocks a partition.
            log.error("event_cannot_be_kept", topic=self.topic, offset=record.offset, exc_info=second)
            husk = Park(_husk(record), f"{reason}; it cannot be kept: {type(second).__name__}", "hub")
            async with self._database.transaction() as tx:
                if await inbox.first_time(tx, [husk.event]):
                    await inbox.park(tx, self.topic, [husk])

    async def _park_as_ours(self, record: Any, reason: str) -> None:
        async def refuse(_tx: Transaction, batch: Sequence[Event]) -> Sequence[Park]:
            return [Park(event, reason, "hub") for event in batch]

        batch, poison = _decode([record])
        async with self._database.transaction() as tx:
            fresh = await inbox.first_time(tx, [*batch, *(park.event for park in poison)])
            if fresh and batch:
                await inbox.apply(tx, self.topic, batch, refuse)
            elif fresh:
                await inbox.park(tx, self.topic, poison)

    def _count_bug(self) -> None:
        present = time.monotonic()
        self._bugs.append(present)
        while self._bugs and self._bugs[0] < present - BUG_WINDOW_SECONDS:
            self._bugs.popleft()
        if len(self._bugs) > MAX_BUGS:
            raise ReaderStopped


def _is_deadlock(fault: Exception) -> bool:
    """40P01 deadlock, 40001 serialisation, 55P03 lock not available: the same batch passes the next time."""
    return getattr(fault, "sqlstate", None) in {"40P01", "40001", "55P03"}


def _decode(records: Sequence[Any]) -> tuple[list[Event], list[Park]]:
    batch: list[Event] = []
    poison: list[Park] = []
    for record in records:
        try:
            if len(record.value or b"") > _LARGEST_BYTES:
                raise MalformedEvent("it is larger than any event")
            headers = {_text(name): _text(value) for name, value in record.headers}
            batch.append(events.decode(record.value or b"", headers, _moment(record)))
        except MalformedEvent as fault:
            poison.append(Park(_husk(record), f"not an event: {fault.internal or fault.message}", "poison"))
    return batch, poison


def _husk(record: Any) -> Event:
    """Something to park in the place of bytes that are no event, named by where they stand.

    It holds no dossier up: if an event has been spoilt, its publisher's receipt check sends it again.
    """
    where = f"{record.topic}/{record.partition}/{record.offset}"
    found = {"key": _text(record.key)[:_LONGEST_KEY], "text": _text((record.value or b"")[:4096])}
    return Event(where, inbox.NO_EVENT, "vn.lgsp.poison.v1", where, _moment(record), found)


def _moment(record: Any) -> datetime:
    """When it was published, if the timestamp is one at all."""
    try:
        return events.moment_of(record.timestamp)
    except (OverflowError, ValueError, OSError):
        return clock.now()


def _text(value: bytes | str | None) -> str:
    """As much of it as PostgreSQL can keep."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
    return text.replace("\x00", "\ufffd")
