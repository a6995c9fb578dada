"""Facts from identity, payment and ministries, over the real broker: once in effect, in any order, across a crash."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from dossier import consumers
from shared import inbox
from shared.db import Database
from shared.events import Event, encode, new_event
from shared.kafka import Kafka
from tests.service.dossier.conftest import Hub
from tests.support.neighbours import eventually, feed

FEES = [{"code": "LP1", "name": "Lệ phí", "kind": "fee", "amount_vnd": 50_000}]
DOCUMENTS = [{"name": "Quyết định", "url": "https://kq.example/2.pdf", "sha256": "cd" * 32}]


def verified(code: str, outcome: str = "match", *, id_: str = "v1", at: datetime | None = None) -> Event:
    at = at or datetime.now(UTC)
    data = {"dossier_code": code, "verification_id": id_, "outcome": outcome, "mismatched_fields": [],
            "checked_at": at.isoformat()}  # fmt: skip
    return new_event("/lgsp/citizen-db-adapter", "vn.lgsp.identity.verified.v1", code, at, data)


def paid(code: str, version: int | None, *, id_: str = "p1", method: str = "online", amount: int = 50_000) -> Event:
    at = datetime.now(UTC)
    data = {"dossier_code": code, "agency_code": code.partition("-")[0], "payment_id": id_, "method": method,
            "request_version": version, "amount_vnd": amount, "lines": FEES, "at": at.isoformat()}  # fmt: skip
    return new_event("/lgsp/payment", "vn.lgsp.payment.completed.v1", code, at, data)


def link(code: str, id_: str = "p1") -> Event:
    data = {"dossier_code": code, "payment_id": id_, "payment_url": "https://pay.example/1", "amount_vnd": 50_000}
    return new_event("/lgsp/payment", "vn.lgsp.payment.link_ready.v1", code, datetime.now(UTC), data)


def ministry(code: str, kind: str = "dossier.progressed", *, agencies: str = "H08", **data: Any) -> Event:
    event = new_event(
        "/ministry/g05", f"vn.gov.ministry.{kind}.v1", code, datetime.now(UTC), {"dossier_code": code, **data}
    )
    headers = {"hub-client": "ministry-1", "hub-agencies": agencies, "hub-exchange-id": "ex-9"}
    return Event(event.id, event.source, event.type, event.subject, event.time, event.data, headers=headers)


async def record(hub: Hub, code: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await hub.get(f"/v1/dossiers/{code}")).json()
    return answer


async def until_version(hub: Hub, code: str, version: int) -> dict[str, Any]:
    async def reached() -> dict[str, Any] | None:
        found = await record(hub, code)
        return found if found["version"] >= version else None

    answer: dict[str, Any] = await eventually(reached, seconds=30)
    return answer


async def say(hub: Hub, topic: str, *events: Event) -> None:
    """Hand events to the handler as the reader does: inbox, one per dossier, one transaction."""
    handlers = hub.app.state.runtime.readers
    handler = next(reader._handler for reader in handlers if reader.topic == topic)
    async with hub.database.transaction() as tx:
        fresh = await inbox.first_time(tx, events)
        await inbox.apply(tx, topic, fresh, handler)


async def push(kafka: Kafka, event: Event) -> None:
    """Publish a ministry's event as the gateway does: who sent it stands in the record's headers."""
    producer = kafka.producer()
    await producer.start()
    try:
        headers = [(name, text.encode()) for name, text in event.headers.items()]
        topic = kafka.topic(consumers.MINISTRY)
        await producer.send_and_wait(topic, encode(event), key=event.subject.encode(), headers=headers)
    finally:
        await producer.stop()


async def parked(hub: Hub) -> list[tuple[str, str, bool]]:
    return [
        (row["reason"], row["owner"], row["waiting"])
        for row in await hub.rows(
            "SELECT reason, owner, waiting, parked_at FROM parked UNION ALL SELECT reason, 'partner', "
            "state = 'waiting', taken_at FROM ministry_event WHERE state NOT IN ('applied', 'past') ORDER BY 4"
        )
    ]


async def test_facts_over_the_broker_have_their_effect_once(hub: Hub) -> None:
    kafka = Kafka(hub.app.state.runtime.settings.kafka_bootstrap, hub.kafka_prefix)
    code = await hub.file()
    event = verified(code)
    await feed(kafka, consumers.IDENTITY, [event, event])
    found = await until_version(hub, code, 2)
    assert found["identity"]["outcome"] == "match"
    await hub.act(code, "receive")
    version = (await hub.act(code, "request_payment", fees=FEES)).json()["version"]
    await feed(kafka, consumers.PAYMENT, [link(code)])
    assert (await until_version(hub, code, 5))["payment"]["payment_url"] == "https://pay.example/1"
    done = paid(code, version)
    await feed(kafka, consumers.PAYMENT, [done, done])
    found = await until_version(hub, code, 7)
    assert (found["status"], found["payment"]["state"], found["payment"]["paid_vnd"]) == ("received", "paid", 50_000)
    await feed(kafka, consumers.IDENTITY, [event])
    await push(kafka, ministry(code, action="start", actor={"name": "Lê Thị Cúc"}))
    found = await until_version(hub, code, 8)
    assert (found["status"], found["version"]) == ("in_process", 8)
    events = await hub.events(code)
    assert [it["data"]["change"]["action"] for it in events] == [
        "submit", "identity_recorded", "receive", "request_payment", "payment_recorded", "payment_recorded",
        "settle", "start",
    ]  # fmt: skip
    assert [it["sequence"] for it in events] == list(range(1, 9))
    assert "Cúc" not in str(events)
    history = (await hub.get(f"/v1/dossiers/{code}/history")).json()["items"]
    assert [(row["action"], row["client_id"]) for row in history[-2:]] == [
        ("settle", "lgsp.payment"), ("start", "ministry-1"),
    ]  # fmt: skip


async def test_what_follows_from_a_fact_goes_on_in_its_trace(hub: Hub) -> None:
    """What a person did at the desk and what the ministry pushed can be followed to the portal."""
    code = await hub.file()
    act = {"headers": {"traceparent": "00-1-1-01"}, "role": "desk"}
    body = {"action": "receive", "actor": {"name": "Trần Văn Bình", "title": "Chuyên viên", "unit": "Một cửa"}}
    await hub.post(f"/v1/dossiers/{code}/transitions", body, **act)
    await say(hub, consumers.IDENTITY, replace(verified(code), traceparent="00-2-2-01"))
    pushed = ministry(code, action="start", actor={"name": "Lê Thị Cúc"})
    await say(hub, consumers.MINISTRY, replace(pushed, headers={**pushed.headers, "traceparent": "00-3-3-01"}))
    assert [event.get("traceparent") for event in await hub.events(code)] == [
        None,
        "00-1-1-01",
        "00-2-2-01",
        "00-3-3-01",
    ]


async def test_identity_the_same_twice_and_in_the_wrong_order(hub: Hub) -> None:
    code = await hub.file()
    now = datetime.now(UTC)
    newer, older = verified(code, id_="v2", at=now), verified(code, "mismatch", at=now - timedelta(hours=1))
    await say(hub, consumers.IDENTITY, newer, newer)
    await say(hub, consumers.IDENTITY, newer)
    await say(hub, consumers.IDENTITY, older)
    found = await record(hub, code)
    assert (found["identity"]["outcome"], found["version"]) == ("match", 2)


async def test_payment_the_same_twice_and_in_the_wrong_order(hub: Hub) -> None:
    code = await hub.file()
    version = (await hub.act(code, "request_payment", fees=FEES)).json()["version"]
    event = paid(code, version)
    await say(hub, consumers.PAYMENT, event, event)
    await say(hub, consumers.PAYMENT, link(code))  # the link comes after the money: too late to matter
    await say(hub, consumers.PAYMENT, paid(code, version))  # told again under another id
    found = await record(hub, code)
    assert (found["status"], found["version"], found["payment"]["paid_vnd"]) == ("submitted", 4, 50_000)
    assert found["payment"]["payment_url"] is None


@pytest.mark.parametrize("topic", [consumers.IDENTITY, consumers.PAYMENT, consumers.MINISTRY])
async def test_a_crash_between_effect_and_commit_loses_and_doubles_nothing(hub: Hub, topic: str) -> None:
    code = await hub.file()
    version = (await hub.act(code, "request_payment", fees=FEES)).json()["version"]
    event = {
        consumers.IDENTITY: verified(code),
        consumers.PAYMENT: paid(code, version),
        consumers.MINISTRY: ministry(code, action="request_supplement", reason="Thiếu"),
    }[topic]
    if topic == consumers.MINISTRY:
        await say(hub, consumers.PAYMENT, paid(code, version))
    before = await record(hub, code)
    handler = next(reader._handler for reader in hub.app.state.runtime.readers if reader.topic == topic)
    crashing = Database(hub.urls.system, pool_size=1)
    with pytest.raises(Exception):  # noqa: B017 - whatever the driver says when its connection is cut
        async with crashing.transaction() as tx:
            await inbox.apply(tx, topic, await inbox.first_time(tx, [event]), handler)
            tx.raw.terminate()
    await crashing.close()
    assert (await record(hub, code))["version"] == before["version"]
    await say(hub, topic, event)
    await say(hub, topic, event)
    after = await record(hub, code)
    assert after["version"] == before["version"] + (2 if topic == consumers.PAYMENT else 1)
    assert len(await hub.events(code)) == after["version"]


async def test_a_result_that_comes_before_the_identity_waits_for_it(hub: Hub) -> None:
    code = await hub.file()
    await hub.act(code, "receive")
    result = ministry(code, "dossier.result-issued", documents=DOCUMENTS, at=datetime.now(UTC).isoformat())
    more = ministry(code, "dossier.result-issued", documents=[DOCUMENTS[0] | {"name": "Phụ lục"}])
    await say(hub, consumers.MINISTRY, result, more)
    assert [it[1:] for it in await parked(hub)] == [("partner", True), ("partner", True)]
    assert (await record(hub, code))["status"] == "received"
    await say(hub, consumers.IDENTITY, verified(code))
    found = await record(hub, code)
    assert (found["status"], found["electronic_result"]) == ("processed", True)
    assert [it["name"] for it in found["results"]] == ["Quyết định", "Phụ lục"]
    assert await parked(hub) == []
    assert len(await hub.events(code)) == found["version"] == 5


async def test_an_event_that_comes_before_the_money_waits_for_it(hub: Hub) -> None:
    code = await hub.file()
    await hub.act(code, "receive")
    version = (await hub.act(code, "request_payment", fees=FEES)).json()["version"]
    await say(hub, consumers.MINISTRY, ministry(code, action="start"), ministry(code, action="finish", reason="Đủ"))
    assert [it[0::2] for it in await parked(hub)] == [
        ("transition_not_allowed", True), ("charge_open", True),
    ]  # fmt: skip
    await say(hub, consumers.PAYMENT, paid(code, version))
    assert (await record(hub, code))["status"] == "in_process"
    assert [it[0::2] for it in await parked(hub)] == [("identity_pending", True)]
    await say(hub, consumers.IDENTITY, verified(code))
    assert (await record(hub, code))["status"] == "processed"
    assert await parked(hub) == []


async def test_what_a_ministry_may_not_say_is_parked_as_its_fault(hub: Hub) -> None:
    codes = [await hub.file() for _ in range(6)]
    await say(
        hub,
        consumers.MINISTRY,
        ministry(codes[0], action="receive", agencies="H08.14,H09"),
        ministry(codes[1], action="fly"),
        ministry(codes[2], action="refuse", reason="x"),
        ministry(codes[3], "dossier.exploded"),
        ministry(codes[4], action="start"),
        ministry("H08.15-200101-0001", action="receive"),
        ministry(codes[5], "tax.notice-issued", lines=[]),
    )
    found = await parked(hub)
    assert {owner for _, owner, _ in found} == {"partner"}
    assert not any(waiting for _, _, waiting in found)
    assert {reason.partition(":")[0] for reason, _, _ in found} == {
        "agency_not_permitted", "invalid_request", "action_not_for_role", "unknown_type",
        "transition_not_allowed", "unknown_dossier",
    }  # fmt: skip
    assert [(await record(hub, code))["version"] for code in codes] == [1] * 6


async def test_the_bad_practices_of_real_senders_are_refused_in_words(hub: Hub) -> None:
    """Wire §1.7, as far as a ministry's event can carry it."""
    paper = {"component_code": "KQ.G01.000001", "name": "don.pdf", "sha256": "a" * 64, "digitised": True}
    codes = [await hub.file(attachments=[paper]) for _ in range(5)]
    for code in codes:
        await hub.act(code, "receive")
        await hub.act(code, "start")
    await hub.act(codes[3], "request_supplement", reason="Thiếu bản sao")
    filed = [{"name": "Giấy phép", "url": "https://ho-so.example/1.pdf", "sha256": "a" * 64}]
    await say(
        hub,
        consumers.MINISTRY,
        ministry(codes[0], "dossier.result-issued", documents=filed),
        ministry(codes[1], "dossier.result-issued", documents=[{"name": "Đính Kèm"}]),
        ministry(codes[2], action="finish", reason="Đủ", at="2026-11-20 08:15:00"),
        ministry(codes[3], action="finish", reason="Đủ"),
        ministry(codes[4], action="finish", reason="Đủ", at="2020-01-01T08:15:00+07:00"),
    )
    assert sorted(reason.partition(":")[0] for reason, _, _ in await parked(hub)) == [
        "invalid_request", "invalid_request", "result_is_a_filed_paper",
        "transition_not_allowed", "transition_not_allowed",
    ]  # fmt: skip
    assert "processed" not in [(await record(hub, code))["status"] for code in codes]


