"""The hub's own reconciliation, asked by an operator: it compares every dossier through the portal's read service."""

import asyncio
from collections.abc import Collection
from typing import Any

from sandbox.promise import Promise, of_differences
from sandbox.replay_client import GaveUp, HubClient, Refused

_PATH = "/v1/sync/reconciliations"
_SECONDS_PER_DOSSIER = 0.1
_LEAST_SECONDS = 60.0


async def check(operator: HubClient, codes: Collection[str], refused: Collection[str]) -> Promise:
    """Of these dossiers none differs but those that the portal refuses. Raises `GaveUp`, `Refused`."""
    found, differences = await reconcile(operator, within_seconds=_LEAST_SECONDS + _SECONDS_PER_DOSSIER * len(codes))
    wrong = [
        f"{item['code']}: {', '.join(item['kinds'])}"
        for item in differences
        if item["code"] in codes and item["code"] not in refused
    ]
    if found["compared"] < len(codes):
        wrong.append(f"{found['compared']} compared of {len(codes)}")
    counted = f"{found['compared']} compared, {found['equal']} equal, {len(differences)} not"
    expected = f"no difference but of {len(refused)} refused" if refused else "no difference"
    return of_differences("reconciliation: the portal shows what the hub wants", expected, wrong, counted)


async def reconcile(operator: HubClient, *, within_seconds: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The record of a new reconciliation over everything, and its differences."""
    started = await operator.post(_PATH, {"reason": "Kiểm chứng sau khi phát lại"})
    if started.status != 201:
        raise Refused(f"POST {_PATH} answered {started.problem}")
    path = f"{_PATH}/{started.json()['id']}"
    try:
        async with asyncio.timeout(within_seconds):
            while (found := await operator.get(path, {"limit": "1"}))["state"] not in ("done", "failed"):
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise GaveUp(f"The reconciliation did not end within {within_seconds:.0f} s.") from None
    if found["state"] == "failed":
        raise Refused(f"The reconciliation failed: {found['fault']}")
    return found, [item async for item in operator.items(path)]
