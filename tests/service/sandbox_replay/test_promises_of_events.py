"""Outbox = topic = inbox on real PostgreSQL and Kafka: equal when they are, and each side's fault is named."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.databases import Urls
from sandbox import promises_events
from sandbox.promise import Promise
from sandbox.replay_stack import Stack
from shared import events
from shared.kafka import Kafka

TOPIC = "lgsp.sync"
SOURCE = "/lgsp/sync-national"
PACKAGES = ("sync_national", "console")


@dataclass
class Events:
    """The databases of one publisher and one reader, and the topic between them."""

    stack: Stack
    kafka: Kafka

    async def sql(self, package: str, query: str, *arguments: object) -> None:
        connection = await asyncpg.connect(self.stack.postgres[package])
        try:
            await connection.execute(query, *arguments)
        finally:
            await connection.close()

    async def produce(self, *values: bytes) -> None:
        producer = self.kafka.producer()
        await producer.start()
        try:
            for value in values:
                await producer.send_and_wait(self.kafka.topic(TOPIC), value, key=b"H08.15-230301-0001")
        finally:
            await producer.stop()

    async def sets(self) -> tuple[Promise, dict[str, int]]:
        return await promises_events._equal_sets(self.stack, TOPIC)

    async def left(self, *codes: str) -> Promise:
        return await promises_events._nothing_left(self.stack, codes)


def an_event() -> events.Event:
    moment = datetime(2023, 3, 1, tzinfo=UTC)
    return events.new_event(SOURCE, "vn.lgsp.sync.acknowledged.v1", "H08.15-230301-0001", moment, {"version": 1})


@pytest.fixture
async def passed(
    service_database: Callable[[str], Awaitable[Urls]],
    kafka_bootstrap: str,
    kafka_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Events:
    """Twenty events that went all the way, one of them published twice."""
    monkeypatch.setattr(promises_events, "_SETTLE_TRIES", 1)
    urls = {package: (await service_database(package)).system for package in PACKAGES}
    world = Events(Stack(tmp_path, urls, kafka_bootstrap, kafka_prefix, ""), Kafka(kafka_bootstrap, kafka_prefix))
    new = [an_event() for _ in range(20)]
    for event in new:
        await world.sql(
            "sync_national",
            "INSERT INTO outbox_published (event_id, source, topic, key, value, recorded_at) "
            "VALUES ($1, $2, $3, $4, $5, now())",
            *(event.id, SOURCE, TOPIC, event.subject, events.encode(event).decode()),
        )
        await world.sql("console", "INSERT INTO inbox (source, event_id) VALUES ($1, $2)", SOURCE, event.id)
    await world.produce(*(events.encode(event) for event in (*new, new[0])))
    return world


async def test_equal_sets_hold_though_one_was_published_twice(passed: Events) -> None:
    promise, counted = await passed.sets()
    assert promise.holds
    assert counted == {"written": 20, "records": 21, "on_topic": 20, "inbox_console": 20}
    assert (await passed.left()).holds


async def test_an_event_the_reader_never_took_in_is_found(passed: Events) -> None:
    await passed.sql("console", "DELETE FROM inbox WHERE ctid IN (SELECT ctid FROM inbox LIMIT 1)")
    promise, _ = await passed.sets()
    assert not promise.holds
    assert "inbox of console: 1 lacking" in promise.found


async def test_an_event_the_broker_lost_is_found(passed: Events) -> None:
    event = an_event()
    await passed.sql(
        "sync_national",
        "INSERT INTO outbox_published (event_id, source, topic, key, value, recorded_at) "
        "VALUES ($1, $2, $3, 'k', '{}', now())",
        *(event.id, SOURCE, TOPIC),
    )
    promise, _ = await passed.sets()
    assert "topic: 1 lacking" in promise.found


async def test_an_event_that_nobody_wrote_is_found(passed: Events) -> None:
    await passed.produce(events.encode(an_event()))
    promise, _ = await passed.sets()
    assert "topic: 0 lacking, 1 too many" in promise.found


async def test_an_inbox_that_knows_more_than_was_written_is_found(passed: Events) -> None:
    await passed.sql("console", "INSERT INTO inbox (source, event_id) VALUES ($1, $2)", SOURCE, an_event().id)
    promise, _ = await passed.sets()
    assert "inbox of console: 0 lacking, 1 too many" in promise.found


async def test_an_event_that_is_still_in_the_outbox_is_found(passed: Events) -> None:
    await passed.sql(
        "sync_national",
        "INSERT INTO outbox (event_id, source, topic, key, value) VALUES ($1, $2, $3, 'k', '{}')",
        *(an_event().id, SOURCE, TOPIC),
    )
    assert "sync_national: 1 events unpublished" in (await passed.left()).found


@pytest.mark.parametrize("waiting", [True, False])
async def test_a_parked_or_waiting_event_of_ours_is_found_another_one_is_not_ours(
    passed: Events, waiting: bool
) -> None:
    await passed.sql(
        "console",
        "INSERT INTO parked (reader, key, source, event_id, value, headers, reason, owner, waiting) "
        "VALUES ('console', 'H08.15-230301-0001', 's', 'e', '{}', '{}', 'too early', 'partner', $1)",
        waiting,
    )
    assert (await passed.left("H08.15-230301-0002")).holds
    promise = await passed.left("H08.15-230301-0001")
    assert not promise.holds
    assert ("waits" if waiting else "is parked") in promise.found


async def test_a_log_that_cannot_be_verified_does_not_hold(passed: Events) -> None:
    passed.stack.postgres["gateway"] = "postgresql://nobody@127.0.0.1:1/nothing"
    assert not (await promises_events.log_verifies(passed.stack)).holds
    assert "HUB_DATABASE_SYSTEM_URL" not in os.environ


_TRANSITION = """
INSERT INTO transition (code, version, agency_code, action, to_status, at, recorded_at, client_id, exchange_id)
VALUES ($1, 1, 'H08.15', 'submit', 1, now(), now(), 'desk', $2)
"""
_PAYMENT = "INSERT INTO exchange_kept (dossier_code, exchange_id, client_id) VALUES ($1, $2, 'desk')"
_EXCHANGE = """
INSERT INTO exchange (chain, seq, previous, digest, id, kind, method, route, path, status, received_at, answered_at,
                      recorded_at, dossier_count)
