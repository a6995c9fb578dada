"""Slow, huge and crooked requests over raw sockets (faults.md rows 20, 21, 32)."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psutil
import pytest

from .conftest import CODE, Hub

Start = Callable[..., Awaitable[Hub]]
PATH = f"/v1/dossiers/{CODE}"


async def spoken(hub: Hub, *pieces: bytes, wait_seconds: float = 10) -> bytes:
    """Send the pieces over one connection; everything that comes back until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.settings.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await everything(reader, wait_seconds)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def everything(reader: asyncio.StreamReader, wait_seconds: float = 10) -> bytes:
    """What arrives until the connection ends, also when it is cut."""
    received = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(wait_seconds):
            while piece := await reader.read(65_536):
                received += piece
    return received


def a_head(token: str, *lines: str, request: str = "POST /v1/dossiers HTTP/1.1") -> bytes:
    return "\r\n".join([request, "Host: hub", f"Authorization: Bearer {token}", *lines, "", ""]).encode()


async def test_slow_headers_are_cut_and_honest_callers_served(start_hub: Start) -> None:
    hub = await start_hub(header_deadline_seconds=1.0)
    headers = await hub.headers()
    slow = [await asyncio.open_connection("127.0.0.1", hub.settings.port) for _ in range(100)]
    started = time.monotonic()

    async def drip(writer: asyncio.StreamWriter) -> None:
        for letter in b"GET /v1/dossiers HTTP/1.1\r\nHost: hub\r\nX-Slow: " + b"a" * 400:
            writer.write(bytes([letter]))
            await asyncio.sleep(0.05)

    dripping = [asyncio.create_task(drip(writer)) for _, writer in slow]
    assert (await hub.client.get(PATH, headers=headers)).status_code == 200
    answers = await asyncio.wait_for(asyncio.gather(*(everything(reader, 12) for reader, _ in slow)), 15)
    assert time.monotonic() - started < 12
    # Where a letter crossed the refusal, the connection is reset and nothing is read.
    assert all(answer == b"" or answer.startswith(b"HTTP/1.1 408") for answer in answers)
    for task in dripping:
        task.cancel()
    for _, writer in slow:
        writer.close()


async def test_a_silent_connection_and_a_second_slow_head_are_cut_too(start_hub: Start) -> None:
    hub = await start_hub(header_deadline_seconds=0.5)
    assert (await spoken(hub)).startswith(b"HTTP/1.1 408")
    token = await hub.token()
    answer = await spoken(hub, a_head(token, request=f"GET {PATH} HTTP/1.1"), b"GET /v1/")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answer


async def test_a_slow_body_is_408(start_hub: Start) -> None:
    hub = await start_hub(body_deadline_seconds=0.5)
    answer = await spoken(hub, a_head(await hub.token(), "Content-Length: 100"), b"{")
    assert answer.startswith(b"HTTP/1.1 408")
    assert hub.behind.seen == []


async def test_many_slow_bodies_cannot_fill_the_memory(start_hub: Start) -> None:
    hub = await start_hub(bodies_held_bytes=3_000_000)
    token = await hub.token()
    held = [await asyncio.open_connection("127.0.0.1", hub.settings.port) for _ in range(3)]
    for _, writer in held:
        writer.write(a_head(token, "Content-Length: 1000000") + b"{")
    await asyncio.sleep(0.2)
    refused = await hub.client.post("/v1/dossiers", json={"a": 1}, headers={"Authorization": f"Bearer {token}"})
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "overloaded", "1")
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.2)
    assert (await hub.client.post("/v1/dossiers", json={"a": 1}, headers=await hub.headers())).status_code == 200


async def test_strangers_slow_bodies_leave_room_for_others(start_hub: Start) -> None:
    """256 chunked bodies to /oauth/token, which asks for no token, took all the room there was for bodies."""
    hub = await start_hub(bodies_held_bytes=2_100_000)
    headers = await hub.headers()
    held = [await asyncio.open_connection("127.0.0.1", hub.settings.port) for _ in range(2)]
    for reader, writer in held:
        writer.write(b"POST /oauth/introspect HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.5)  # the second is refused, the first is waited for
    answer = await hub.client.post("/v1/dossiers", json={"a": "a" * 10_000}, headers=headers)
    assert answer.status_code == 200, answer.text
    for _, writer in held:
        writer.close()


async def test_connections_per_address_are_capped(start_hub: Start) -> None:
    hub = await start_hub(connections_per_address=5)
    held = [await asyncio.open_connection("127.0.0.1", hub.settings.port) for _ in range(5)]
    await asyncio.sleep(0.1)
    assert (await spoken(hub)).startswith(b"HTTP/1.1 429")
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.1)
    assert (await hub.client.get("/healthz")).status_code == 200


