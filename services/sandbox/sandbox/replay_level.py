"""Waiting until the hub is level: everything that was sent has had all its effects, here and at the nation.

```
dossiers   in the planned status, no identity pending, no charge open
sync       acknowledged version = desired version = the dossier's version, nothing in between
reports    behind = 0
```
Where a portal refuses records for ever (`may_refuse`) a dossier parked with the portal's reason is level as well.
Whole lists are read rarely: first once, then only the dossiers that were not level.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sandbox.plan import Plan
from sandbox.play import Player, final_status
from sandbox.replay_client import GaveUp, HubClient

REFUSED = "refused by the portal"
_FEW = 200
"""So many dossiers are asked for one by one; more by reading the lists again."""
_LISTS_AT_A_TIME = 3


class HubDossier(NamedTuple):
    """A dossier as `GET /v1/dossiers` shows it. Times in seconds since the epoch."""

    status: int
    version: int
    due_at: int | None
    identity: str
    payment: str


@dataclass(slots=True)
class Level:
    """What the hub holds once it is level."""

    dossiers: dict[str, HubDossier]
    seconds: float
    refused: dict[str, dict[str, Any]]
    """Dossiers parked because the portal refuses them, as `GET /v1/sync/dossiers` shows them."""


async def wait_until_level(
    operator: HubClient,
    player: Player,
    within_seconds: float,
    tell: Callable[[str], None],
    *,
    may_refuse: bool = False,
) -> Level:
    """Reads until all is level. Raises `GaveUp` with one sentence that says what is not."""
    began = time.monotonic()
    plan = player.plan
    expected = {
        played.code: final_status(dossier) for dossier, played in zip(plan.dossiers, player.played, strict=True)
    }
    held: dict[str, HubDossier] = {}
    refused: dict[str, dict[str, Any]] = {}
    unlevel: dict[str, str] = dict.fromkeys(expected, "not read yet")
    wait = 0.1
    while True:
        behind = await _behind(operator, plan)
        if not behind or len(unlevel) <= _FEW:
            unlevel, parked = await _look(operator, plan, expected, unlevel, held)
            if may_refuse:
                refused |= parked
                unlevel = {code: missing for code, missing in unlevel.items() if code not in parked}
        if not behind and not unlevel:
            return Level(held, time.monotonic() - began, refused)
        tell(f"waiting for {len(unlevel)} dossiers, reports behind by {behind}")
        if time.monotonic() - began > within_seconds:
            raise GaveUp(_sentence(unlevel, behind, within_seconds))
        await asyncio.sleep(wait)
        wait = min(wait * 1.5, 2.0)


async def _behind(operator: HubClient, plan: Plan) -> int:
    period = {"from": plan.period.first.isoformat(), "to": plan.period.last.isoformat()}
    report = await operator.get("/v1/reports/agencies", {"province": plan.province, **period})
    return int(report["behind"])


async def _look(
    operator: HubClient,
    plan: Plan,
    expected: dict[str, int],
    unlevel: Collection[str],
    held: dict[str, HubDossier],
) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Reads anew what was not level; code → what is missing there, and those where only the portal refuses."""
    synced: dict[str, dict[str, Any]] = {}
    if len(unlevel) <= _FEW:
        for code in unlevel:
            held[code] = hub_dossier(await operator.get(f"/v1/dossiers/{code}"))
            synced[code] = await _sync_item(operator, code)
    else:
        held.clear()
        agencies = iter([plan.agency_code(counts.no) for counts in plan.counts])

        async def lists() -> None:
            for agency in agencies:
                async for item in operator.items("/v1/dossiers", {"agency": agency}):
                    held[item["code"]] = hub_dossier(item)
                async for item in operator.items("/v1/sync/dossiers", {"agency": agency}):
                    synced[item["code"]] = item

        async with asyncio.TaskGroup() as group:
            for _ in range(_LISTS_AT_A_TIME):
                group.create_task(lists())
    found, refused = {}, {}
    for code in unlevel:
        missing = _missing(held.get(code), synced.get(code), expected[code])
        if missing:
            found[code] = missing
        if missing == REFUSED:
            refused[code] = synced[code]
    return found, refused


async def _sync_item(operator: HubClient, code: str) -> dict[str, Any]:
    answer = await operator.send("GET", f"/v1/sync/dossiers/{code}")
    return dict(answer.json()) if answer.status == 200 else {}


def _missing(held: HubDossier | None, synced: dict[str, Any] | None, status: int) -> str:
    """What keeps a dossier from being level, or ""."""
    if held is None:
        return "unknown to the hub"
    if held.identity == "pending":
        return "identity pending"
    if held.payment in ("due", "review"):
        return f"payment {held.payment}"
    if held.status != status:
        return f"in status {held.status}, not {status}"
    return _unsynced(held, synced) if synced else "unknown to the synchronisation"


def _unsynced(held: HubDossier, synced: dict[str, Any]) -> str:
    versions = (synced["desired_version"], synced["acknowledged_version"])
    progress_is_level = synced["desired_progress"] == synced["acknowledged_progress"]
    if versions == (held.version, held.version) and progress_is_level and synced["state"] == "synced":
        return "a push without an answer may still come" if synced["next_try_at"] else ""
    if synced["state"] == "parked" and synced["owner"] == "partner" and synced["reason"]:
        return REFUSED if synced["desired_version"] == held.version else "a version behind at the portal's refusal"
    return f"synchronisation {synced['state']}"


def hub_dossier(item: dict[str, Any]) -> HubDossier:
    """What is kept of a dossier's public record."""
    due_at = item["due_at"]
    return HubDossier(
        item["status_code"],
        item["version"],
        int(datetime.fromisoformat(due_at).timestamp()) if due_at else None,
        item["identity"]["outcome"],
        item["payment"]["state"],
    )


def _sentence(unlevel: dict[str, str], behind: int, seconds: float) -> str:
    reasons: dict[str, int] = {}
    for reason in unlevel.values():
        reasons[reason] = reasons.get(reason, 0) + 1
    parts = [f"{number} dossiers: {reason}" for reason, number in sorted(reasons.items(), key=lambda each: -each[1])]
    example = f" (for instance {next(iter(unlevel))})" if unlevel else ""
    if behind:
        parts.append(f"reports behind by {behind} events")
    return f"The hub was not level after {seconds:.0f} s: {'; '.join(parts[:6])}{example}."
