"""`make bench-streams`: what 500 open streams of `GET /v1/sync/stream` cost, through the gateway.

The memory of gateway and sync-national together, before and with the streams, after each has told of a change; and how
long one change takes to reach all of them.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import psutil
from rich.console import Console

from tests.bench.hub import ROOT, Hub

STREAMS = int(os.environ.get("STREAMS", "500"))
FOLDER = ROOT / ".run" / "bench-streams"
REPORT = ROOT / ".run" / "bench-streams.json"
SERVICES = ("gateway", "sync-national")
MOST_MIB = 100.0
_CHANGES = 5
_PUBLISH = """
INSERT INTO outbox (event_id, source, topic, key, value)
SELECT n, '/lgsp/sync-national', 'lgsp.sync', 'H08.15-230301-0001', json_build_object(
  'specversion', '1.0', 'id', n, 'source', '/lgsp/sync-national', 'type', 'vn.lgsp.sync.acknowledged.v1',
  'subject', 'H08.15-230301-0001', 'time', now(), 'data', json_build_object(
    'dossier_code', 'H08.15-230301-0001', 'destination', 'dvcqg', 'version', 1, 'progress_number', 1, 'at', now()))
FROM (SELECT $1::text AS n)
"""


def memory(folder: Path) -> float:
    """MiB that the two services hold."""
    programs = json.loads((folder / "state.json").read_text(encoding="utf-8"))["programs"]
    held = [psutil.Process(programs[name]["pid"]).memory_info().rss for name in SERVICES]
    return sum(held) / 2**20


async def listen(client: httpx2.AsyncClient, url: str, seen: list[float], begun: list[float]) -> None:
    """One stream; notes when it began and when each change came."""
    async with client.stream("GET", url) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if line == ": begin":
                begun.append(time.monotonic())
            if line.startswith("data: "):
                seen.append(time.monotonic())


async def measure(hub: Hub) -> dict[str, Any]:
    """Memory and delays."""
    headers = {"Authorization": f"Bearer {await hub.token('operator')}"}
    url, seen, begun = f"{hub.stack['gateway']}/v1/sync/stream", list[float](), list[float]()
    before, delays = memory(FOLDER), []
    limits = httpx2.Limits(max_connections=STREAMS + 10)
    connection = await asyncpg.connect(hub.stack["postgres"]["sync_national"])
    async with httpx2.AsyncClient(headers=headers, timeout=120, limits=limits, trust_env=False) as client:
        tasks = [asyncio.create_task(listen(client, url, seen, begun)) for _ in range(STREAMS)]
        while len(begun) < STREAMS:
            next((task.result() for task in tasks if task.done()), None)
            await asyncio.sleep(0.05)
        await asyncio.sleep(3)
        for n in range(1, _CHANGES + 1):
            began = time.monotonic()
            await connection.execute(_PUBLISH, f"bench-{n}")
            while len(seen) < STREAMS * n:
                await asyncio.sleep(0.01)
            delays.append(seen[-1] - began)
        after = memory(FOLDER)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    await connection.close()
    return {
        "streams": STREAMS,
        "memory_before_mib": round(before, 1),
        "memory_with_streams_mib": round(after, 1),
        "cost_mib": round(after - before, 1),
        "change_reaches_all_seconds": [round(delay, 2) for delay in delays],
    }


def main() -> int:
    """A fresh stack, the streams, the stack taken down; 0 when they cost no more than allowed."""
    console = Console()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}

    def local(*arguments: str) -> int:
        command = [sys.executable, "-m", "deploy.local", *arguments, "--dir", str(FOLDER)]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode

    if local("up", "--fresh", "--free-ports", "--only", "postgres,kafka,gateway,dossier,sandbox,sync-national"):
        return 1
    try:
        found = asyncio.run(measure(Hub(FOLDER)))
    finally:
        local("down")
    REPORT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    console.print_json(data=found)
    return 0 if found["cost_mib"] <= MOST_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
