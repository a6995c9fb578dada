"""`make demo`: an empty stack, a fiftieth of a province's year, and a page of results. Exit code 0 if all holds."""

import asyncio
import json
import os
import socket
import sys
import time
from datetime import date
from fractions import Fraction
from pathlib import Path

from rich.console import Console

from sandbox import replay, results
from sandbox.plan_tables import TablesUnusable
from sandbox.play_times import DueTimeImpossible
from sandbox.replay_client import GaveUp, Refused

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "data" / "binh_dinh_2023"
RUN = ROOT / ".run"
FOLDER = RUN / "demo"
REPORT = RUN / "demo.json"
SCALE = Fraction(1, 50)
_CUSTOMARY_PORTS = (8080, 8081, 8082, 8083, 8084, 8085, 8090, 15432, 19092, 19093)


async def run(console: Console) -> int:
    """The whole demo; the stack is taken down at the end unless KEEP=1."""
    began = time.monotonic()
    REPORT.unlink(missing_ok=True)
    keep = os.environ.get("KEEP") == "1"
    if await _local("up", "--fresh", *(() if _ports_are_free() else ("--free-ports",))):
        console.print("The stack did not start; its logs are in .run/demo/logs.", style="red")
        return 1
    holds = False
    try:
        holds = await _play(console, began, keep=keep)
    except (TablesUnusable, Refused, GaveUp, DueTimeImpossible) as refusal:
        console.print(str(refusal), style="red")
    finally:
        if not keep:
            await _local("down")
    return 0 if holds else 1


async def _play(console: Console, began: float, *, keep: bool) -> bool:
    stack = json.loads((FOLDER / "stack.json").read_text(encoding="utf-8"))
    order = replay.Order(
        data=DATA,
        province="H08",
        first=date(2023, 1, 1),
        last=date(2023, 12, 25),
        scale=SCALE,
        seed=1,
        gateway=stack["gateway"],
        sandbox=stack["sandbox"],
        credentials=FOLDER / "clients.json",
    )
    console.print("[bold]Bình Định, 1 January to 25 December 2023, every fiftieth dossier[/]")
    plan, checked = await replay.run(order, console)
    checked.figures["demo_seconds"] = round(time.monotonic() - began, 1)
    replay.write_report(REPORT, checked)
    results.show(console, plan, checked)
    console.print(f"{checked.figures['demo_seconds']:.0f} s in all; promises and figures are in {_shown(REPORT)}.")
    if keep:
        _show_addresses(console, stack["gateway"])
    else:
        console.print("[dim]KEEP=1 make demo leaves the stack up to look at.[/]")
    return checked.all_hold


def _show_addresses(console: Console, gateway: str) -> None:
    console.print(
        f"Console (synchronisation live, dossier by dossier): {gateway}/console\n"
        f"  sign in with the user in {_shown(FOLDER / 'operators.json')}\n"
        f"The API: {gateway}/docs · its clients: {_shown(FOLDER / 'clients.json')}\n"
        f"Stop it: .venv/bin/python -m deploy.local down --dir {_shown(FOLDER)}",
        highlight=False,
    )


async def _local(command: str, *arguments: str) -> int:
    """Runs `python -m deploy.local` on the demo's folder, with servers of its own."""
    theirs = ("HUB_POSTGRES_URL", "HUB_KAFKA_BOOTSTRAP", "HUB_KAFKA_PREFIX")
    environment = {name: value for name, value in os.environ.items() if name not in theirs}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.local", command, "--dir", str(FOLDER), *arguments), cwd=ROOT, env=environment
    )
    return await process.wait()


def _ports_are_free() -> bool:
    for port in _CUSTOMARY_PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))
