"""The load: a process of its own that does as little as possible per request. `python -m tests.bench.load '{…}'`.

Prebuilt bytes over plain asyncio streams, so that the two cores are left to what is measured. Reads its order (JSON)
from the argument or the input, writes what it found (JSON) to the output.
```
single   POST /v1/dossiers, `clients` connections, as fast as the answers come, for `seconds`
batch    POST /v1/dossiers/batch with 500 lines, `clients` connections, `count` dossiers
read     GET `path`, `clients` connections, for `seconds`
act      POST /v1/dossiers/{code}/transitions: `ACTIONS` in turn on all `codes`, `clients` connections, for `seconds`
acts     POST /v1/dossiers/transitions/batch with 500 lines: the same, `clients` connections, until all are done
paced    POST /v1/dossiers/batch, `rate` dossiers a second in small batches, for `seconds` (open: never waits)
```
"""

import asyncio
import json
import secrets
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

LINES_A_BATCH = 500
ACTIONS = ("receive", "start")
PACE_SECONDS = 0.02
_MARK = "@@@@@@@@@@@@@@@@@@@@"  # replaced by a reference of the same length
_PERSON = {"kind": "citizen", "full_name": "Nguyễn Thị An", "date_of_birth": "1990-04-12", "phone": "0900000000"}
_OFFICER = {"name": "Trần Văn Bình", "title": "Chuyên viên", "unit": "Một cửa"}
_FIRM = {"kind": "business", "full_name": "Công ty TNHH Thương mại Bình An", "organisation_tax_code": "0000000001"}


def a_filing(agency: int, *, with_identity: bool) -> str:
    """A dossier of usual size (1 KB) with a place for its reference."""
    applicant = {**_PERSON, "personal_id": f"0521901{agency:05d}"} if with_identity else _FIRM
    attachments = [
        {
            "component_code": f"KQ.G01.{n:06d}", "name": "to-khai.pdf", "media_type": "application/pdf", "size": 20480,
            "sha256": "0" * 64, "url": f"https://ho-so.example/{_MARK}/{n}.pdf", "digitised": True, "reused": "none",
        }
        for n in (1, 2)
    ]  # fmt: skip
    filing = {
        "procedure_code": "2.000488",
        "agency_code": f"H08.{agency:02d}",
        "channel": "online",
        "applicant": {**applicant, "address": "12 đường số 3, Phường 1"},
        "abstract": "Cấp Phiếu lý lịch tư pháp cho công dân Việt Nam",
        "form": {"so_ban": 2, "muc_dich": "bổ sung hồ sơ"},
        "attachments": attachments,
        "return_method": "electronic",
        "external_reference": _MARK,
    }
    return json.dumps(filing, ensure_ascii=False)


@dataclass
class Order:
    """What to do. `host`, `port`: where; `token`: the bearer."""

    mode: str
    host: str
    port: int
    token: str
    clients: int = 1
    seconds: float = 0
    count: int = 0
    rate: int = 0
    path: str = ""
    with_identity: bool = True
    codes: list[str] = field(default_factory=list)


@dataclass
class Found:
    """What came back."""

    done: int = 0
    refused: int = 0
    milliseconds: list[float] = field(default_factory=list)
    first_refusal: str = ""