async def test_what_is_past_already_is_passed_over(hub: Hub) -> None:
    code = await hub.file()
    await hub.act(code, "receive")
    await say(hub, consumers.MINISTRY, ministry(code, action="receive"), ministry(code, action="start"))
    assert (await record(hub, code))["status"] == "in_process"
    assert await parked(hub) == []


async def test_a_tax_notice_asks_for_payment_and_the_counter_settles_it(hub: Hub) -> None:
    code = await hub.file()
    await say(hub, consumers.MINISTRY, ministry(code, "tax.notice-issued", lines=FEES))
    found = await record(hub, code)
    assert (found["status"], found["payment"]["due_vnd"]) == ("payment_requested", 50_000)
    await say(hub, consumers.PAYMENT, paid(code, None, method="counter", id_="c1", amount=70_000))
    found = await record(hub, code)
    assert (found["status"], found["payment"]["paid_vnd"]) == ("submitted", 70_000)


async def test_nonsense_from_a_neighbour_is_poison(hub: Hub) -> None:
    code = await hub.file()
    event = verified(code, outcome="perhaps")
    await say(hub, consumers.IDENTITY, event)
    assert [(reason.partition(":")[0], owner) for reason, owner, _ in await parked(hub)] == [
        ("invalid_request", "poison")
    ]


