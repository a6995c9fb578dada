"""`make bench`: honest numbers of this machine: medians of interleaved rounds, then a backlog, in `.run/bench.json`."""

import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from tests.bench import limit, measures
from tests.bench.hub import ROOT, Hub

ROUNDS = int(os.environ.get("ROUNDS", "3"))
FOLDER = ROOT / ".run" / "bench"
REPORT = ROOT / ".run" / "bench.json"
LIMIT_SECONDS = 4
WITH_RATIO = {
    "intake_single": "single intake, 64 clients",
    "intake_batch": "batch intake, 500 lines",
    "transition_single": "single transitions, 64 clients",
    "transition_batch": "batch transitions, 500 lines",
}
Round = dict[str, dict[str, Any]]


async def run(console: Console) -> dict[str, Any]:
    """All rounds on one stack."""
    hub = Hub(FOLDER)
    script = await limit.prepare(hub.stack["postgres_admin"], FOLDER)
    rounds: list[Round] = []
    for n in range(ROUNDS):
        found: Round = {}
        console.print(f"round {n + 1} of {ROUNDS}", style="bold")
        found["limit"] = await limit.measure(hub.stack["postgres_admin"], script, LIMIT_SECONDS)
        _tell(console, "limit", found["limit"])
        for name, measure in (
            ("intake_single", measures.intake_single),
            ("intake_batch", measures.intake_batch),
            ("transition_single", measures.transition_single),
            ("transition_batch", measures.transition_batch),
            ("gateway_overhead", measures.gateway_overhead),
        ):
            found[name] = await measure(hub)
            _tell(console, name, found[name])
            await hub.rest()
        found["event_latency"], found["sync_rate"] = await measures.event_latency_and_sync_rate(hub)
        _tell(console, "event_latency", found["event_latency"])
        _tell(console, "sync_rate", found["sync_rate"])
        await hub.rest()
        found["change_at_portal"] = await measures.change_at_portal(hub)
        _tell(console, "change_at_portal", found["change_at_portal"])
        await hub.rest()
        rounds.append(found)
    backlog = await measures.backlog(hub)
    _tell(console, "backlog", backlog)
    return {**summary(rounds), "backlog": backlog}


def summary(rounds: list[Round]) -> dict[str, Any]:
    """The medians, the ratios to the limit, and every round."""
    medians: dict[str, Any] = {name: _median([each[name] for each in rounds]) for name in rounds[0]}
    for name in WITH_RATIO:
        medians[name]["ratio"] = round(medians[name]["per_second"] / medians["limit"]["per_second"], 4)
    memory = psutil.virtual_memory().total
    machine = {"cores": os.cpu_count(), "memory_gib": round(memory / 2**30, 1), "python": platform.python_version()}
    return {**medians, "machine": machine, "rounds": rounds}


def _median(values: list[Any]) -> Any:
    """Number by number; texts as they are."""
    first = values[0]
    if isinstance(first, dict):
        return {key: _median([value[key] for value in values]) for key in first}
    if isinstance(first, int | float):
        return round(statistics.median(values), 3)
    return first


def show(console: Console, found: dict[str, Any]) -> None:
    """The table people read."""
    table = Table(title=f"Medians of {len(found['rounds'])} interleaved rounds on {found['machine']['cores']} cores")
    for heading in ("measure", "value", "of the limit", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if heading == "measure" else "right")
    table.add_row(
        "limit: pgbench, a dossier's rows in one statement, 16 clients",
        f"{found['limit']['per_second']:,.0f}/s", "1", f"{found['limit']['mean_ms']:.1f} (mean)", "",
    )  # fmt: skip
    for name, what in WITH_RATIO.items():
        each = found[name]
        table.add_row(
            what,
            f"{each['per_second']:,.0f}/s",
            f"{each['ratio']:.2f}",
            f"{each['p50_ms']:.1f}",
            f"{each['p99_ms']:.1f}",
        )
    overhead = found["gateway_overhead"]
    for clients in ("one_client", f"{measures.READ_CLIENTS}_clients"):
        table.add_row(
            f"gateway's part of a read, {clients.replace('_', ' ')}",
            f"{overhead[f'{clients}_gateway_cpu_ms_per_request']:.2f} ms CPU", "",
            f"+{overhead[f'{clients}_overhead_p50_ms']:.2f}", "",
        )  # fmt: skip
    for pace in measures.PACES:
        each = found["event_latency"][f"at_{pace}_per_second"]
        table.add_row(
            f"commit to reader's effect at {pace:,}/s", f"{each['sent_per_second']:,.0f}/s", "",
            f"{each['p50_ms']:.1f}", f"{each['p99_ms']:.1f}",
        )  # fmt: skip
    each = found["change_at_portal"]
    table.add_row(
        "a change's commit to the portal's yes, portal 20 ms a call", f"{each['sent_per_second']:,.0f}/s", "",
        f"{each['p50_ms']:.1f}", f"{each['p99_ms']:.1f}",
    )  # fmt: skip
    for name in ("sync_rate", "backlog"):
        each = found[name]
        what = f"{each['dossiers']:,} waiting dossiers acknowledged in {each['seconds']:.0f} s, portal 20 ms a call"
        table.add_row(what, f"{each['per_second']:,.0f}/s", "", "", "")
    console.print(table)


def _tell(console: Console, name: str, found: dict[str, Any]) -> None:
    console.print(f"  {name}: {json.dumps(found)}", style="dim", highlight=False, soft_wrap=True)


def main() -> int:
    """A fresh stack, the rounds, the report, the stack taken down."""
    console = Console()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}

    def local(*arguments: str) -> int:
        command = [sys.executable, "-m", "deploy.local", *arguments, "--dir", str(FOLDER)]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode

    if local("up", "--fresh", "--free-ports"):
        return 1
    try:
        found = asyncio.run(run(console))
    finally:
        local("down")
    REPORT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    show(console, found)
    console.print(
        f"Every round is in {REPORT.relative_to(Path.cwd()) if REPORT.is_relative_to(Path.cwd()) else REPORT}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
