"""The forwarding connection: what a service may do to it, and that it reads answers as aiohttp reads them."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.connection import Answer, BrokenOff
from gateway.upstream import Upstream
from shared.errors import HubError, Overloaded, UpstreamInvalid, UpstreamTimeout, UpstreamUnavailable
from shared.errors import Upstream as RemoteFault

CAP = 1000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Wire:
    """A server that answers each request with these bytes, in these pieces, and then hangs up or not."""

    pieces: list[bytes] = field(default_factory=lambda: [OK])
    hangs_up: bool = False
    waits: bool = True
    """For the whole request before it answers."""
    seen: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.seen.append(await _request(reader) if self.waits else await reader.readuntil(b"\r\n\r\n"))
                for piece in self.pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if self.hangs_up:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    if (at := lower.find(b"content-length:")) >= 0:
        return head + await reader.readexactly(int(lower[at + 15 : lower.index(b"\r", at)]))
    if b"transfer-encoding: chunked" in lower:
        return head + await reader.readuntil(b"0\r\n\r\n")
    return head


@asynccontextmanager
async def served(wire: Wire) -> AsyncIterator[Wire]:
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()


@asynccontextmanager
async def asked(wire: Wire, **more: Any) -> AsyncIterator[Upstream]:
    options = {"deadline_seconds": 5.0, "most_under_way": 4, **more}
    async with served(wire), Upstream("dossier", f"http://127.0.0.1:{wire.port}", **options) as upstream:
        yield upstream


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def get(upstream: Upstream, cap: int = CAP) -> Answer:
    return await upstream.send("GET", "/v1/x?a=1", [("accept", "*/*")], None, cap=cap)


async def test_a_request_arrives_as_it_was_sent_and_its_connection_serves_the_next_one() -> None:
    wire = Wire()
    async with asked(wire) as upstream:
        answer = await upstream.send("POST", "/v1/x", [("hub-purpose", "xác minh")], b"{}", cap=CAP)
        assert (answer.status, answer.headers, answer.body) == (200, [(b"Content-Length", b"2")], b"ok")
        await get(upstream)
        await upstream.send("POST", "/v1/y", [], None, cap=CAP)
        host = f"host: 127.0.0.1:{wire.port}\r\n".encode()
        assert wire.seen == [
            b"POST /v1/x HTTP/1.1\r\n" + host + "hub-purpose: xác minh\r\ncontent-length: 2\r\n\r\n{}".encode(),
            b"GET /v1/x?a=1 HTTP/1.1\r\n" + host + b"accept: */*\r\n\r\n",
            b"POST /v1/y HTTP/1.1\r\n" + host + b"content-length: 0\r\n\r\n",
        ]
        assert wire.connections == 1
        assert upstream.under_way == 0


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


@pytest.mark.parametrize(
    ("length", "framing", "body"),
    [(5, b"content-length: 5", b"abcde"), (None, b"transfer-encoding: chunked", b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")],
)
async def test_a_streamed_body_goes_as_it_was_announced(length: int | None, framing: bytes, body: bytes) -> None:
    wire = Wire()
    async with asked(wire) as upstream:
        for _ in range(2):
            answer = await upstream.send("POST", "/v1/x", [], _pieces(b"ab", b"cde"), length=length, cap=CAP)
            assert answer.status == 200
            head, _, sent = wire.seen[-1].partition(b"\r\n\r\n")
            assert head.endswith(framing)
            assert sent == body


async def test_a_service_that_answers_before_the_body_is_there_ends_it_and_gets_no_second_request() -> None:
    wire = Wire([b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"], waits=False)

    async def without_end() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    async with asked(wire) as upstream:
        answer = await upstream.send("POST", "/v1/x", [], without_end(), cap=CAP)
        assert answer.status == 413
        assert (await get(upstream)).status == 413
        assert wire.connections == 2


async def test_what_reading_the_body_raises_ends_the_exchange() -> None:
    class Gone(HubError):
        """The caller hung up."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise Gone

    async with asked(Wire()) as upstream:
        with pytest.raises(Gone):
            await upstream.send("POST", "/v1/x", [], broken(), cap=CAP)
        assert upstream.under_way == 0


