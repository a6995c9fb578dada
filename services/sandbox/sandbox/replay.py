"""`python -m sandbox replay`: plan, register, play, wait until level, check, report."""

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.console import Console

from sandbox import plan as planning
from sandbox import plan_tables, play, promises, replay_level, replay_registration, replay_stack
from sandbox.plan import Plan
from sandbox.plan_dates import Period
from sandbox.play import Clients, Player
from sandbox.promises import Checked
from sandbox.replay_client import Credentials, Http, HubClient, Tally, new_session
from sandbox.replay_progress import Bars
from sandbox.replay_stack import Weights

LEVEL_SECONDS = 900.0
PATIENCE_SECONDS = 180.0
FIRST_PATIENCE_SECONDS = 20.0
"""Whether a hub is there at all is known sooner."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to replay, where."""

    data: Path
    province: str
    first: date
    last: date
    scale: Fraction
    seed: int
    gateway: str
    sandbox: str
    credentials: Path
    level_seconds: float = LEVEL_SECONDS


async def run(order: Order, console: Console) -> tuple[Plan, Checked]:
    """The whole replay. Raises `TablesUnusable`, `Refused`, `GaveUp`, `DueTimeImpossible`: each one sentence."""
    tables = plan_tables.read(order.data)
    plan = planning.make(tables, order.province, Period(order.first, order.last), order.scale, order.seed)
    known = replay_registration.read_credentials(order.credentials)
    stack = replay_stack.beside(order.credentials)
    tally = Tally()
    async with new_session() as session:

        def client(credentials: Credentials) -> HubClient:
            return HubClient(session, order.gateway, credentials, patience_seconds=PATIENCE_SECONDS, tally=tally)

        sandbox = Http(session, order.sandbox, patience_seconds=PATIENCE_SECONDS)
        operator, bootstrap = client(known.operator), client(known.bootstrap)
        operator.patience_seconds = FIRST_PATIENCE_SECONDS
        await replay_registration.require_fresh(operator, plan)
        operator.patience_seconds = PATIENCE_SECONDS
        await replay_registration.register_catalogue(bootstrap, plan)
        own = await replay_registration.register_clients(bootstrap, plan)
        clients = Clients(client(own["portal"]), client(own["desk"]), client(own["ministry"]), sandbox)
        weights = Weights(stack) if stack else None
        watching = asyncio.create_task(weights.watch()) if weights else None
        try:
            with Bars(play.totals(plan), console) as bars:
                player = Player(plan, clients, bars.advance)
                began = time.monotonic()
                await player.play()
                played_seconds = time.monotonic() - began
                level = await replay_level.wait_until_level(operator, player, order.level_seconds, bars.tell)
        finally:
            if watching:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching
        checking = time.monotonic()
        checked = await promises.check(player, level.dossiers, operator, sandbox, stack)
        checked.figures |= _figures(plan, played_seconds, level.seconds, checked.figures)
        checked.figures["check_seconds"] = round(time.monotonic() - checking, 1)
        checked.figures["requests"] = {"sent": tally.requests, "repeated": tally.repeats}
        if weights:
            checked.figures["memory"] = weights.figures()
    return plan, checked


def write_report(path: Path, checked: Checked) -> None:
    """Promises and figures as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(checked.as_json(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _figures(plan: Plan, played_seconds: float, level_seconds: float, found: dict[str, Any]) -> dict[str, Any]:
    dossiers = len(plan.dossiers)
    steps = play.totals(plan)
    events = sum(topic["written"] for topic in found.get("events", {}).values())
    whole = played_seconds + level_seconds
    figures: dict[str, Any] = {
        "province": plan.province,
        "from": plan.period.first.isoformat(),
        "to": plan.period.last.isoformat(),
        "scale": float(plan.scale),
        "seed": plan.seed,
        "dossiers": dossiers,
        "steps": steps,
        "play_seconds": round(played_seconds, 1),
        "level_seconds": round(level_seconds, 1),
        "seconds": round(whole, 1),
        "dossiers_per_second": round(dossiers / whole, 1),
    }
    if events:
        figures["events_written"] = events
        figures["events_per_second"] = round(events / whole, 1)
    return figures
