"""Ministries push events: three modes, once in effect, into the outbox."""

import json
from typing import Any

import httpx2

from shared.db import Database

from .conftest import CODE, Hub

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


def an_event(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"event-{number}",
        "source": "/bo/tai-chinh",
        "type": "vn.gov.ministry.dossier.progressed.v1",
        "time": "2026-03-01T08:00:00+07:00",
        "data": {"dossier_code": CODE, "action": "finish"},
        **changes,
    }


async def pushed(hub: Hub, body: Any, content_type: str = STRUCTURED, **headers: str) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {**await hub.headers("ministry"), "Content-Type": content_type, **headers}
    return await hub.client.post("/v1/events", content=content, headers=sent)


async def outbox(hub: Hub, prefix: str) -> list[dict[str, Any]]:
    """Rows of events whose id begins so, carried to Kafka already or not."""
    database = Database(hub.urls.system, pool_size=1)
    async with database.reading() as rx:
        rows = await rx.rows(
            "SELECT event_id, source, topic, key, value, headers FROM outbox WHERE starts_with(event_id, :prefix) "
            "UNION ALL SELECT event_id, source, topic, key, value, headers FROM outbox_published "
            "WHERE starts_with(event_id, :prefix)",
            prefix=prefix,
        )
    await database.close()
    return [dict(row) for row in rows]


async def test_a_structured_event_goes_untouched_to_its_topic(hub: Hub) -> None:
    event = an_event(id="structured-1", ministryextension="kept")
    answer = await pushed(hub, event, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "duplicates": 0, "rejected": []})
    [row] = await outbox(hub, "structured-")
    assert (row["topic"], row["key"], row["source"]) == ("lgsp.ministry", CODE, "ministry /bo/tai-chinh")
    assert json.loads(row["value"]) == event
    assert row["headers"] == {
        "hub-client": "ministry",
        "hub-agencies": "H08",
        "hub-exchange-id": answer.headers["hub-exchange-id"],
        "traceparent": row["headers"]["traceparent"],
    }
    assert TRACE in row["headers"]["traceparent"]
    record = (await hub.exchanges())[-1]
    assert (record["route"], record["dossier_code"]) == ("/v1/events", CODE)


async def test_a_binary_event_is_the_same_event(hub: Hub) -> None:
    event = an_event(id="binary-1")
    attributes = {f"ce-{name}": value for name, value in event.items() if name != "data"}
    answer = await pushed(hub, event["data"], "application/json", **attributes)
    assert answer.json()["accepted"] == 1, answer.text
    [row] = await outbox(hub, "binary-")
    assert json.loads(row["value"]) == {**event, "datacontenttype": "application/json"}
    again = await pushed(hub, event)
    assert again.json() == {"accepted": 0, "duplicates": 1, "rejected": []}


async def test_a_batch_takes_the_good_and_names_the_bad(hub: Hub) -> None:
    events = [an_event(id="batch-1"), an_event(id="batch-2", specversion="0.3"), an_event(id="batch-1"), {"id": 5}]
    answer = await pushed(hub, events, BATCH)
    assert answer.status_code == 202
    assert (answer.json()["accepted"], answer.json()["duplicates"]) == (1, 1)
    assert [(refused["index"], refused["code"]) for refused in answer.json()["rejected"]] == [
        (1, "invalid_request"),
        (3, "invalid_request"),
    ]
    assert len(await outbox(hub, "batch-")) == 1


async def test_the_same_id_of_another_client_is_another_event(hub: Hub) -> None:
    await pushed(hub, an_event(id="mine-1"))
    await hub.execute("UPDATE event_received SET client_id = 'other' WHERE event_id = 'mine-1'")
    assert (await pushed(hub, an_event(id="mine-1"))).json()["accepted"] == 1


async def test_five_hundred_events_are_one_push(hub: Hub) -> None:
    events = [an_event(id=f"many-{n}", data={"dossier_code": f"H08.15-230301-{n:04d}"}) for n in range(500)]
    assert (await pushed(hub, events, BATCH)).json()["accepted"] == 500
    assert (await pushed(hub, events, BATCH)).json() == {"accepted": 0, "duplicates": 500, "rejected": []}
    assert len(await outbox(hub, "many-")) == 500
    too_many = await pushed(hub, [an_event(n) for n in range(501)], BATCH)
    assert (too_many.status_code, too_many.json()["code"]) == (422, "invalid_request")
    found = await hub.client.get("/v1/exchanges?dossier_code=H08.15-230301-0499", headers=await hub.headers("operator"))
    assert [item["dossier_count"] for item in found.json()["items"]] == [500, 500]


async def test_malformed_bodies_store_nothing(hub: Hub) -> None:
    for body in (b"{", b'{"specversion":"1.0","specversion":"1.0"}', b"\xff", b'{"id":"\\u0000"}', b"[" * 40):
        answer = await pushed(hub, body)
        assert (answer.status_code, answer.json()["code"]) in ((422, "invalid_request"), (202, None)), answer.text
    assert (await pushed(hub, an_event(), "text/xml")).status_code == 415
    assert (await pushed(hub, an_event(), "application/json")).status_code == 415


async def test_only_those_who_may_push(hub: Hub) -> None:
    answer = await hub.client.post("/v1/events", json=an_event(), headers=await hub.headers("desk"))
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


async def test_an_idempotency_key_brings_the_first_answer(hub: Hub) -> None:
    event = an_event(id="keyed-1")
    first = await pushed(hub, event, **{"Idempotency-Key": "k"})
    again = await pushed(hub, event, **{"Idempotency-Key": "k"})
    assert first.json() == again.json() == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_key_belongs_to_one_event_whatever_its_mode(hub: Hub) -> None:
    """In binary mode two events can have equal bodies: the second was answered as a repeat, and lost."""
    event = an_event(id="keyed-1")
    attributes = {f"ce-{name}": value for name, value in event.items() if name != "data"}
    first = await pushed(hub, event["data"], "application/json", **attributes, **{"Idempotency-Key": "keyed"})
    again = await pushed(hub, event["data"], "application/json", **attributes, **{"Idempotency-Key": "keyed"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    other = attributes | {"ce-id": "keyed-2"}
    refused = await pushed(hub, event["data"], "application/json", **other, **{"Idempotency-Key": "keyed"})
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert [row["event_id"] for row in await outbox(hub, "keyed-")] == ["keyed-1"]


async def test_a_key_belongs_to_one_path(hub: Hub) -> None:
    """A key of another route with the same body is another request, not an answer of that route."""
    admin = await hub.headers("bootstrap") | {"Idempotency-Key": "one path"}
    asked = {"name": "khoa", "role": "portal", "scope": ["dossier:read"], "agencies": ["H08"]}
    made = await hub.client.post("/v1/clients", json=asked, headers=admin)
    assert made.status_code == 201, made.text
    place = f"/v1/clients/{made.json()['client_id']}"
    for path in (f"{place}/approve", f"{place}/secrets"):
        refused = await hub.client.post(path, json=asked, headers=admin)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused"), path
