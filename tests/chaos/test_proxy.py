"""The fault proxy does what its faults say, and heals."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.chaos.proxy import FaultProxy


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers what it hears, and what it heard."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            heard.append(line)
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], heard
    server.close()


async def ask(port: int, line: bytes, seconds: float = 2.0) -> bytes:
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(line)
            return await reader.readline()
        finally:
            writer.transport.abort()


async def test_every_fault_heals() -> None:
    async with echoing() as (port, heard), FaultProxy.to("127.0.0.1", port) as proxy:
        assert await ask(proxy.port, b"fair\n") == b"fair\n"
        async with proxy.down():
            with contextlib.suppress(ConnectionError):
                assert await ask(proxy.port, b"down\n") == b"", "an abort may also read as the end"
        async with proxy.cut_answers_after(3):
            assert await ask(proxy.port, b"cut here\n") == b"cut"
        async with proxy.hold_answers():
            with pytest.raises(TimeoutError):
                await ask(proxy.port, b"held\n", 0.3)
        async with proxy.slow(0.3):
            started = time.monotonic()
            assert await ask(proxy.port, b"slow\n") == b"slow\n"
            assert time.monotonic() - started >= 0.5
        async with proxy.drip(20):
            started = time.monotonic()
            assert await ask(proxy.port, b"0123456789\n") == b"0123456789\n"
            assert time.monotonic() - started >= 0.4
        assert await ask(proxy.port, b"fair again\n") == b"fair again\n"
        assert b"down\n" not in heard
        assert b"held\n" in heard, "what was asked is done there"