VALUES (gen_random_uuid(), 1, ''::bytea, ''::bytea, $1::text::uuid, 'exchange', 'POST', '/v1/dossiers',
        '/v1/dossiers', 201, now(), now(), now(), 0)
"""


@pytest.fixture
async def effects(
    service_database: Callable[[str], Awaitable[Urls]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Events:
    """Five transitions, each with its exchange's record in the log."""
    monkeypatch.setattr(promises_events, "_RECOVERED_SECONDS", 0)
    urls = {package: (await service_database(package)).owner for package in ("dossier", "payment", "gateway")}
    world = Events(Stack(tmp_path, urls, "", "", ""), Kafka("", ""))
    for number in range(5):
        exchange = str(uuid4())
        await world.sql("dossier", _TRANSITION, f"H08.15-230301-{number:04d}", exchange)
        await world.sql("gateway", _EXCHANGE, exchange)
    return world


@pytest.mark.parametrize(("package", "effect"), [("dossier", _TRANSITION), ("payment", _PAYMENT)])
async def test_an_effect_without_its_exchange_in_the_log_is_found(effects: Events, package: str, effect: str) -> None:
    assert (await promises_events.log_is_complete(effects.stack)).holds
    missed = str(uuid4())
    await effects.sql(package, effect, "H08.15-230301-0099", missed)
    promise = await promises_events.log_is_complete(effects.stack)
    assert not promise.holds
    assert missed in promise.found


async def test_a_record_that_the_log_has_lost_is_found(effects: Events) -> None:
    await effects.sql("gateway", "DELETE FROM exchange WHERE ctid IN (SELECT ctid FROM exchange LIMIT 1)")
    promise = await promises_events.log_is_complete(effects.stack)
    assert not promise.holds


async def test_a_log_whose_chain_is_broken_does_not_verify(effects: Events) -> None:
    """These records were written past the gateway: no digest of theirs is right."""
    promise = await promises_events.log_verifies(effects.stack)
    assert not promise.holds
    assert promise.found != "an unbroken chain"
