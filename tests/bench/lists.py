"""`make bench-lists`: every filter of the lists at a million dossiers, through the gateway.

Filters are taken from the OpenAPI document: one without values here fails the bench. Each is asked for alone, with each
other, with a large and a small agency, by callers of the whole country, of a province and of one agency.
"""

import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx2
from rich.console import Console
from rich.table import Table

from dossier.person import PersonKeys
from tests.bench import million
from tests.bench.hub import ROOT, Hub
from tests.bench.load import Connection, Order

DOSSIERS = int(os.environ.get("DOSSIERS", "1000000"))
FOLDER = ROOT / ".run" / "bench-lists"
REPORT = ROOT / ".run" / "bench-lists.json"
MOST_LIST_MS, MOST_SYNC_MS = 50.0, 30.0
CALLERS = ("operator", "portal", "one-agency")
_TIMES = 24
_PAGES = 40
# How many of those asked for; no filters.
PAGING = ("cursor", "limit")


def _day(age: int) -> str:
    return (datetime.now(UTC) - timedelta(days=age)).date().isoformat()


DOSSIER_FILTERS: dict[str, Sequence[str]] = {
    "agency": ("H08", "H08.01", "H08.15", "H08.29.13", "000.00.25.H08"),
    "status": ("in_process", "submitted", "5", "payment_requested", "7", "stopped", "9", "10", "1,2,4,5,6,8", "3,7"),
    "procedure": (million.PROCEDURES[0], million.PROCEDURES[20], million.PROCEDURES[-1], "9.999999"),
    "channel": million.CHANNELS,
    "received_from": (_day(1), _day(30), _day(365), _day(1000)),
    "received_to": (_day(1), _day(30), _day(365), _day(1000)),
    "overdue": ("true", "false"),
    "external_reference": ("bench-000000007", "bench-000001000", "no-such-reference"),
    "verdict": ("differs",),
    "late_within_hours": ("1", "8", "40", "400"),
    "include": ("history",),
    "counted": ("true",),
}
STUCK_FILTERS: dict[str, Sequence[str]] = {
    "kind": ("no_transition", "supplement_unanswered", "finished_not_returned", "identity_pending"),
    "agency": DOSSIER_FILTERS["agency"],
    "older_than_hours": ("1", "100", "2000"),
}
SYNC_FILTERS: dict[str, Sequence[str]] = {
    "state": ("pending", "in_flight", "synced", "unknown", "failed", "parked", "held"),
    "agency": DOSSIER_FILTERS["agency"],
}
LISTS: dict[str, tuple[Mapping[str, Sequence[str]], Sequence[str], float]] = {
    "/v1/dossiers": (DOSSIER_FILTERS, CALLERS, MOST_LIST_MS),
    "/v1/dossiers/stuck": (STUCK_FILTERS, CALLERS, MOST_LIST_MS),
    "/v1/sync/dossiers": (SYNC_FILTERS, ("operator",), MOST_SYNC_MS),
}
"""path → its filters with values, who asks, and the most milliseconds that it may take."""


@dataclass(frozen=True)
class Question:
    """One case: what is asked for, by whom, `requests` of (method, path, body), and how long it may take."""

    name: str
    caller: str
    requests: Sequence[tuple[str, str, Any]]
    most_ms: float


def unknown_filters(openapi: Mapping[str, Any]) -> list[str]:
    """Filters of the lists that have no values here, and values without a filter."""
    found = []
    for path, (values, _, _) in LISTS.items():
        offered = {it["name"] for it in openapi["paths"][path]["get"]["parameters"] if it["in"] == "query"}
        found += [f"{path}?{name}" for name in sorted((offered - set(PAGING)) ^ set(values))]
    return found


