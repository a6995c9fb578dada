"""When an idle connection ends: not while a request lies unread in its socket."""

import asyncio
from typing import Any
from unittest.mock import Mock

import uvicorn
from uvicorn.server import ServerState

from gateway.protocol import hardened


async def answers(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def a_connection() -> tuple[Any, Mock]:
    kind = hardened(10.0, 1000, lambda _method, _url, _headers: None)
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
