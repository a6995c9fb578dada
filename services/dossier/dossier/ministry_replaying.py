"""Replay of a ministry's events from a time: plan → confirm → progress → cancel, as the synchronisation's bulk replay.

What was applied stays as it is; what was not is tried again by today's vocabulary. So a replay can be repeated.
"""

from typing import Any

from dossier import ministry_replay_store, ministry_store
from dossier.settling import Ministries
from shared.db import Database, Reading, Transaction
from shared.errors import Conflict, NotFound

_AT_ONCE = 200


class PlanNotOpen(Conflict):
    """It was confirmed or cancelled before."""

    code, title = "plan_not_open", "This plan cannot be confirmed or cancelled any more"


class CountDiffers(Conflict):
    """The caller confirms another number of events than the plan holds."""

    code, title = "count_differs", "The plan holds another number of events"


async def shown(rx: Reading, id_: str) -> dict[str, Any]:
    """A plan with its progress. Raises `NotFound`."""
    row = await ministry_replay_store.one(rx, id_)
    if row is None:
        raise NotFound
    return row


async def confirm(tx: Transaction, id_: str, count: int | None, by: str) -> dict[str, Any]:
    """Let the plan run. Raises `NotFound`, `PlanNotOpen`, `CountDiffers`."""
    row = await ministry_replay_store.one(tx, id_, for_update=True)
    if row is None:
        raise NotFound
    if row["state"] != "planned":
        raise PlanNotOpen(state=row["state"])
    if count is not None and count != row["planned_count"]:
        raise CountDiffers(count=row["planned_count"])
    await ministry_replay_store.confirm(tx, id_, by)
    return await shown(tx, id_)


async def cancel(tx: Transaction, id_: str, by: str) -> dict[str, Any]:
    """Try no more of it. Raises `NotFound`, `PlanNotOpen`."""
    row = await ministry_replay_store.one(tx, id_, for_update=True)
    if row is None:
        raise NotFound
    if row["state"] not in ("planned", "running"):
        raise PlanNotOpen(state=row["state"])
    await ministry_replay_store.cancel(tx, id_, by)
    return await shown(tx, id_)


class Replayer:
    """Carries out confirmed plans, a step at a time."""

    def __init__(self, database: Database, ministries: Ministries) -> None:
        self._database = database
        self._ministries = ministries

    async def step(self) -> int:
        """As many events of the oldest running plan as its rate allows now."""
        async with self._database.transaction() as tx:
            turn = await ministry_replay_store.turn(tx, _AT_ONCE)
            if turn is None or turn["allowed"] <= 0:
                return 0
            left = await ministry_replay_store.left(tx, turn["id"], turn["allowed"])
            numbers = [row["ministry_event_id"] for row in left]
            known = {row["id"]: row for row in await ministry_store.numbered(tx, numbers)}
            again = [row for row in known.values() if row["state"] not in ("applied", "past")]
            became = {outcome.number: outcome.state for outcome in await self._ministries.settle_each(tx, again)}
            outcomes = [(row["number"], became.get(row["ministry_event_id"], "already_applied")) for row in left]
            await ministry_replay_store.note(tx, turn["id"], outcomes, is_last=len(left) < turn["allowed"])
        return len(left)