def questions(codes: Sequence[str]) -> Iterable[Question]:
    """All of them. `codes`: some dossiers'."""
    for path, (filters, callers, most_ms) in LISTS.items():
        for caller in callers:
            yield Question(path, caller, [("GET", path, None)], most_ms)
            for name in filters:
                yield _asked(path, caller, filters, (name,), most_ms)
        for names in itertools.combinations(filters, 2):
            yield _asked(path, callers[0], filters, names, most_ms)
        yield Question(f"{path} limit=500", callers[0], [("GET", f"{path}?limit=500", None)], 4 * most_ms)
    yield Question("/v1/dossiers/{code}", "portal", _reads("/v1/dossiers/", codes), MOST_SYNC_MS)
    yield Question("/v1/sync/dossiers/{code}", "operator", _reads("/v1/sync/dossiers/", codes), MOST_SYNC_MS)
    yield Question("/v1/sync/status", "operator", [("GET", "/v1/sync/status", None)], MOST_SYNC_MS)
    for name, more in (("", {}), (" agency", {"agency": "H08.15"}), (" status", {"status": "4"})):
        asked = [{"personal_id": million.person(n * 1009 % million.PERSONS), **more} for n in range(_TIMES)]
        searches = [("POST", "/v1/dossiers/search", body) for body in asked]
        yield Question(f"/v1/dossiers/search personal_id{name}", "portal", searches, MOST_LIST_MS)