async def test_many_dossiers_in_one_batch_of_events(hub: Hub) -> None:
    codes = [await hub.file() for _ in range(12)]
    await say(hub, consumers.IDENTITY, *[verified(code) for code in reversed(codes)])
    assert {(await record(hub, code))["version"] for code in codes} == {2}
    rows = await hub.rows("SELECT count(*) AS n FROM outbox_published")
    assert rows[0]["n"] >= 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        connection = await asyncpg.connect(hub.urls.api)
        try:
            await connection.fetch("SELECT * FROM outbox")
        finally:
            await connection.close()


async def test_a_due_time_beyond_the_calendar_parks_its_dossier_and_no_other(hub: Hub) -> None:
    codes = [await hub.file() for _ in range(2)]
    for code in codes:
        assert (await hub.act(code, "receive")).status_code == 200
    extension = {"reason": "Chờ", "new_due_at": "2059-12-30T09:00:00+07:00"}
    assert (await hub.act(codes[0], "extend", **extension)).status_code == 200
    for code in codes:
        assert (await hub.act(code, "request_payment", fees=FEES)).status_code == 200
    much_later = datetime(2058, 1, 1, tzinfo=UTC)
    payments = [
        replace(event, data={**event.data, "at": much_later.isoformat()})
        for event in (paid(code, None, id_=f"p-{code}", method="counter") for code in codes)
    ]
    await say(hub, "lgsp.payment", *payments)
    assert (await record(hub, codes[1]))["status"] == "received"
    parked = await hub.rows("SELECT key, reason, owner FROM parked")
    assert [tuple(row) for row in parked] == [(codes[0], "deadline_out_of_calendar", "hub")]
