"""One kept-alive HTTP/1.1 connection to a service behind the gateway: a request out, its answer in.

```
idle ──send──▶ under way ──head and body up to `cap`──▶ answered, idle again
                   │  └──body beyond `cap`──▶ streaming (`Rest`) ──its end──▶ idle again
                   └──deadline, cut, nonsense, cancelled, given up──▶ closed, never used again
```
The parser is llhttp (httptools), as in the server in front. Nothing is ever repeated here: whether a request that
got no answer was carried out is for the caller to find out.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Self

import httptools

MOST_HEAD_BYTES = 64 * 1024
_NEWS = b"text/event-stream"
_WITHOUT_BODY = frozenset((204, 304))
Body = bytes | AsyncIterator[bytes] | None


class BrokenOff(Exception):
    """The connection ended before the answer did."""


class NotHttp(Exception):
    """What came is no answer to what was asked."""


@dataclass(slots=True)
class Answer:
    """A service's answer: whole in `body`, or (when larger than the cap) its beginning and the `rest`."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    rest: "Rest | None" = None
    closes: bool = False
    """The connection to the caller ends with this answer: the rest of its request is not read."""


class Rest:
    """What comes after the beginning of a large answer. Its reader's pace is the service's pace."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._pieces: deque[bytes] = deque()
        self._ended = False
        self._fault: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next piece. Raises `BrokenOff`, `NotHttp` or `TimeoutError`."""
        while not self._pieces:
            if self._fault is not None:
                raise self._fault
            if self._ended:
                raise StopAsyncIteration
            self._connection.resume()
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._pieces.popleft()

    @property
    def waiting_bytes(self) -> int:
        """What was read and not taken yet."""
        return sum(map(len, self._pieces))

    async def aclose(self) -> None:
        """Give up what has not come yet."""
        if not self._ended:
            self._connection.give_up(BrokenOff("given up"))

    def feed(self, piece: bytes) -> None:
        """A piece came."""
        self._pieces.append(piece)
        self._wake()

    def end(self, fault: Exception | None) -> None:
        """It is complete, or nothing more will come."""
        self._ended, self._fault = True, fault
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Connection(asyncio.Protocol):
    """One connection; `freed` is called when an exchange over it is over, however it ended."""

    def __init__(self, freed: Callable[["Connection"], None]) -> None:
        self._freed = freed
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._pouring: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._answered: asyncio.Future[Answer] | None = None
        self._rest: Rest | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._room = self._head_bytes = self._status = 0
        self._is_framed = self._keeps_open = self._until_end = self._may_stream = False
        self._under_way = False
        self._is_reading = True
        self.is_open = False
        self.idle_since = 0.0
        """By the loop's clock."""

    async def send(
        self, head: bytes, body: Body, *, is_chunked: bool, cap: int, seconds: float, may_stream: bool = False
    ) -> Answer:
        """One exchange. Raises `BrokenOff`, `NotHttp`, `TimeoutError`, or what a streamed body raises."""
        loop = asyncio.get_running_loop()
        self._begin(cap)
        self._may_stream = may_stream
        answered: asyncio.Future[Answer] = loop.create_future()
        self._answered = answered
        self._timer = loop.call_later(seconds, self.give_up, TimeoutError())
        if isinstance(body, bytes):
            self._transport.writelines((head, body))
        else:
            self._transport.write(head)
            if body is not None:
                self._pouring = loop.create_task(self._pour(body, is_chunked))
                self._pouring.add_done_callback(self._poured)
        try:
            return await answered
        except asyncio.CancelledError:
            self.give_up(BrokenOff("cancelled"))
            raise

    def resume(self) -> None:
        """Read on."""
        if not self._is_reading and self.is_open:
            self._is_reading = True
            self._transport.resume_reading()

    def give_up(self, fault: Exception) -> None:
        """End the exchange that is under way with this fault, and the connection with it."""
        if self._under_way:
            self.close()
            self._over(fault)

    def close(self) -> None:
        """Close at once; what is under way ends when the connection is lost."""
        self.is_open = False
        self._transport.abort()

    # What the transport calls.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.resume_writing()
        if self._under_way and exc is None and self._until_end:
            self._complete()
        self.give_up(BrokenOff(repr(exc) if exc else "closed"))

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def data_received(self, data: bytes) -> None:
        if not self._under_way:
            self.close()  # nobody asked: whatever it is, it must not become the answer to the next request
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as fault:
            cause = fault.__context__
            self.give_up(cause if isinstance(cause, NotHttp) else NotHttp(repr(fault)))
            self.close()
            if cause is not None and not isinstance(cause, NotHttp):
                raise  # a bug of ours, not the service's
            return
        if self._status == 0:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.give_up(NotHttp("the head of the answer is too large"))

    # What the parser calls.

    def on_message_begin(self) -> None:
        if not self._under_way:
            raise NotHttp("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.lower()
        if lowered in (b"content-length", b"transfer-encoding"):
            self._is_framed = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status == 101 or not 100 <= status <= 599:
            raise NotHttp(f"status {status}")
        if status < 200:  # the answer itself comes after it
            self._headers = []
            return
        self._status = status
        self._keeps_open = self._parser.should_keep_alive()
        self._until_end = not self._is_framed and status not in _WITHOUT_BODY
        if self._may_stream and self._is_news() and self._answered is not None and not self._answered.done():
            if self._timer is not None:
                self._timer.cancel()
            self._rest = Rest(self)
            self._answered.set_result(self._answer())

    def on_body(self, body: bytes) -> None:
        if self._rest is not None:
            self._rest.feed(body)
            self._pause()
            return
        self._pieces.append(body)
        self._room -= len(body)
        if self._room < 0 and self._answered is not None and not self._answered.done():
            self._rest = Rest(self)
            self._answered.set_result(self._answer())
            self._pause()

    def on_message_complete(self) -> None:
        if self._status:
            self._complete()

    def _is_news(self) -> bool:
        return any(name.lower() == b"content-type" and value.startswith(_NEWS) for name, value in self._headers)

    def _begin(self, cap: int) -> None:
        self._under_way = True
        self._room = cap
        self._head_bytes = self._status = 0
        self._headers, self._pieces, self._rest = [], [], None
        self._is_framed = self._keeps_open = self._until_end = False

    def _answer(self) -> Answer:
        pieces = self._pieces
        return Answer(self._status, self._headers, pieces[0] if len(pieces) == 1 else b"".join(pieces), self._rest)

    def _complete(self) -> None:
        """The whole answer is here. Whoever has not taken the whole request gets no second one."""
        is_sent = self._pouring is None and not self._transport.get_write_buffer_size()
        if not (self._keeps_open and is_sent):
            self.close()
        self._over(None)

    def _over(self, fault: Exception | None) -> None:
        self._under_way = False
        if self._timer is not None:
            self._timer.cancel()
        if self._pouring is not None:
            self._pouring.cancel()
        if self._rest is not None:
            self._rest.end(fault)
        elif self._answered is not None and not self._answered.done():
            if fault is None:
                self._answered.set_result(self._answer())
            else:
                self._answered.set_exception(fault)
        self.resume()
        self._freed(self)

    def _pause(self) -> None:
        if self._is_reading and self.is_open:
            self._is_reading = False
            self._transport.pause_reading()

    async def _pour(self, body: AsyncIterator[bytes], is_chunked: bool) -> None:
        async for piece in body:
            self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
            if self._writable is not None:
                await self._writable
        if is_chunked:
            self._transport.write(b"0\r\n\r\n")

    def _poured(self, task: asyncio.Task[None]) -> None:
        self._pouring = None
        if not task.cancelled():
            fault = task.exception()
            if isinstance(fault, Exception):
                self.give_up(fault)
