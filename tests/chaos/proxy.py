"""A TCP proxy of ours between any two processes: delay, throttle, cut, hold, refuse, kill all.

Every fault is a context manager that heals on exit:

    async with FaultProxy.to("127.0.0.1", port) as proxy:
        async with proxy.down(): ...
        async with proxy.cut_answers_after(40): ...
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Self

_CHUNK = 65536


@dataclass(frozen=True)
class Weather:
    """What the proxy does to bytes. Seconds and bytes; None: nothing."""

    refuses: bool = False
    delay_seconds: float = 0.0
    """Before each chunk, both ways."""
    bytes_per_second: float | None = None
    """Of the answers."""
    cut_after: int | None = None
    """The connection ends when so many bytes of answers went through."""
    holds_answers: bool = False
    """The request passes, the answer never comes."""


FAIR = Weather()


class FaultProxy:
    """Listens on a loopback port of its own and carries every connection to one address."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self.weather = FAIR
        self.port = 0
        self.accepted = 0

    @classmethod
    @asynccontextmanager
    async def to(cls, host: str, port: int, listen: int = 0) -> AsyncIterator[Self]:
        """A running proxy."""
        proxy = cls(host, port)
        proxy._server = await asyncio.start_server(proxy._accept, "127.0.0.1", listen)
        proxy.port = proxy._server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            proxy._server.close()
            await proxy.kill_all()

    @asynccontextmanager
    async def fault(self, weather: Weather) -> AsyncIterator[None]:
        """This weather until the block ends."""
        before, self.weather = self.weather, weather
        try:
            yield
        finally:
            self.weather = before
            self._changed.set()
            self._changed = asyncio.Event()

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """Nobody answers; open connections break."""
        async with self.fault(replace(self.weather, refuses=True)):
            await self.kill_all()
            yield

    def slow(self, delay_seconds: float) -> contextlib.AbstractAsyncContextManager[None]:
        """Every chunk comes late."""
        return self.fault(replace(self.weather, delay_seconds=delay_seconds))

    def drip(self, bytes_per_second: float) -> contextlib.AbstractAsyncContextManager[None]:
        """Answers come so slowly."""
        return self.fault(replace(self.weather, bytes_per_second=bytes_per_second))

    def cut_answers_after(self, count: int) -> contextlib.AbstractAsyncContextManager[None]:
        """What was asked is done there; the answer breaks off after so many bytes (0: before the first)."""
        return self.fault(replace(self.weather, cut_after=count))

    def hold_answers(self) -> contextlib.AbstractAsyncContextManager[None]:
        """What was asked is done there; the answer never comes."""
        return self.fault(replace(self.weather, holds_answers=True))

    async def kill_all(self) -> None:
        """Break every open connection."""
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self.weather.refuses:
            writer.transport.abort()
            return
        self.accepted += 1
        self._connections.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # a broken connection is what this proxy is for
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        try:
            ask = asyncio.ensure_future(self._pump(reader, there_writer, answers=False))
            answer = asyncio.ensure_future(self._pump(there_reader, writer, answers=True))
            try:
                await asyncio.wait({ask, answer}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ask.cancel()
                answer.cancel()
                await asyncio.gather(ask, answer, return_exceptions=True)
        finally:
            there_writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        passed = 0
        while chunk := await source.read(_CHUNK):
            weather = self.weather
            if weather.delay_seconds:
                await self._sleep(weather.delay_seconds)
            if answers:
                while self.weather.holds_answers:
                    await self._changed.wait()
                weather = self.weather
                if weather.cut_after is not None and passed + len(chunk) > weather.cut_after:
                    sink.write(chunk[: max(0, weather.cut_after - passed)])
                    await sink.drain()
                    return
                if weather.bytes_per_second:
                    await self._drip(chunk, sink, weather.bytes_per_second)
                    continue
            sink.write(chunk)
            passed += len(chunk)
            await sink.drain()

    async def _drip(self, chunk: bytes, sink: asyncio.StreamWriter, rate: float) -> None:
        step = max(1, int(rate / 10))
        for start in range(0, len(chunk), step):
            sink.write(chunk[start : start + step])
            await sink.drain()
            if self.weather.bytes_per_second:
                await asyncio.sleep(step / rate)

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
