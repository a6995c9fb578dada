"""`GET /v1/feed`: events for partners from a position on, waiting for news, the caller's agencies only."""

import asyncio
import json
import time
from typing import Any

from .conftest import Hub

PATH = "/v1/feed"


async def read(hub: Hub, query: str = "", **who: Any) -> dict[str, Any]:
    """One answer of the feed."""
    answer = await hub.get(f"{PATH}?{query}", **who)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def everything(hub: Hub, count: int, query: str = "", **who: Any) -> list[dict[str, Any]]:
    """So many events, page by page from the beginning."""
    found: list[dict[str, Any]] = []
    position = "0"
    ends = time.monotonic() + 60
    while len(found) < count:
        assert time.monotonic() < ends, f"{len(found)} of {count}"
        page = await read(hub, f"after={position}&wait=5&{query}", **who)
        found += page["items"]
        position = page["next_cursor"]
    assert (await read(hub, f"after={position}&wait=0&{query}", **who))["items"] == []
    return found


async def test_the_same_events_come_in_order_page_by_page(hub: Hub) -> None:
    code = await hub.file()
    assert (await hub.act(code, "receive")).status_code == 200
    assert (await hub.act(code, "start")).status_code == 200
    found = await everything(hub, 3, "limit=2")
    assert found == await hub.events(code)
    assert [event["sequence"] for event in found] == [1, 2, 3]
    started = await everything(hub, 2, "types=dossier.started,vn.lgsp.dossier.received.v1")
    assert [event["type"] for event in started] == ["vn.lgsp.dossier.received.v1", "vn.lgsp.dossier.started.v1"]


async def test_a_poll_waits_for_news_and_no_longer_than_asked(hub: Hub) -> None:
    code = await hub.file()
    position = (await read(hub, "after=0"))["next_cursor"]
    began = time.monotonic()
    assert (await read(hub, f"after={position}&wait=0.3"))["items"] == []
    assert time.monotonic() - began >= 0.3
    waiting = asyncio.create_task(read(hub, f"after={position}"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    assert (await hub.act(code, "receive")).status_code == 200
    (event,) = (await waiting)["items"]
    assert (event["subject"], event["sequence"]) == (code, 2)


async def test_only_the_callers_agencies_are_told_and_the_position_moves_past_the_others(hub: Hub) -> None:
    await hub.file()
    await everything(hub, 1)
    other = {"agencies": ("H08.16",)}
    page = await read(hub, "after=0&wait=0.5", **other)
    assert (page["items"], page["next_cursor"] != "0") == ([], True)
    theirs = await hub.file(agency_code="H08.16")
    (event,) = (await read(hub, f"after={page['next_cursor']}", **other))["items"]
    assert event["subject"] == theirs


async def test_what_commits_late_is_not_skipped(hub: Hub) -> None:
    """An event whose id was drawn early and whose transaction ends late comes after those before it."""
    code = await hub.file()
    await everything(hub, 1)
    position = (await read(hub, "after=0"))["next_cursor"]
    late = (await hub.events(code))[0] | {"id": "late", "sequence": 99}
    async with hub.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO outbox (event_id, source, topic, key, value) "
            "VALUES ('late', '/lgsp/dossier', 'lgsp.dossier', :code, :value)",
            code=code,
            value=json.dumps(late),
        )
        second = await hub.file(external_reference="second")
        page = await read(hub, f"after={position}")
        assert [event["subject"] for event in page["items"]] == [second]
    page = await read(hub, f"after={page['next_cursor']}")
    assert [event["id"] for event in page["items"]] == ["late"]


async def test_a_position_that_is_no_longer_kept_is_gone(hub: Hub) -> None:
    await hub.database.ping()
    async with hub.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO outbox_published (number, event_id, source, topic, key, value, recorded_at) "
            "OVERRIDING SYSTEM VALUE VALUES (500, 'x', '/x', 'other', 'x', '{}', now())"
        )
    answer = await hub.get(f"{PATH}?after=7")
    assert (answer.status_code, answer.json()["code"]) == (410, "position_gone")
    for query in ("after=x", "after=-1", "types=a,,b", "wait=31", "limit=0"):
        answer = await hub.get(f"{PATH}?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), query
    assert (await hub.get(PATH, scopes="dossier:write")).status_code == 403