class Connection:
    """One kept-alive HTTP/1.1 connection."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        if self._writer is None or self._reader is None or self._reader.at_eof():  # idle for long: it was closed
            self._reader, self._writer = await asyncio.open_connection(self._order.host, self._order.port)
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        lower = head.lower()
        if (at := lower.find(b"content-length:")) >= 0:
            length = int(lower[at + 15 : lower.index(b"\r", at)])
            return status, await self._reader.readexactly(length)
        return status, await self._chunks(self._reader)

    @staticmethod
    async def _chunks(reader: asyncio.StreamReader) -> bytes:
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return body


class Load:
    """Carries out one order."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.found = Found()
        self._run = secrets.token_hex(5)
        self._number = 0
        filings = [a_filing(agency, with_identity=order.with_identity) for agency in range(1, 19)]
        self._filings = [filing.encode() for filing in filings]

    async def run(self) -> dict[str, Any]:
        """Does it; per second, p50, p99."""
        work: Callable[[], Awaitable[None]] = {
            "single": self._singles, "batch": self._batches, "read": self._reads, "paced": self._pace,
            "act": self._acts, "acts": self._act_batches,
        }[self.order.mode]  # fmt: skip
        began = time.perf_counter()
        await work()
        seconds = time.perf_counter() - began
        taken = self.found.milliseconds
        cuts = statistics.quantiles(taken, n=100) if len(taken) > 1 else [0.0] * 99
        return {
            "done": self.found.done,
            "refused": self.found.refused,
            "first_refusal": self.found.first_refusal,
            "seconds": round(seconds, 3),
            "per_second": round(self.found.done / seconds, 1),
            "p50_ms": round(cuts[49], 3),
            "p99_ms": round(cuts[98], 3),
        }

    async def _singles(self) -> None:
        ends = time.perf_counter() + self.order.seconds

        async def client() -> None:
            connection = Connection(self.order)
            while time.perf_counter() < ends:
                reference, filing = self._next()
                request = self._post("/v1/dossiers", filing, "application/json", f"Idempotency-Key: {reference}\r\n")
                await self._timed(connection, request, 201, 1)

        await asyncio.gather(*(client() for _ in range(self.order.clients)))

    async def _reads(self) -> None:
        ends = time.perf_counter() + self.order.seconds
        request = self._head("GET", self.order.path, "") + b"\r\n"

        async def client() -> None:
            connection = Connection(self.order)
            while time.perf_counter() < ends:
                await self._timed(connection, request, 200, 1)

        await asyncio.gather(*(client() for _ in range(self.order.clients)))

    async def _batches(self) -> None:
        await self._send([self._batch(LINES_A_BATCH) for _ in range(self.order.count // LINES_A_BATCH)])

    async def _send(self, batches: Iterable[bytes]) -> None:
        left = iter(batches)

        async def client() -> None:
            connection = Connection(self.order)
            for request in left:
                await self._timed(connection, request, 200, LINES_A_BATCH)

        await asyncio.gather(*(client() for _ in range(self.order.clients)))

    async def _acts(self) -> None:
        ends = time.perf_counter() + self.order.seconds
        left = ((action, code) for action in ACTIONS for code in self.order.codes)

        async def client() -> None:
            connection = Connection(self.order)
            for action, code in left:
                body = json.dumps({"action": action, "actor": _OFFICER}).encode()
                request = self._post(f"/v1/dossiers/{code}/transitions", body, "application/json", "")
                await self._timed(connection, request, 200, 1)
                if time.perf_counter() > ends:
                    return

        await asyncio.gather(*(client() for _ in range(self.order.clients)))

    async def _act_batches(self) -> None:
        """No action of a dossier is sent before the one before was answered: there are more batches than clients."""
        lines = [
            json.dumps({"code": code, "action": action, "actor": _OFFICER}).encode()
            for action in ACTIONS
            for code in self.order.codes
        ]
        bodies = [b"\n".join(lines[n : n + LINES_A_BATCH]) for n in range(0, len(lines), LINES_A_BATCH)]
        path = "/v1/dossiers/transitions/batch"
        await self._send([self._post(path, body, "application/x-ndjson", "") for body in bodies])

    async def _pace(self) -> None:
        """An open model: a batch leaves at its time, whether or not the one before has been answered."""
        lines = max(1, round(self.order.rate * PACE_SECONDS))
        every = lines / self.order.rate
        idle: list[Connection] = []
        running: set[asyncio.Task[None]] = set()
        began = time.perf_counter()

        async def one(request: bytes) -> None:
            connection = idle.pop() if idle else Connection(self.order)
            await self._timed(connection, request, 200, lines)
            idle.append(connection)

        for n in range(int(self.order.seconds / every)):
            await asyncio.sleep(max(0.0, began + n * every - time.perf_counter()))
            task = asyncio.create_task(one(self._batch(lines)))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)

    async def _timed(self, connection: Connection, request: bytes, wanted: int, dossiers: int) -> None:
        began = time.perf_counter()
        status, body = await connection.ask(request)
        self.found.milliseconds.append((time.perf_counter() - began) * 1000)
        problems = body.count(b'"problem"') if dossiers > 1 else 0
        if status == wanted and not problems:
            self.found.done += dossiers
        else:
            self.found.refused += problems or dossiers
            self.found.first_refusal = self.found.first_refusal or f"{status} {body[:300]!r}"

    def _next(self) -> tuple[str, bytes]:
        self._number += 1
        reference = f"{self._run}{self._number:010d}"
        return reference, self._filings[self._number % 18].replace(_MARK.encode(), reference.encode())

    def _batch(self, lines: int) -> bytes:
        body = b"\n".join(self._next()[1] for _ in range(lines))
        return self._post("/v1/dossiers/batch", body, "application/x-ndjson", "")

    def _post(self, path: str, body: bytes, content_type: str, more: str) -> bytes:
        more += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        return self._head("POST", path, more) + b"\r\n" + body

    def _head(self, method: str, path: str, more: str) -> bytes:
        return (
            f"{method} {path} HTTP/1.1\r\nHost: {self.order.host}:{self.order.port}\r\n"
            f"Authorization: Bearer {self.order.token}\r\n{more}"
        ).encode()


async def main() -> None:
    """One order."""
    order = Order(**json.loads(sys.argv[1] if len(sys.argv) > 1 else sys.stdin.read()))
    print(json.dumps(await Load(order).run()))


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
