"""The outbox: the only way anything is published.

`publish` writes rows in the transaction of the effect. The `Relay` of the process carries them to Kafka: one per
database (session advisory lock; another copy takes over when it dies), in id order, never "id > last", because a
transaction with a smaller id may commit later. Published rows move to the day partitions in one statement.
A crash between Kafka's acknowledgement and that statement publishes again: duplicates are harmless (`inbox`).
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import orjson
from aiokafka.errors import KafkaError

from shared import events
from shared.crashpoint import crashpoint
from shared.db import ANSWER_SECONDS, BY_KEYS, Transaction
from shared.events import Event
from shared.kafka import Kafka, running
from shared.telemetry import COUNTERS, GAUGES, log

KEEP_DAYS = 35
_BATCH = 500
_LONGEST_REST_SECONDS = 0.05
_LOCK = 7_236_411
_INSERT = """
INSERT INTO outbox (event_id, source, topic, key, value, headers)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[])
"""
_NEXT = "SELECT id, topic, key, value, headers FROM outbox ORDER BY id LIMIT $1"
_MOVE = """
WITH gone AS (DELETE FROM outbox WHERE id = ANY($1::bigint[]) RETURNING *)
INSERT INTO outbox_published (event_id, source, topic, key, value, headers, recorded_at)
SELECT event_id, source, topic, key, value, headers, recorded_at FROM gone ORDER BY id
"""


async def publish(tx: Transaction, topic: str, new: Sequence[Event], key: Callable[[Event], str] | None = None) -> None:
    """Write events to the outbox in this transaction. `key` defaults to the subject (the dossier's code).

    Call it while the dossiers' rows are locked: the ids drawn here are what keeps the order per dossier.
    """
    if not new:
        return
    tx.publishes = True
    await tx.raw.execute(
        _INSERT,
        [event.id for event in new],
        [event.origin for event in new],
        [topic] * len(new),
        [key(event) if key else event.subject for event in new],
        [events.encode(event).decode() for event in new],
        [orjson.dumps(dict(event.headers)).decode() if event.headers else None for event in new],
    )


class Relay:
    """Carries the outbox to Kafka. `wake` is set by commits of this process; the poll finds other copies' rows."""

    def __init__(self, url: str, kafka: Kafka, wake: asyncio.Event, *, poll_seconds: float = 0.25) -> None:
        self._url = url
        self._kafka = kafka
        self._wake = wake
        self._poll_seconds = poll_seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin carrying, in the background."""
        self._task = asyncio.create_task(self._run(), name="relay")

    async def stop(self) -> None:
        """Stop; what is not yet carried stays in the outbox."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self._lead()
            except (
                OSError,
                KafkaError,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
                TimeoutError,
            ) as fault:
                # Both neighbours come back by themselves; the rows wait in the outbox.
                log.warning("relay_interrupted", fault=repr(fault))
                await asyncio.sleep(0.5)
            except Exception:
                # Nobody else carries this outbox: a loop that ended here would publish nothing for ever after.
                COUNTERS.bugs.labels("relay").inc()
                log.exception("relay_failed")
                await asyncio.sleep(0.5)

    async def _lead(self) -> None:
        connection = await asyncpg.connect(
            self._url, timeout=2, command_timeout=ANSWER_SECONDS, server_settings=BY_KEYS
        )
        try:
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                await asyncio.sleep(0.5)
            await connection.execute("SELECT outbox_prepare_days($1)", KEEP_DAYS)
            producer = self._kafka.producer()
            async with running(producer):
                await self._carry(connection, producer)
        finally:
            connection.terminate()

    async def _carry(self, connection: Any, producer: Any) -> None:
        day = None
        while True:
            self._wake.clear()
            started = time.monotonic()
            rows = await connection.fetch(_NEXT, _BATCH)
            GAUGES.outbox_waiting.set(len(rows))
            if rows:
                await self._send(producer, rows)
                crashpoint("relay.after_produce")
                await connection.execute(_MOVE, [row["id"] for row in rows])
            if rows and len(rows) < _BATCH:
                # The busier the machine, the more events share a statement, a request and a flush.
                await asyncio.sleep(min(time.monotonic() - started, _LONGEST_REST_SECONDS))
            if len(rows) < _BATCH:
                # Not `wait_for`: in Python 3.11 it swallows a cancellation that comes together with the wake-up.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_seconds):
                        await self._wake.wait()
            today = asyncio.get_running_loop().time() // 3600
            if day != today:
                day = today
                await connection.execute("SELECT outbox_prepare_days($1)", KEEP_DAYS)

    async def _send(self, producer: Any, rows: Sequence[Any]) -> None:
        sent = []
        for row in rows:
            headers = orjson.loads(row["headers"]) if row["headers"] else {}
            sent.append(
                await producer.send(
                    self._kafka.topic(row["topic"]),
                    value=row["value"].encode(),
                    key=row["key"].encode(),
                    headers=[(name, text.encode()) for name, text in headers.items()],
                )
            )
        await asyncio.gather(*sent)
