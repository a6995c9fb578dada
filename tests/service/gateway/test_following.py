"""`GET /v1/events`: how far a ministry's event has come, for the ministry that sent it and for operators."""

import json
from typing import Any

import httpx2
import pytest

from shared import web

from .conftest import CODE, Hub
from .test_events import an_event, pushed

SOURCE = "/bo/tai-chinh"


def known(id_: str, **changes: Any) -> bytes:
    """What the services behind answer; both are asked, and one answer serves for both here."""
    item = {
        "number": 1, "client_id": "ministry", "source": SOURCE, "id": id_, "type": "t", "dossier_code": CODE,
        "state": "applied", "reason": None, "owner": None, "action": "finish", "happened_at": None, "version": 4,
        "vocabulary_version": None, "published_at": None, "taken_at": "2026-03-01T08:00:01+07:00",
        "applied_at": "2026-03-01T08:00:01+07:00", "code": CODE, "acknowledged_at": "2026-03-01T08:00:02+07:00",
    }  # fmt: skip
    return json.dumps({"items": [item | changes]}).encode()


async def asked(hub: Hub, who: str = "operator", **query: str) -> httpx2.Response:
    return await hub.client.get("/v1/events", params=query, headers=await hub.headers(who))


async def test_an_event_is_followed_to_the_nation(hub: Hub) -> None:
    await pushed(hub, an_event(id="followed-1"))
    hub.behind.answer = known("followed-1")
    for who in ("operator", "ministry"):
        answer = await asked(hub, who, source=SOURCE, id="followed-1")
        assert answer.status_code == 200, answer.text
        [item] = answer.json()["items"]
        assert (item["state"], item["version"], item["unknown"], item["reason"]) == ("synced", 4, [], None)
        assert item["accepted_at"] <= item["stored_at"]
        assert item["applied_at"] < item["synced_at"]
        assert item["exchange_id"]
    questions = [seen for seen in hub.behind.seen if seen["target"] == "internal/events/outcomes"]
    assert json.loads(questions[0]["body"])["events"] == [
        {"client_id": "ministry", "source": SOURCE, "id": "followed-1"}
    ]


async def test_why_it_was_not_applied(hub: Hub) -> None:
    await pushed(hub, an_event(id="followed-2"))
    hub.behind.answer = known("followed-2", state="unmapped", reason="unknown_type", owner="partner", version=None,
                              applied_at=None, dossier_code=None)  # fmt: skip
    [item] = (await asked(hub, source=SOURCE, id="followed-2")).json()["items"]
    assert (item["state"], item["reason"], item["owner"]) == ("unmapped", "unknown_type", "partner")
    assert item["applied_at"] is item["synced_at"] is None
    assert item["dossier_code"] == CODE


async def test_what_has_not_been_taken_in_yet_is_stored_or_published(hub: Hub) -> None:
    await pushed(hub, an_event(id="followed-3"))
    hub.behind.answer = b'{"items": []}'
    [item] = (await asked(hub, source=SOURCE, id="followed-3")).json()["items"]
    assert item["state"] in ("stored", "published")
    assert (item["published_at"] is None) == (item["state"] == "stored")


async def test_a_service_that_is_away_leaves_its_columns_empty_and_says_so(hub: Hub) -> None:
    await pushed(hub, an_event(id="followed-4"))
    hub.behind.status = 503
    answer = await asked(hub, source=SOURCE, id="followed-4")
    [item] = answer.json()["items"]
    assert (answer.status_code, item["state"], item["unknown"]) == (200, "unknown", ["applied_at", "synced_at"])


async def test_all_events_of_a_dossier_page_by_page(hub: Hub) -> None:
    code = "H08.15-230301-7777"
    for number in range(3):
        await pushed(hub, an_event(id=f"paged-{number}", data={"dossier_code": code}))
    # One that names its dossier in the ministry's own words: the dossier service knows.
    await pushed(hub, an_event(id="paged-3", data={"maHoSo": code}))
    hub.behind.answer = known("paged-3", dossier_code=code)
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await asked(hub, dossier_code=code, limit="3", **cursor)).json()
        found += [item["id"] for item in page["items"]]
        if not page["next_cursor"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == ["paged-0", "paged-1", "paged-2", "paged-3"]


async def test_nobody_else_sees_them(hub: Hub) -> None:
    await pushed(hub, an_event(id="followed-5"))
    hub.behind.answer = b'{"items": []}'
    assert (await asked(hub, "desk", source=SOURCE, id="followed-5")).status_code == 404
    assert (await asked(hub, "desk", dossier_code=CODE)).json()["items"] == []
    assert (await asked(hub, "one-agency", dossier_code="H08.14-230301-0001")).status_code == 404
    assert (await asked(hub, source=SOURCE, id="nobody's")).status_code == 404
    assert (await asked(hub, "bootstrap", source=SOURCE, id="followed-5")).status_code == 403
    await hub.execute("UPDATE event_received SET client_id = 'other' WHERE event_id = 'followed-5'")
    assert (await asked(hub, "ministry", source=SOURCE, id="followed-5")).status_code == 404
    assert len((await asked(hub, "operator", source=SOURCE, id="followed-5")).json()["items"]) == 1


@pytest.mark.parametrize("who", ["ministry", "desk", "one-agency"])
async def test_no_cursor_names_what_its_caller_may_not_see(hub: Hub, who: str) -> None:
    code = f"H08.20-230301-000{len(who)}"
    for number in range(2):
        await pushed(hub, an_event(id=f"hidden-{who}-{number}", data={"dossier_code": code}))
    await hub.execute("UPDATE event_received SET client_id = 'other' WHERE event_id LIKE 'hidden-%'")
    hub.behind.answer = b'{"items": []}'
    forged = web.encode_cursor("2000-01-01T00:00:00+00:00", "", "")
    for more in ({}, {"cursor": forged}):
        answer = await asked(hub, who, dossier_code=code, limit="1", **more)
        assert answer.json().get("items", []) == []
        assert answer.json().get("next_cursor") is None, web.decode_cursor(answer.json()["next_cursor"], 3)


async def test_half_a_question_is_refused(hub: Hub) -> None:
    for query in ({}, {"source": SOURCE}, {"id": "1"}, {"source": SOURCE, "id": "1", "dossier_code": CODE}):
        answer = await asked(hub, **query)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    beyond = [web.encode_cursor(at, "a", "b") for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00")]
    for cursor in ("bogus", *beyond):
        assert (await asked(hub, dossier_code=CODE, cursor=cursor)).status_code == 422
    for query in ({"dossier_code": "\x00"}, {"source": "\x00", "id": "1"}, {"source": SOURCE, "id": "\x00"}):
        assert (await asked(hub, **query)).status_code == 422, "a NUL is nobody's name"