async def test_a_body_that_says_it_is_too_large_is_413_before_it_is_sent(hub: Hub) -> None:
    answer = await spoken(hub, a_head(await hub.token(), "Content-Length: 1048577"))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()
    assert hub.behind.seen == []


@pytest.mark.parametrize(("path", "limit"), [("/v1/dossiers", 1), ("/v1/dossiers/batch", 16)])
async def test_a_chunked_body_cannot_lie_about_its_size(hub: Hub, path: str, limit: int) -> None:
    before = psutil.Process().memory_info().rss
    head = a_head(await hub.token(), "Transfer-Encoding: chunked", request=f"POST {path} HTTP/1.1")
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    answer = await spoken(hub, head, *[chunk] * (limit + 40), b"0\r\n\r\n")
    # Either the refusal is read, or the connection was cut while the rest was still being sent.
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413")
    assert [request["body"] for request in hub.behind.seen if len(request["body"]) > limit * 0x100000] == []
    record = (await hub.exchanges())[-1]
    assert (record["route"], record["status"]) == (path, 413)
    assert psutil.Process().memory_info().rss - before < 100 * 2**20


async def test_a_full_batch_passes_chunked_and_plain(hub: Hub) -> None:
    body = b"".join(b'{"n":%07d}\n' % n for n in range(900_000))[: 16 * 2**20 - 100]
    headers = await hub.headers()

    async def pieces() -> object:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    plain = await hub.client.post("/v1/dossiers/batch", content=body, headers=headers)
    chunked = await hub.client.post("/v1/dossiers/batch", content=pieces(), headers=headers)  # type: ignore[arg-type]
    assert (plain.status_code, chunked.status_code) == (200, 200)
    assert [len(request["body"]) for request in hub.behind.seen] == [len(body)] * 2
    first, second = (await hub.exchanges())[-2:]
    assert first["request_sha256"] == second["request_sha256"]


async def test_huge_and_many_headers_are_431(hub: Hub) -> None:
    huge = await spoken(hub, b"GET /healthz HTTP/1.1\r\nHost: h\r\nX-Big: " + b"a" * 2**20 + b"\r\n\r\n")
    assert huge == b"" or huge.startswith(b"HTTP/1.1 431")
    many = b"GET /healthz HTTP/1.1\r\nHost: h\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(10_000)) + b"\r\n"
    answer = await spoken(hub, many)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")
    long_path = await spoken(hub, b"GET /" + b"a" * 2**20 + b" HTTP/1.1\r\nHost: h\r\n\r\n")
    assert long_path == b"" or long_path.startswith(b"HTTP/1.1 431")
    assert (await hub.client.get("/healthz")).status_code == 200


@pytest.mark.parametrize("after", [b"0\r\nX-Trailer: ", b"1;extension="])
async def test_what_is_neither_head_nor_body_has_a_limit(hub: Hub, after: bytes) -> None:
    """A trailer without an end was kept as it came, for ten seconds even from a stranger whose request was refused."""
    head = b"POST /v1/dossiers HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", hub.settings.port)
    writer.write(head + after)
    sent = 0
    with suppress(ConnectionError):
        async with asyncio.timeout(60):
            while sent < 16 * 2**20:
                writer.write(b"a" * 65_536)
                await writer.drain()
                sent += 65_536
    writer.transport.abort()
    assert sent < 16 * 2**20


async def test_a_long_body_in_small_chunks_passes(hub: Hub) -> None:
    head = a_head(await hub.token(), "Transfer-Encoding: chunked", "Connection: close")
    answer = await spoken(hub, head, *[b"1\r\n1\r\n" * 8_000] * 20, b"0\r\nX-Trailer: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert hub.behind.seen[-1]["body"] == b"1" * 160_000


async def test_compressed_bodies_are_refused(hub: Hub) -> None:
    answer = await hub.client.post(
        "/v1/dossiers", content=b"\x1f\x8b", headers=await hub.headers() | {"Content-Encoding": "gzip"}
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: +5"],
        ["Content-Length: 5, 5"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding : chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        ["X: a\nTransfer-Encoding: chunked"],
    ],
)
async def test_two_readings_of_one_request_are_400(hub: Hub, lines: list[str]) -> None:
    smuggled = b"0\r\n\r\nGET /v1/clients HTTP/1.1\r\nHost: hub\r\n\r\n"
    answer = await spoken(hub, a_head(await hub.token(), *lines), smuggled)
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert hub.behind.seen == []


async def test_a_smuggled_second_request_is_a_request_of_its_own(hub: Hub) -> None:
    body = json.dumps({"a": 1}).encode()
    head = a_head(await hub.token(), f"Content-Length: {len(body)}")
    answer = await spoken(hub, head + body + b"GET /v1/clients HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 401" in answer
    assert [request["body"] for request in hub.behind.seen] == [body]
