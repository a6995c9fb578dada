"""Row 19 and promise P7: ten times what the hub can do, for ten seconds or (long tier) a minute.

How fast a refusal is, and how far others are disturbed, depends on what else the machine does: the load itself takes
one of its cores. Asserted is what holds on any machine; the figures are printed (`-s`, or `-rP`).
"""

import json
import secrets
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.security.flood import reference
from tests.security.hub import Hub
from tests.support.stack import eventually

pytestmark = pytest.mark.timeout(600)
MEBIBYTE = 2**20
TIMES = 10
QUIET_PER_SECOND = 10
RECOVERS_SECONDS = 30
MOST_GROWTH_BYTES = 64 * MEBIBYTE
"""Of any service: what waits is 152 bodies of 1 KB at most; the rest is connections and the allocator's."""


@dataclass
class Asked:
    """What one load process asked and was told: rows of `flood`."""

    run: str
    process: "subprocess.Popen[bytes]"
    out: Path
    rows: list[Any] = field(default_factory=list)

    def ended(self) -> "Asked":
        """Its rows, when it has ended well."""
        assert self.process.wait(300) == 0
        self.rows = [json.loads(line) for line in self.out.read_text().splitlines()]
        return self

    def milliseconds(self, *statuses: int, since_sent: bool = False) -> list[float]:
        """To the answers with these statuses, from the moment the request was due (or sent)."""
        return [row[3 if since_sent else 2] for row in self.rows if row[4] in statuses]

    def references(self, *statuses: int) -> set[str]:
        """External references of the filings that were answered so."""
        return {reference(self.run, row[0]) for row in self.rows if row[4] in statuses}

    def told(self) -> str:
        """One line of figures."""
        parts = []
        for status in sorted({row[4] for row in self.rows}):
            taken = self.milliseconds(status)
            due, sent = _cuts(taken), _cuts(self.milliseconds(status, since_sent=True))
            parts.append(
                f"{len(taken)} × {status} (ms since due p50 {due[0]} p99 {due[1]}, since sent {sent[0]} {sent[1]})"
            )
        return " · ".join(parts)


def _cuts(taken: list[float]) -> tuple[int, int]:
    """p50 and p99."""
    cuts = statistics.quantiles(taken, n=100) if len(taken) > 1 else taken * 99
    return round(cuts[49]), round(cuts[98])


class Load:
    """Load processes, each with a token of its own client."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self._hub, self._folder = hub, folder

    def started(self, name: str, token: str, **order: Any) -> Asked:
        """One load process."""
        place, run = urlsplit(self._hub.stack.gateway), secrets.token_hex(5)
        out = self._folder / f"{name}.jsonl"
        told = {"host": place.hostname, "port": place.port, "token": token, "run": run, "out": str(out), **order}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.security.flood", json.dumps(told)], cwd=Path(__file__).parents[2]
        )
        return Asked(run, process, out)


@contextmanager
def memory_watched(hub: Hub) -> Iterator[dict[str, list[int]]]:
    """Resident bytes of every process of the stack: first and most, four times a second."""
    programs = json.loads((hub.stack.folder / "state.json").read_text())["programs"]
    watched = {name: psutil.Process(program["pid"]) for name, program in programs.items() if name in hub.urls}
    found = {name: [process.memory_info().rss] * 2 for name, process in watched.items()}
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.25):
            for name, process in watched.items():
                found[name][1] = max(found[name][1], process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()


def test_ten_times_too_much_is_refused_and_harms_nothing_that_was_accepted(
    hub: Hub, is_long: bool, tmp_path: Path
) -> None:
    load, seconds = Load(hub, tmp_path), 60 if is_long else 10
    noisy, quiet = hub.token("portal", name="noisy"), hub.token("portal", agencies=("H08.02",), name="quiet")
    honest = {"rate": QUIET_PER_SECOND, "connections": 20, "agency": 2}
    calm = load.started("calm", noisy, seconds=5, connections=16).ended()
    sustainable = len(calm.milliseconds(201)) / 5
    before = load.started("before", quiet, seconds=5, **honest)
    busy = load.started("busy", noisy, seconds=5, rate=sustainable * 0.8)
    before, busy = before.ended(), busy.ended()
    with memory_watched(hub) as memory:
        beside = load.started("beside", quiet, seconds=seconds, **honest)
        flood = load.started("flood", noisy, seconds=seconds, rate=sustainable * TIMES).ended()
        beside = beside.ended()
    ended = time.time()
    after = load.started("after", quiet, seconds=10 if is_long else 4, **honest).ended()
    print(f"\nsustainable {sustainable:.0f}/s: {calm.told()}\nat 0.8 of it: {busy.told()}; beside it {before.told()}")
    print(f"at {TIMES} times it for {seconds} s: {flood.told()}; beside it {beside.told()}; after it {after.told()}")
    print("MiB: " + ", ".join(f"{name} {a // MEBIBYTE} → {b // MEBIBYTE}" for name, (a, b) in memory.items()))
    asked = [calm, before, busy, flood, beside, after]

    for each in asked:
        assert {row[4] for row in each.rows} <= {201, 429, 503}, each.told()
        assert all(row[5] for row in each.rows if row[4] in (429, 503)), "each refusal says when to come back"
    refusals = flood.milliseconds(429, 503, since_sent=True)
    assert len(refusals) > len(flood.rows) / 2
    # 100 ms is promised; load and hub share the cores here, with whatever else runs.
    assert statistics.median(refusals) < 500, flood.told()
    others = [row[4] for each in (before, beside, after) for row in each.rows]
    # None should be; where the tests' machine stands still for seconds, a place is waited for too long.
    assert others.count(201) >= 0.98 * len(others), "others are let in"
    # Twice is promised (measured: 2.0 to 2.8 times); it was nine times before those turned away were read in turns.
    own = statistics.median(before.milliseconds(201))
    assert statistics.median(beside.milliseconds(201)) < 3 * own + 100, "others are not disturbed"
    assert all(most - first < MOST_GROWTH_BYTES for first, most in memory.values())
    assert after.rows[-1][1] - ended < RECOVERS_SECONDS
    assert statistics.median(after.milliseconds(201)[-20:]) < 5 * statistics.median(before.milliseconds(201)) + 100
    nothing_is_lost(hub, asked)


def nothing_is_lost(hub: Hub, asked: list[Asked]) -> None:
    """What was answered 201 is there, and every reader has it; what was refused is not."""
    accepted, refused = (set[str]().union(*(each.references(*of) for each in asked)) for of in ((201,), (429, 503)))
    query = "SELECT code, external_reference FROM dossier WHERE external_reference = ANY($1)"
    kept = hub.rows("dossier", query, sorted(accepted))
    assert {row["external_reference"] for row in kept} == accepted
    assert len(kept) == len(accepted)
    assert hub.rows("dossier", query, sorted(refused)) == []
    codes = [row["code"] for row in kept]
    eventually(
        lambda: (
            hub.rows("console", "SELECT count(*) FROM dossier WHERE code = ANY($1)", codes)[0]["count"]
            == hub.rows("sync_national", "SELECT count(*) FROM standing WHERE dossier_code = ANY($1)", codes)[0][
                "count"
            ]
            == len(codes)
        ),
        seconds=180,
        why=f"all {len(codes)} accepted dossiers at the readers",
    )
