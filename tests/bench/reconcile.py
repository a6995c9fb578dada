"""`make bench-reconcile`: a file of a million dossiers against a million dossiers, through the gateway.

The whole way is measured: upload, sorting, comparison, the stored differences; and the memory of the whole service.
Our side is written into the service's database directly (a million events would take an hour). The file stands in
another order than the database, and has known differences, which must be found, all and nothing else.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import psutil
from rich.console import Console

from tests.bench.hub import ROOT, Hub

DOSSIERS = int(os.environ.get("DOSSIERS", "1000000"))
FOLDER = ROOT / ".run" / "bench-reconcile"
REPORT = ROOT / ".run" / "bench-reconcile.json"
SERVICE = "sync-national"
MOST_SECONDS, MOST_MIB = 60.0, 200.0
_HEADER = "MaHoSo,TrangThaiHoSo,NgayHenTra,NgayKetThucXuLy,DuocThanhToanTrucTuyen,SoDongTienDo\n"
_LINE = "{code},10,20230315170000,20230314101500,0,6\n"
_STRIDE = 618_033  # the file's order: every so manyth dossier, around and around
_PIECE = 20_000
_FILL = """
INSERT INTO standing (destination, dossier_code, agency_code, status_code, state, desired_version, desired_progress,
  acknowledged_version, acknowledged_progress, presence, acknowledged_at, filed_at, promised_at, ended_at, last_at,
  payment_flag)
SELECT 'dvcqg', 'H08.' || lpad((n % 40)::text, 2, '0') || '-230301-' || lpad(n::text, 7, '0'),
  'H08.' || lpad((n % 40)::text, 2, '0'), 10, 'synced', 9, 6, 9, 6, 'there', now() - interval '1 day',
  '2023-03-01T08:00+07', '2023-03-15T17:00+07', '2023-03-14T10:15+07', '2023-03-14T11:00+07', '0'
FROM generate_series(0, $1 - 1) AS n
"""
_EXPECTED = ("missing_there", "missing_here", "status_differs", "time_differs", "payment_differs", "progress_differs")


def code(number: int) -> str:
    """Of the dossier with this number; as `_FILL` makes it."""
    return f"H08.{number % 40:02d}-230301-{number:07d}"


def lines(count: int) -> Iterator[str]:
    """The portal's side: one dossier in ten thousand differs, in turn in each kind."""
    yield _HEADER
    for step in range(count):
        number = step * _STRIDE % count
        line = _LINE.format(code=code(number))
        if number % 10_000 == 0:
            line = _unlike(number, line)
        yield line


def _unlike(number: int, line: str) -> str:
    kind = _EXPECTED[number // 10_000 % len(_EXPECTED)]
    changes = {
        "missing_there": "",
        "missing_here": line + line.replace("-230301-", "-230302-"),
        "status_differs": line.replace(",10,", ",4,"),
        "time_differs": line.replace("20230315170000", "20230316170000"),
        "payment_differs": line.replace(",0,6", ",1,6"),
        "progress_differs": line.replace(",0,6", ",0,5"),
    }
    return changes[kind]


def expected(count: int) -> dict[str, int]:
    """How many differences of each kind the file holds."""
    found = dict.fromkeys(_EXPECTED, 0)
    for number in range(0, count, 10_000):
        found[_EXPECTED[number // 10_000 % len(_EXPECTED)]] += 1
    return found


async def fill(url: str, count: int) -> None:
    """Our side, as the administrator."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_FILL, count, timeout=600)
        await connection.execute("VACUUM ANALYZE standing", timeout=600)
    finally:
        await connection.close()


async def measure(hub: Hub, count: int) -> dict[str, Any]:
    """One reconciliation from the first byte of the upload to its end."""
    process = psutil.Process(
        json.loads((FOLDER / "state.json").read_text(encoding="utf-8"))["programs"][SERVICE]["pid"]
    )
    before, cpu = process.memory_info().rss, hub.cpu_seconds(SERVICE)
    headers = {"Authorization": f"Bearer {await hub.token('operator')}"}
    path = f"{hub.stack['gateway']}/v1/sync/reconciliations"
    started = time.monotonic()
    async with httpx2.AsyncClient(timeout=120, headers=headers) as session:
        answer = await session.post(path, content=_pieces(count), headers={"Content-Type": "text/csv"})
        answer.raise_for_status()
        uploaded, peak = time.monotonic() - started, before
        path += f"/{answer.json()['id']}"
        while (found := (await session.get(path, params={"limit": 1})).json())["state"] not in {"done", "failed"}:
            peak = max(peak, process.memory_info().rss)
            await asyncio.sleep(0.1)
    seconds = time.monotonic() - started
    kinds = {kind: found[kind] for kind in _EXPECTED}
    return {
        "dossiers": count,
        "seconds": round(seconds, 1),
        "upload_seconds": round(uploaded, 1),
        "cpu_seconds": round(hub.cpu_seconds(SERVICE) - cpu, 1),
        "file_mib": round(found["file_bytes"] / 2**20, 1),
        "memory_before_mib": round(before / 2**20, 1),
        "memory_peak_mib": round(max(peak, _peak(process)) / 2**20, 1),
        "compared": found["compared"],
        "differences": kinds,
        "is_right": found["state"] == "done" and kinds == expected(count),
    }


def _peak(process: psutil.Process) -> int:
    """The most memory the process ever held at once, as the kernel counted it."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


async def _pieces(count: int) -> AsyncIterator[bytes]:
    piece: list[str] = []
    for line in lines(count):
        piece.append(line)
        if len(piece) == _PIECE:
            yield "".join(piece).encode()
            piece = []
    yield "".join(piece).encode()


async def _run(count: int) -> dict[str, Any]:
    hub = Hub(FOLDER)
    owner = hub.stack["postgres_admin"].rpartition("/")[0] + "/sync_national"
    await fill(owner, count)
    return await measure(hub, count)


def main() -> int:
    """A fresh stack, one reconciliation, the stack taken down; 0 when it was right, fast and small enough."""
    console = Console()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}

    def local(*arguments: str) -> int:
        command = [sys.executable, "-m", "deploy.local", *arguments, "--dir", str(FOLDER)]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode

    if local("up", "--fresh", "--free-ports", "--only", f"postgres,kafka,gateway,dossier,sandbox,{SERVICE}"):
        return 1
    try:
        found = asyncio.run(_run(DOSSIERS))
    finally:
        local("down")
    REPORT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    console.print_json(data=found)
    is_well = found["is_right"] and found["seconds"] <= MOST_SECONDS and found["memory_peak_mib"] <= MOST_MIB
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
