"""Row 19 at one gateway: who may be refused, what a refusal looks like, what it leaves behind."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from gateway.turning_away import REFUSED

from .conftest import CODE, Hub

Start = Callable[..., Awaitable[Hub]]
PATH = f"/v1/dossiers/{CODE}"


def refused(service: str, status: int) -> float:
    """The metric."""
    value: float = REFUSED.labels(service, str(status))._value.get()
    return value


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def a_full_hub(start_hub: Start, seconds: float = 3.0) -> tuple[Hub, list["asyncio.Task[httpx2.Response]"]]:
    """A noisy client has its share of places (3 of 4) and of the waiting room (1 of 2)."""
    hub = await start_hub(requests_at_once=4, requests_waiting=2, waiting_seconds=30.0)
    headers = await hub.headers()
    hub.behind.delay_seconds = seconds
    under_way = [asyncio.create_task(hub.client.get(PATH, headers=headers)) for _ in range(3)]
    await until(lambda: len(hub.behind.seen) == 3)
    under_way.append(asyncio.create_task(hub.client.get(PATH, headers=headers)))
    await asyncio.sleep(0.3)  # it waits in the gateway, where nothing can be seen of it
    return hub, under_way


async def test_a_noisy_client_is_429_and_another_is_served(start_hub: Start) -> None:
    hub, under_way = await a_full_hub(start_hub)
    noisy, quiet = await hub.headers(), await hub.headers("desk")
    counted = refused("dossier", 429)
    answers = [await hub.client.get(PATH, headers=noisy) for _ in range(5)]
    assert [(each.status_code, each.headers["retry-after"]) for each in answers] == [(429, "1")] * 5
    assert {each.headers["content-type"] for each in answers} == {"application/problem+json"}
    assert len({each.headers["hub-exchange-id"] for each in answers}) == 5
    assert len({each.text for each in answers}) == 1, "the short way says what the long way says"
    assert len({tuple(sorted(set(each.headers) - {"date", "server"})) for each in answers}) == 1
    assert refused("dossier", 429) == counted + 5
    hub.behind.delay_seconds = 0
    assert (await hub.client.get(PATH, headers=quiet)).status_code == 200
    assert (await hub.client.get("/healthz", headers=noisy)).status_code == 200, "refused in one place only"
    assert (await hub.client.get("/v1/payments", headers=noisy)).status_code == 200
    assert {answer.status_code for answer in await asyncio.gather(*under_way)} == {200}
    assert (await hub.client.get(PATH, headers=noisy)).status_code == 200, "as soon as there is room"
    assert 429 not in {record["status"] for record in await hub.exchanges()}, "refusals are counted, not recorded"


async def test_with_no_room_at_all_everybody_is_503_at_once(start_hub: Start) -> None:
    hub = await start_hub(requests_at_once=1, requests_waiting=0)
    headers = await hub.headers()
    hub.behind.delay_seconds = 2.0
    first = asyncio.create_task(hub.client.get(PATH, headers=headers))
    await until(lambda: bool(hub.behind.seen))
    before = asyncio.get_running_loop().time()
    answers = [await hub.client.post("/v1/dossiers", json={"a": n}, headers=headers) for n in range(5)]
    assert asyncio.get_running_loop().time() - before < 2.0
    assert [(each.status_code, each.json()["code"]) for each in answers] == [(503, "overloaded")] * 5
    assert (await first).status_code == 200
    assert len(hub.behind.seen) == 1, "nothing of what was refused was sent on"


async def test_batches_have_places_of_their_own(start_hub: Start) -> None:
    hub = await start_hub(batches_at_once=1, batches_waiting=0)
    headers = await hub.headers()
    hub.behind.delay_seconds = 2.0
    first = asyncio.create_task(hub.client.post("/v1/dossiers/batch", content=b"{}", headers=headers))
    await until(lambda: bool(hub.behind.seen))
    hub.behind.delay_seconds = 0
    assert (await hub.client.post("/v1/dossiers/batch", content=b"{}", headers=headers)).status_code == 503
    assert (await hub.client.get(PATH, headers=headers)).status_code == 200
    assert (await first).status_code == 200


async def test_a_slow_body_takes_no_place(start_hub: Start) -> None:
    hub = await start_hub(requests_at_once=1, requests_waiting=0)
    token = await hub.token()
    head = f"POST /v1/dossiers HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nContent-Length: 9\r\n\r\n"
    slow = [await asyncio.open_connection("127.0.0.1", hub.settings.port) for _ in range(5)]
    for _, writer in slow:
        writer.write(head.encode() + b'{"a"')
        await writer.drain()
    assert (await hub.client.get(PATH, headers=await hub.headers())).status_code == 200
    for _, writer in slow:
        writer.close()


async def raw(hub: Hub, *pieces: bytes, pause_seconds: float = 0) -> bytes:
    """What comes back over one connection until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.settings.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause_seconds)
    async with asyncio.timeout(60):
        received = await reader.read(-1)
    writer.close()
    return received


