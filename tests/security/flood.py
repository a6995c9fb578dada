"""Filings at a fixed rate whatever is answered (an open model), from a process of its own: `python -m … '{order}'`.

Writes one line for each request to `out`: `[number, moment it was due, milliseconds from then to its answer,
milliseconds from its being sent, status, has Retry-After]`; the status is 0 when the connection was cut. A request is
sent late when no connection is free. With `rate` 0 each connection files as fast as it is answered (closed).
"""

import asyncio
import json
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from tests.bench.load import a_filing

_MARK = b"@" * 20
_TICK_SECONDS = 0.005
_IDLE_SECONDS = 3.0
"""Shorter than the server's 5 s: what is sent while it closes would be lost."""


@dataclass
class Order:
    """What to do. `run`: ten characters that begin every external reference; `agency`: number of the unit."""

    host: str
    port: int
    token: str
    run: str
    out: str
    seconds: float
    rate: float = 0
    connections: int = 400
    agency: int = 15


def reference(run: str, number: int) -> str:
    """The external reference of a request."""
    return f"{run}{number:010d}"


class Wire(asyncio.Protocol):
    """One kept-alive connection with one request under way."""

    def __init__(self, flood: "Flood") -> None:
        self._flood = flood
        self._received = b""
        self._number, self._due, self._sent = -1, 0.0, 0.0
        self._transport: Any = None
        self.idle_since = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def ask(self, number: int, due: float) -> None:
        """Send a request."""
        self._number, self._due, self._sent = number, due, time.time()
        self._transport.write(self._flood.request(number))

    def close(self) -> None:
        """Give the connection up."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._received[:end].lower()
        at = head.find(b"content-length:") + 15
        length = int(head[at : head.find(b"\r", at) if head.find(b"\r", at) > 0 else None])
        if len(self._received) < end + 4 + length:
            return
        self._received = b""
        number, self._number = self._number, -1
        self._flood.answered(number, self._due, self._sent, int(head[9:12]), b"\r\nretry-after:" in head)
        self._flood.freed(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._number >= 0:
            self._flood.answered(self._number, self._due, self._sent, 0, False)
        self._flood.lost(self)


class Flood:
    """Carries out one order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._filing = a_filing(order.agency, with_identity=False).encode()
        self._idle: list[Wire] = []
        self._opened = 0
        self._due: deque[tuple[int, float]] = deque()
        self._numbers = 0
        self._ends = 0.0
        self._open = 0
        self._connecting: set[asyncio.Task[Any]] = set()
        self.told: list[tuple[int, float, float, float, int, bool]] = []

    def request(self, number: int) -> bytes:
        """The bytes of one filing."""
        mark = reference(self._order.run, number)
        body = self._filing.replace(_MARK, mark.encode())
        return (
            f"POST /v1/dossiers HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {self._order.token}\r\n"
            f"Content-Type: application/json\r\nIdempotency-Key: {mark}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def answered(self, number: int, due: float, sent: float, status: int, waits: bool) -> None:
        """Note an answer."""
        self._open -= 1
        now = time.time()
        self.told.append((number, due, round((now - due) * 1000, 2), round((now - sent) * 1000, 2), status, waits))

    def freed(self, wire: Wire) -> None:
        """The connection may be used again."""
        if self._due:
            wire.ask(*self._due.popleft())
        elif not self._order.rate and time.time() < self._ends:
            wire.ask(*self._next(time.time()))
        else:
            wire.idle_since = time.time()
            self._idle.append(wire)

    def lost(self, wire: Wire) -> None:
        """The connection is gone."""
        self._opened -= 1
        if wire in self._idle:
            self._idle.remove(wire)

    async def run(self) -> None:
        """Until the time is over and everything was answered."""
        began = time.time()
        self._ends = began + self._order.seconds
        if not self._order.rate:
            for _ in range(self._order.connections):
                self._send(*self._next(time.time()))
        sent = 0
        while (now := time.time()) < self._ends:
            while self._order.rate and sent < (now - began) * self._order.rate:
                self._send(*self._next(began + sent / self._order.rate))
                sent += 1
            await asyncio.sleep(_TICK_SECONDS)
        async with asyncio.timeout(60):
            while self._open:
                await asyncio.sleep(0.02)

    def _next(self, due: float) -> tuple[int, float]:
        self._numbers += 1
        self._open += 1
        return self._numbers, due

    def _send(self, number: int, due: float) -> None:
        while self._idle:
            wire = self._idle.pop()
            if time.time() - wire.idle_since < _IDLE_SECONDS:
                wire.ask(number, due)
                return
            wire.close()
        self._due.append((number, due))
        if self._opened < self._order.connections:
            self._opened += 1
            task = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(lambda: Wire(self), self._order.host, self._order.port)
        self.freed(wire)


async def main() -> None:
    """One order from the argument."""
    order = Order(**json.loads(sys.argv[1]))
    flood = Flood(order)
    await flood.run()
    lines = "\n".join(json.dumps(line) for line in flood.told)
    await asyncio.to_thread(Path(order.out).write_text, lines, encoding="utf-8")


if __name__ == "__main__":
    uvloop.run(main())
