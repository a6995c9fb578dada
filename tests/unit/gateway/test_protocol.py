"""When an idle connection ends, and when one that was turned away is read again."""

import asyncio
from typing import Any
from unittest.mock import Mock

import uvicorn
from uvicorn.server import ServerState

from gateway.protocol import READ_A_ROUND, hardened


async def answers(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def a_connection(kind: Any = None) -> tuple[Any, Mock]:
    kind = kind or hardened(10.0, 1000, lambda _method, _url, _headers: None)
    config = uvicorn.Config(answers, http=kind, log_config=None, access_log=False)
    protocol = kind(config=config, server_state=ServerState(), app_state={}, _loop=asyncio.get_running_loop())
    transport = Mock()
    transport.is_closing.side_effect = lambda: transport.close.called
    protocol.connection_made(transport)
    return protocol, transport


async def test_a_request_that_came_in_the_round_of_the_last_second_is_answered() -> None:
    """Under load a round of the event loop takes a tenth of a second; what came in it was cut off unread."""
    protocol, transport = a_connection()
    protocol.timeout_keep_alive_handler()
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await asyncio.sleep(0.2)
    assert not transport.close.called
    assert b"204" in b"".join(call.args[0] for call in transport.write.call_args_list)
    protocol.connection_lost(None)


async def test_an_idle_connection_ends() -> None:
    protocol, transport = a_connection()
    protocol.timeout_keep_alive_handler()
    async with asyncio.timeout(60):
        while not transport.close.called:
            await asyncio.sleep(0.01)
    protocol.connection_lost(None)


async def test_those_turned_away_are_read_again_a_few_in_each_round() -> None:
    """Between them the loop comes to those who were let in, however many others knock."""
    kind = hardened(10.0, 1000, lambda _method, _url, _headers: [b"HTTP/1.1 429 T\r\ncontent-length: 0\r\n\r\n"])
    connections = [a_connection(kind) for _ in range(3 * READ_A_ROUND)]
    for protocol, transport in connections:
        protocol.data_received(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{")
        assert transport.writelines.call_count == 1
        assert transport.pause_reading.call_count == 0  # the rest of the body has yet to come
        protocol.data_received(b"}")
        assert transport.pause_reading.call_count == 1
    for rounds in range(1, 4):
        await asyncio.sleep(0)
        assert sum(transport.resume_reading.call_count for _, transport in connections) == rounds * READ_A_ROUND
    for protocol, _ in connections:
        protocol.connection_lost(None)


async def test_one_that_ended_while_it_rested_is_left_alone() -> None:
    kind = hardened(10.0, 1000, lambda _method, _url, _headers: [b"HTTP/1.1 429 T\r\ncontent-length: 0\r\n\r\n"])
    protocol, transport = a_connection(kind)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    transport.close()
    protocol.connection_lost(None)
    await asyncio.sleep(0)
    assert transport.resume_reading.call_count == 0