@pytest.mark.parametrize("body", [b'{"a":1}', b'{"a":"' + b"x" * 200_000 + b'"}'])
async def test_one_that_is_turned_away_by_the_protocol_leaves_the_connection_in_order(
    start_hub: Start, body: bytes
) -> None:
    hub, under_way = await a_full_hub(start_hub)
    noisy, quiet = await hub.token(), await hub.token("desk")

    def request(token: str, *more: str, method: str = "POST /v1/dossiers", content: bytes = body) -> bytes:
        lines = [f"{method} HTTP/1.1", "Host: h", f"Authorization: Bearer {token}", f"Content-Length: {len(content)}"]
        return "\r\n".join([*lines, *more, "", ""]).encode() + content

    await hub.client.get(PATH, headers={"authorization": f"Bearer {noisy}"})  # now it is known
    hub.behind.delay_seconds = 0
    mixed = request(noisy) + request(noisy) + request(quiet) + request(noisy, "Connection: close", content=b"{}")
    answer = await raw(hub, mixed)
    assert [answer.count(b"HTTP/1.1 " + status) for status in (b"429", b"200")] == [3, 1]
    assert [json.loads(seen["body"]) for seen in hub.behind.seen if seen["body"]] == [json.loads(body)]
    in_pieces = [bytes([letter]) for letter in request(noisy, "Connection: close", content=b"{}")]
    assert (await raw(hub, *in_pieces)).startswith(b"HTTP/1.1 429")
    old = request(noisy, content=b"{}").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert b" 429 " in (await raw(hub, old)).partition(b"\r\n")[0]
    await asyncio.gather(*under_way)


async def test_one_that_asks_on_without_reading_its_refusals_is_let_go(start_hub: Start) -> None:
    """They would all be kept for it."""
    hub, under_way = await a_full_hub(start_hub, seconds=60)
    noisy = await hub.token()
    await hub.client.get(PATH, headers={"authorization": f"Bearer {noisy}"})
    many = f"GET {PATH} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {noisy}\r\n\r\n".encode() * 1000
    _, writer = await asyncio.open_connection("127.0.0.1", hub.settings.port, limit=1024)
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(60):
            for _ in range(100):
                writer.write(many)
                await writer.drain()
            await writer.wait_closed()
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)


async def test_a_refused_body_that_never_ends_ends_the_connection(start_hub: Start) -> None:
    """Each byte of it put off the end of the connection, for ever: also where a token was wrong."""
    hub = await start_hub(header_deadline_seconds=1.0)
    head = b"POST /v1/dossiers HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\nContent-Length: 900\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.settings.port)

    async def drip() -> None:
        writer.write(head)
        while True:
            await asyncio.sleep(0.2)
            writer.write(b"a")

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(60):
        answer = await _all(reader)
    dripping.cancel()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 401")


async def _all(reader: asyncio.StreamReader) -> bytes:
    received = b""
    try:
        while piece := await reader.read(65_536):
            received += piece
    except ConnectionError:
        pass
    return received


async def test_a_body_that_is_too_much_together_is_503(start_hub: Start) -> None:
    hub = await start_hub(bodies_held_bytes=1000)
    headers: dict[str, Any] = await hub.headers()
    answer = await hub.client.post("/v1/dossiers", json={"a": "x" * 2000}, headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
