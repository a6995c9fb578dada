"""`GET /v1/sync/stream`: changes as they happen, from a position on, the caller's agencies only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import orjson

from tests.service.sync_national.conftest import OPERATE, READ, Hub, Served
from tests.service.sync_national.province import a_dossier

PATH = "/v1/sync/stream"


class Listening:
    """One open stream."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._lines = answer.aiter_lines()
        self.position = ""

    async def event(self) -> dict[str, Any]:
        """The next event; comments are passed over."""
        found: dict[str, str] = {}
        async with asyncio.timeout(60):
            async for line in self._lines:
                if not line and "data" in found:
                    self.position = found["id"]
                    event: dict[str, Any] = orjson.loads(found["data"])
                    return event
                name, _, value = line.partition(": ")
                if name == "id":
                    self.position = value
                if name:
                    found[name] = value
        raise AssertionError("the stream ended")


@asynccontextmanager
async def listening(url: str, headers: dict[str, str], **more: str) -> AsyncIterator[Listening]:
    """An open stream whose beginning has come."""
    async with (
        httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60) as client,
        client.stream("GET", PATH, headers=headers | more) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        found = Listening(answer)
        async for line in found._lines:
            if line.startswith("id: "):
                found.position = line.removeprefix("id: ")
            if line == ": begin":
                break
        yield found


async def test_changes_come_as_they_happen_and_a_position_brings_what_was_missed(hub: Hub, served: Served) -> None:
    url = await served(hub.app(sync_refusals=1))
    headers = hub.tokens.headers(**READ)
    async with listening(url, headers) as stream:
        (first,) = await hub.province.file(a_dossier(1))
        event = await stream.event()
        assert (event["change"], event["dossier_code"], event["agency_code"]) == ("acknowledged", first, "H08.15")
        assert (event["state"], event["version"]) == ("synced", 1)
        position = stream.position
    await hub.portal.fault(mode="reject_record", rate=1.0)
    (second,) = await hub.province.file(a_dossier(2))
    async with listening(url, headers, **{"Last-Event-ID": position}) as stream:
        event = await stream.event()
        assert (event["change"], event["dossier_code"], event["owner"]) == ("parked", second, "partner")
        await hub.portal.fault(mode="normal")
        async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
            await client.post(f"/v1/sync/dossiers/{second}/retry", headers=hub.tokens.headers(**OPERATE))
        assert [(await stream.event())["change"] for _ in range(2)] == ["unparked", "acknowledged"]
    async with listening(url, headers, **{"Last-Event-ID": "0"}) as stream:
        codes = [(await stream.event())["dossier_code"] for _ in range(4)]
        assert codes == [first, second, second, second]


async def test_a_stream_tells_of_the_callers_agencies_only(hub: Hub, served: Served) -> None:
    url = await served(hub.app())
    own = hub.tokens.headers(role="operator", scopes=["sync:read"], agencies=["H08.01"])
    async with listening(url, own) as stream:
        (foreign,) = await hub.province.file(a_dossier(1))
        async with listening(url, hub.tokens.headers(**READ)) as everything:
            async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
                while (await client.get(f"/v1/sync/dossiers/{foreign}", headers=hub.tokens.headers(**READ))).json().get(
                    "state"
                ) != "synced":
                    await asyncio.sleep(0.05)
            (ours,) = await hub.province.file(a_dossier(2, "H08.01"))
            seen = [await everything.event()]
            while seen[-1]["dossier_code"] != ours:
                seen.append(await everything.event())
        assert (await stream.event())["dossier_code"] == ours


async def test_positions_and_scopes_are_checked_before_anything_is_streamed(hub: Hub) -> None:
    client = await hub.start()
    wrong = await client.get(PATH, headers={"Last-Event-ID": "x"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_request")
    async with hub.system.transaction() as tx:
        await tx.execute(
            "INSERT INTO outbox_published (number, event_id, source, topic, key, value, recorded_at) "
            "OVERRIDING SYSTEM VALUE VALUES (500, 'x', '/x', 'lgsp.sync', 'x', '{}', now())"
        )
    gone = await client.get(PATH, headers={"Last-Event-ID": "7"})
    assert (gone.status_code, gone.json()["code"]) == (410, "position_gone")
    ahead = await client.get(PATH, headers={"Last-Event-ID": "999999999999999999"})
    assert (ahead.status_code, ahead.json()["code"]) == (410, "position_gone")
    other = await client.get(PATH, headers=hub.tokens.headers(scopes=["sync:operate"]))
    assert other.status_code == 403