@pytest.mark.parametrize(
    ("pieces", "hangs_up", "fault"),
    [
        ([], True, UpstreamUnavailable),
        ([b"HTTP/1.1 200 OK\r\nContent-"], True, UpstreamUnavailable),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"], True, UpstreamUnavailable),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"], True, UpstreamUnavailable),
        ([b"<html>down</html>"], False, UpstreamInvalid),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok"], False, UpstreamInvalid),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"], False, UpstreamInvalid),
        ([b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"], False, UpstreamInvalid),
        ([b"HTTP/1.1 777 Lucky\r\nContent-Length: 0\r\n\r\n"], False, UpstreamInvalid),
        ([b"HTTP/1.1 200 OK\r\n" + b"X-Y: " + b"z" * 70_000], False, UpstreamInvalid),
        ([b"HTTP/1.1 200 OK\r\n", *[b"X-Y: zzzzzzzzz\r\n" * 100] * 60], False, UpstreamInvalid),
        ([b"HTTP/1.1 200 OK\r\n"], False, UpstreamTimeout),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"], False, UpstreamTimeout),
    ],
)
async def test_an_answer_that_is_none_is_an_unknown_outcome(
    pieces: list[bytes], hangs_up: bool, fault: type[RemoteFault]
) -> None:
    wire = Wire(pieces, hangs_up)
    async with asked(wire, deadline_seconds=0.3 if fault is UpstreamTimeout else 5.0) as upstream:
        with pytest.raises(fault) as raised:
            await get(upstream)
        assert type(raised.value) is fault
        assert raised.value.outcome_unknown
        wire.pieces, wire.hangs_up = [OK], False
        assert (await get(upstream)).body == b"ok"
        assert (wire.connections, upstream.under_way) == (2, 0)


async def test_a_service_that_is_not_there_got_nothing() -> None:
    async with served(Wire()) as wire:
        pass
    async with Upstream("dossier", f"http://127.0.0.1:{wire.port}", deadline_seconds=5, most_under_way=1) as upstream:
        with pytest.raises(UpstreamUnavailable) as raised:
            await get(upstream)
        assert not raised.value.outcome_unknown
        assert upstream.under_way == 0