def _reads(path: str, codes: Sequence[str]) -> list[tuple[str, str, Any]]:
    return [("GET", path + quote(code), None) for code in codes[:: max(1, len(codes) // _TIMES)]]


def _asked(
    path: str, caller: str, filters: Mapping[str, Sequence[str]], names: Sequence[str], most_ms: float
) -> Question:
    queries = [dict(zip(names, values, strict=True)) for values in itertools.product(*(filters[it] for it in names))]
    requests = [("GET", f"{path}?{urlencode(query)}", None) for query in queries]
    return Question(f"{path} {' '.join(names)}", caller, requests, most_ms)


class Asking:
    """Callers, each on one connection to the gateway."""

    def __init__(self, hub: Hub) -> None:
        self._hub, self._callers = hub, dict[str, tuple[Connection, str]]()

    async def ask(self, caller: str, method: str, path: str, body: Any) -> tuple[float, Any]:
        """Milliseconds, and the answer. Raises when it is none."""
        if caller not in self._callers:
            place = urlsplit(self._hub.stack["gateway"])
            assert place.hostname is not None
            assert place.port is not None
            token = await self._hub.token(caller)
            connection = Connection(Order("read", place.hostname, place.port, token))
            self._callers[caller] = connection, f"Host: hub\r\nAuthorization: Bearer {token}\r\n"
        connection, headers = self._callers[caller]
        if body is not None:
            content = json.dumps(body).encode()
            headers += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\nHub-Purpose: bench\r\n"
        else:
            content = b""
        request = f"{method} {path} HTTP/1.1\r\n{headers}\r\n".encode() + content
        began = time.perf_counter()
        try:
            status, answer = await connection.ask(request)
        except (asyncio.IncompleteReadError, OSError):  # idle for too long while another caller asked
            del self._callers[caller]
            return await self.ask(caller, method, path, body)
        taken = (time.perf_counter() - began) * 1000
        if status != 200:
            raise RuntimeError(f"{method} {path} as {caller}: {status} {answer[:300]!r}")
        return taken, answer

    async def measure(self, question: Question) -> dict[str, Any]:
        """Each request at least three times, all of them at least `_TIMES` times; the slowest of the medians' path."""
        times = max(3, -(-_TIMES // len(question.requests)))
        taken: dict[str, list[float]] = {}
        for method, path, body in question.requests:
            taken[path] = [(await self.ask(question.caller, method, path, body))[0] for _ in range(times)]
        slowest = max(taken, key=lambda path: statistics.median(taken[path]))
        every = sorted(itertools.chain.from_iterable(taken.values()))
        return _figures(question, every) | {"slowest": slowest}

    async def deep(self, path: str, most_ms: float) -> dict[str, Any]:
        """Page after page by the cursor."""
        taken, cursor = [], None
        for _ in range(_PAGES):
            after = "" if cursor is None else f"{'&' if '?' in path else '?'}cursor={quote(cursor)}"
            milliseconds, answer = await self.ask("portal", "GET", path + after, None)
            taken.append(milliseconds)
            cursor = json.loads(answer)["next_cursor"]
            if cursor is None:
                break
        return _figures(Question(f"{path}, {len(taken)} pages", "portal", [], most_ms), sorted(taken))


def _figures(question: Question, taken: Sequence[float]) -> dict[str, Any]:
    p95 = taken[min(len(taken) - 1, int(len(taken) * 0.95))]
    return {
        "name": question.name,
        "caller": question.caller,
        "requests": len(taken),
        "p50_ms": round(statistics.median(taken), 1),
        "p95_ms": round(p95, 1),
        "most_ms": question.most_ms,
        "is_quick": p95 <= question.most_ms,
    }


async def measure(hub: Hub, codes: Sequence[str]) -> list[dict[str, Any]]:
    """All questions, one after another."""
    asking = Asking(hub)
    found = [await asking.measure(question) for question in questions(codes)]
    deep = ("", "?overdue=true", "?overdue=false", "?status=4,5,6", f"?received_from={_day(300)}", "?verdict=differs")
    return found + [await asking.deep(f"/v1/dossiers{query}", MOST_LIST_MS) for query in deep]


async def prepare(hub: Hub) -> Sequence[str]:
    """The rows, and everything at rest: the portal on hold, what stands still looked for. Some codes."""
    owner = hub.stack["postgres_admin"].rpartition("/")[0]
    keys = PersonKeys.from_file(hub.folder / "secrets" / "person-hash-key")
    await hub.call("operator", "POST", "/v1/sync/hold", {"reason": "bench-lists"})
    codes = await million.fill(f"{owner}/dossier", f"{owner}/sync_national", DOSSIERS, keys)
    # A look follows the one before after fifty times as long as that took.
    await hub.value("dossier", "UPDATE stuck_look SET looked_at = '2000-01-01', took = '0' RETURNING 1")
    while await hub.value("dossier", "SELECT looked_at < '2001-01-01' FROM stuck_look"):
        await asyncio.sleep(1)
    return codes


async def _openapi(hub: Hub) -> dict[str, Any]:
    async with httpx2.AsyncClient() as session:
        document: dict[str, Any] = (await session.get(f"{hub.stack['gateway']}/openapi.json")).json()
    return document


async def run(console: Console) -> dict[str, Any]:
    """Fill and measure."""
    hub = Hub(FOLDER)
    if forgotten := unknown_filters(await _openapi(hub)):
        raise RuntimeError(f"Filters and values that do not match: {forgotten}")
    began = time.monotonic()
    codes = await prepare(hub)
    console.print(f"{DOSSIERS:,} dossiers written in {time.monotonic() - began:.0f} s", style="dim")
    lists = await measure(hub, codes)
    return {"dossiers": DOSSIERS, "lists": lists, "is_quick": all(it["is_quick"] for it in lists)}


def show(console: Console, found: Mapping[str, Any], most: int = 30) -> None:
    """The slowest ones and all that are too slow."""
    table = Table(title=f"Lists at {found['dossiers']:,} dossiers, ms: the slowest of {len(found['lists'])}")
    for column in ("list", "caller", "p50", "p95", "most", "slowest request"):
        table.add_column(column)
    slowest = sorted(found["lists"], key=lambda it: it["p95_ms"] / it["most_ms"], reverse=True)
    for place, it in enumerate(slowest):
        if place >= most and it["is_quick"]:
            break
        style = None if it["is_quick"] else "red"
        figures = (f"{it['p50_ms']:.1f}", f"{it['p95_ms']:.1f}", f"{it['most_ms']:.0f}")
        table.add_row(it["name"], it["caller"], *figures, it.get("slowest", ""), style=style)
    console.print(table)


def main() -> int:
    """A fresh stack, a million dossiers, the stack taken down; 0 when every list was quick enough."""
    console = Console()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}

    def local(*arguments: str) -> int:
        command = [sys.executable, "-m", "deploy.local", *arguments, "--dir", str(FOLDER)]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode

    if local("up", "--fresh", "--free-ports", "--only", "postgres,kafka,gateway,dossier,sandbox,sync-national"):
        return 1
    try:
        found = asyncio.run(run(console))
    finally:
        local("down")
    REPORT.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    show(console, found)
    console.print(f"Every list is in {Path(os.path.relpath(REPORT))}.")
    return 0 if found["is_quick"] else 1


if __name__ == "__main__":
    sys.exit(main())
