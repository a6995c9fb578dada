"""An answer leaves in one write, and nothing of it is lost or held back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from shared.one_write import OneWriteProtocol

App = Callable[[Any, Any, Any], Awaitable[None]]


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def answering(status: int, headers: list[tuple[bytes, bytes]], *pieces: bytes, fails: bool = False) -> App:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if fails:
            raise RuntimeError("no body")
        for number, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})

    return app


async def writes(app: App, request: bytes = b"GET / HTTP/1.1\r\n\r\n") -> Wire:
    """What leaves for a request."""
    config = Config(app, log_config=None, access_log=False, server_header=False, date_header=False, lifespan="off")
    config.load()
    protocol = OneWriteProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    wire = Wire()
    protocol.connection_made(wire)
    protocol.data_received(request)
    while protocol.tasks:
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    return wire


async def test_head_and_body_leave_together() -> None:
    wire = await writes(answering(200, [(b"content-length", b"2")], b"ok"))
    assert wire.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]


@pytest.mark.parametrize(("status", "headers"), [(204, []), (304, []), (200, [(b"content-length", b"0")])])
async def test_an_answer_without_a_body_leaves(status: int, headers: list[tuple[bytes, bytes]]) -> None:
    wire = await writes(answering(status, headers, b""))
    assert b"".join(wire.writes).endswith(b"\r\n\r\n")


async def test_the_answer_to_head_leaves() -> None:
    wire = await writes(answering(200, [(b"content-length", b"2")], b"ok"), b"HEAD / HTTP/1.1\r\n\r\n")
    assert wire.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"]


async def test_a_stream_begins_with_its_first_piece() -> None:
    wire = await writes(answering(200, [], b"ab", b"", b"c", b""))
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    assert [it for it in wire.writes if it] == [head + b"2\r\nab\r\n", b"1\r\nc\r\n", b"0\r\n\r\n"]


async def test_a_large_body_is_not_copied() -> None:
    body = b"x" * 100_000
    wire = await writes(answering(200, [(b"content-length", b"100000")], body))
    assert [len(it) for it in wire.writes] == [len(wire.writes[0]), 100_000]


async def test_a_caller_that_waits_to_be_asked_is_asked_at_once() -> None:
    request = b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nok"
    wire = await writes(answering(200, [(b"content-length", b"2")], b"ok"), request)
    assert wire.writes == [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ]


async def test_several_requests_on_one_connection_are_answered_in_order() -> None:
    wire = await writes(answering(200, [(b"content-length", b"2")], b"ok"), b"GET / HTTP/1.1\r\n\r\n" * 3)
    assert wire.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"] * 3


async def test_an_answer_that_breaks_off_before_its_body_ends_the_connection() -> None:
    wire = await writes(answering(200, [(b"content-length", b"2")], fails=True))
    assert wire.writes == []
    assert wire.closed