@pytest.mark.parametrize(
    "extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"x", b"\r\n\r\nHTTP/1.1 200 OK\r\n"]
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_more_than_was_asked_for_never_answers_the_next_request(extra: bytes, at_once: bool) -> None:
    wire = Wire([OK + extra] if at_once else [OK, extra])
    async with asked(wire) as upstream:
        assert (await get(upstream)).body == b"ok"
        await until(lambda: not any(connection.is_open for connection in upstream.idle))
        wire.pieces = [OK.replace(b"ok", b"me")]
        assert (await get(upstream)).body == b"me"
        assert wire.connections == 2


async def test_a_connection_that_the_service_closed_is_not_used() -> None:
    wire = Wire(hangs_up=True)
    async with asked(wire) as upstream:
        for _ in range(3):
            assert (await get(upstream)).body == b"ok"
            await until(lambda: not any(connection.is_open for connection in upstream.idle))
        assert wire.connections == 3


async def test_as_many_as_allowed_are_under_way_and_a_cancelled_one_makes_room() -> None:
    wire = Wire([])
    async with asked(wire, most_under_way=1) as upstream:
        first = asyncio.create_task(get(upstream))
        await until(lambda: bool(wire.seen))
        with pytest.raises(Overloaded):
            await get(upstream)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        wire.pieces = [OK]
        assert (await get(upstream)).body == b"ok"
        assert wire.connections == 2


async def test_a_line_break_never_leaves_in_a_header() -> None:
    async with asked(Wire()) as upstream:
        for headers, target in (([("a", "b\r\nc: d")], "/x"), ([], "/x HTTP/1.1\r\na: b"), ([("a", "b\rc")], "/x")):
            with pytest.raises(ValueError, match="not to be sent"):
                await upstream.send("GET", target, headers, None, cap=CAP)
        assert upstream.under_way == 0


def large(size: int, *, pieces: int = 8) -> list[bytes]:
    body = bytes(range(256)) * (size // 256)
    step = len(body) // pieces
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    return [head, *(body[start : start + step] for start in range(0, len(body), step))]


async def test_an_answer_beyond_the_cap_comes_in_pieces_and_its_connection_goes_on() -> None:
    wire = Wire(large(4_000_000))
    async with asked(wire) as upstream:
        for _ in range(2):
            answer = await get(upstream, cap=100_000)
            assert answer.rest is not None
            assert upstream.under_way == 1
            body = answer.body + b"".join([piece async for piece in answer.rest])
            assert body == b"".join(wire.pieces[1:])
            assert upstream.under_way == 0
        assert wire.connections == 1


async def test_a_reader_that_pauses_holds_the_service_back() -> None:
    wire = Wire(large(64_000_000, pieces=500))
    async with asked(wire) as upstream:
        answer = await get(upstream, cap=1000)
        await asyncio.sleep(0.3)
        assert answer.rest is not None
        assert answer.rest.waiting_bytes < 1_000_000
        await answer.rest.aclose()
        assert upstream.under_way == 0


@pytest.mark.parametrize("how", ["given up", "broken off", "too slow"])
async def test_a_large_answer_that_stops_makes_room(how: str) -> None:
    wire = Wire(large(4_000_000)[:4], hangs_up=how == "broken off")
    async with asked(wire, most_under_way=1, deadline_seconds=0.5) as upstream:
        answer = await get(upstream)
        assert answer.rest is not None
        if how == "given up":
            await answer.rest.aclose()
        else:
            with pytest.raises(TimeoutError if how == "too slow" else BrokenOff):
                _ = [piece async for piece in answer.rest]
        assert upstream.under_way == 0
        wire.pieces, wire.hangs_up = [OK], False
        assert (await get(upstream)).body == b"ok"


_NAMES = st.sampled_from([b"ETag", b"X-A", b"set-cookie", b"Location", b"Hub-Error"])
_VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12).map(str.encode)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, bool]:
    """An answer's bytes, and whether the server hangs up behind it; some are cut or garbled."""
    status = draw(st.sampled_from([200, 200, 201, 204, 304, 404, 500, 599]))
    headers = draw(st.lists(st.tuples(_NAMES, _VALUES), max_size=4))
    body = draw(st.binary(max_size=300))
    framing = draw(st.sampled_from(["length", "chunked", "end", "closing length"]))
    hangs_up = framing in ("end", "closing length")
    if status in (204, 304):
        body, framing = b"", "none"
    elif framing == "chunked":
        headers.append((b"Transfer-Encoding", b"chunked"))
        sizes = draw(st.lists(st.integers(1, 80), max_size=6))
        chunks, at = [], 0
        for size in [*sizes, 300]:
            chunks.append(body[at : at + size])
            at += size
        body = b"".join(b"%x\r\n%b\r\n" % (len(it), it) for it in chunks if it) + b"0\r\n\r\n"
    elif framing != "end":
        headers.append((draw(st.sampled_from([b"Content-Length", b"content-length"])), b"%d" % len(body)))
    if framing == "closing length":
        headers.append((b"Connection", b"close"))
    interim = draw(st.sampled_from([b"", b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"]))
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    whole = interim + b"HTTP/1.1 %d X\r\n" % status + lines + b"\r\n" + body
    if draw(st.integers(0, 3)) == 0:
        return whole[: draw(st.integers(0, len(whole)))], True
    return whole, hangs_up or draw(st.booleans())


async def outcome(ask: Callable[[], Awaitable[tuple[int, Any, bytes]]]) -> Any:
    try:
        return await ask()
    except (UpstreamInvalid, UpstreamUnavailable, aiohttp.ClientError):
        return "fault"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=answers(), cuts=st.lists(st.integers(0, 500), max_size=5))
async def test_answers_are_read_as_aiohttp_reads_them(answer: tuple[bytes, bool], cuts: list[int]) -> None:
    whole, hangs_up = answer
    edges = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(edges) if b > a]
    wire = Wire(pieces, hangs_up)
    async with asked(wire) as upstream, aiohttp.ClientSession(auto_decompress=False) as session:

        async def ours() -> tuple[int, Any, bytes]:
            found = await get(upstream)
            return found.status, found.headers, found.body

        async def theirs() -> tuple[int, Any, bytes]:
            url = f"http://127.0.0.1:{wire.port}/v1/x"
            async with session.get(url, allow_redirects=False) as found:
                return found.status, list(found.raw_headers), await found.read()

        assert await outcome(ours) == await outcome(theirs)
