"""Safe replay: plan → confirm → progress → cancel. What is executed is exactly what was shown.

```
planned ──confirm──▶ running ──list at its end──▶ done
   │                    │
   └──────cancel────────┴──▶ cancelled        a plan not confirmed within an hour can only be cancelled
```
The plan freezes the list of dossiers; nothing is added to it later. Each is executed once, at the plan's rate:

| where it stands then | retry | repair |
|---|---|---|
| failed, parked, its outcome untellable | retried | retried: the portal is asked first |
| synced, pending | already_level | likewise retried (that is what is in doubt) |
| in flight | in_hand: a worker has it | waits for the worker |
| unknown, to be asked soon | answer_awaited: it may still be running there | retried |
| no longer there | gone | gone |
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared import clock, outbox
from shared.db import Database, Reading, Transaction
from shared.errors import Conflict, NotFound
from shared.events import Cause
from sync_national import announcing, reconciliation_store, replay_store
from sync_national.change import State
from sync_national.replay_store import Left, Turn
from sync_national.syncing import TOPIC, Bell

_AT_ONCE = 500


class PlanNotOpen(Conflict):
    """It was confirmed or cancelled before, or it is too old."""

    code, title = "plan_not_open", "This plan cannot be confirmed or cancelled any more"


class CountDiffers(Conflict):
    """The caller confirms another number of dossiers than the plan holds."""

    code, title = "count_differs", "The plan holds another number of dossiers"


class NotRepairable(Conflict):
    """It has not ended, was repaired already, or there is nothing to push."""

    code, title = "not_repairable", "This reconciliation cannot be repaired"


async def plan(
    tx: Transaction,
    destination: str,
    agencies: Sequence[str],
    wanted: Mapping[str, Any],
    reason: str,
    per_second: int,
    planned_by: str,
) -> dict[str, Any]:
    """Freeze what fits the filter now; nothing is tried yet."""
    id_ = await replay_store.plan(tx, destination, "retry", agencies, wanted, reason, per_second, planned_by)
    return await shown(tx, id_)


async def repair(
    tx: Transaction,
    reconciliation_id: str,
    agencies: Sequence[str],
    reason: str,
    per_second: int,
    approved_by: str,
    cause: Cause,
) -> dict[str, Any]:
    """One approval: the differences of a reconciliation become a replay that runs at once. Raises `NotRepairable`."""
    found = await reconciliation_store.one(tx, reconciliation_id)
    if found is None:
        raise NotFound
    if found["state"] != "done":
        raise NotRepairable(state=found["state"])
    if earlier := await replay_store.repair_of(tx, reconciliation_id):
        raise NotRepairable("It is being repaired already", replay=earlier)
    wanted = {"reconciliation": reconciliation_id}
    id_ = await replay_store.plan(
        tx, found["destination"], "repair", agencies, wanted, reason, per_second, approved_by, reconciliation_id
    )
    await replay_store.confirm(tx, id_, approved_by, cause.traceparent)
    planned = await shown(tx, id_)
    if not planned["count"]:
        raise NotRepairable("There is nothing that could be pushed")
    return planned


async def shown(rx: Reading, id_: str) -> dict[str, Any]:
    """A plan with its sample and its progress. Raises `NotFound`."""
    row = await replay_store.one(rx, id_)
    if row is None:
        raise NotFound
    return {**_told(row), **await replay_store.progress(rx, id_, row["destination"])}


async def listed(rx: Reading, destination: str, before: str | None, limit: int) -> list[dict[str, Any]]:
    """Plans and replays without their lists, the newest first."""
    return [_told(row) for row in await replay_store.listed(rx, destination, before, limit)]


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(row)
    found["count"], found["executed"] = found.pop("planned_count"), found.pop("executed_count")
    if found.pop("is_expired"):
        found["state"] = "expired"
    for name in ("reconciliation_id", "verification_id"):
        value = found.pop(name)
        found[name.removesuffix("_id")] = None if value is None else str(value)
    return found


async def confirm(tx: Transaction, id_: str, count: int | None, confirmed_by: str, cause: Cause) -> dict[str, Any]:
    """Let the plan run. Raises `NotFound`, `PlanNotOpen`, `CountDiffers`."""
    row = await replay_store.one(tx, id_, for_update=True)
    if row is None:
        raise NotFound
    if row["state"] != "planned" or row["is_expired"]:
        raise PlanNotOpen(state="expired" if row["is_expired"] else row["state"])
    if count is not None and count != row["planned_count"]:
        raise CountDiffers(count=row["planned_count"])
    await replay_store.confirm(tx, id_, confirmed_by, cause.traceparent)
    return await shown(tx, id_)


async def cancel(tx: Transaction, id_: str, cancelled_by: str) -> dict[str, Any]:
    """Execute no more of it. Raises `NotFound`, `PlanNotOpen`."""
    row = await replay_store.one(tx, id_, for_update=True)
    if row is None:
        raise NotFound
    if row["state"] not in {"planned", "running"}:
        raise PlanNotOpen(state=row["state"])
    await replay_store.cancel(tx, id_, cancelled_by)
    return await shown(tx, id_)


class Replayer:
    """Carries out confirmed plans, a step at a time."""

    def __init__(self, destination: str, database: Database, bell: Bell) -> None:
        self._destination = destination
        self._database = database
        self._bell = bell

    async def step(self) -> int:
        """As many dossiers of the oldest running plan as its rate allows now."""
        async with self._database.transaction() as tx:
            it = await replay_store.turn(tx, self._destination)
            if it is None or it.allowed <= 0:
                return 0
            most = min(it.allowed, _AT_ONCE)
            listed = await replay_store.left(tx, it, most)
            outcomes = {left.code: outcome for left in listed if (outcome := _outcome(it, left))}
            retried = [code for code, outcome in outcomes.items() if outcome == "retried"]
            await replay_store.try_again(tx, it, retried)
            await self._announce(tx, it, [left for left in listed if outcomes.get(left.code) == "retried"])
            is_last = len(listed) < most and len(outcomes) == len(listed)
            await replay_store.note(tx, it, outcomes, is_last=is_last)
            tx.on_commit(lambda: self._bell.ring_in(0.0))
        return len(outcomes)

    async def _announce(self, tx: Transaction, it: Turn, retried: Sequence[Left]) -> None:
        present, cause = clock.now(), Cause(None, it.traceparent)
        news = [
            announcing.unparked(left.code, self._destination, left.desired_version, present, cause)
            for left in retried
            if left.state == State.PARKED
        ]
        await outbox.publish(tx, TOPIC, news)


def _outcome(it: Turn, left: Left) -> str | None:
    """What is done about a dossier; None: not now."""
    if left.state is None:
        return "gone"
    if it.kind == "repair":
        return None if left.state == State.IN_FLIGHT else "retried"
    match State(left.state):
        case State.IN_FLIGHT:
            return "in_hand"
        case State.SYNCED | State.PENDING:
            return "already_level"
        case State.UNKNOWN if left.is_due:
            return "answer_awaited"
        case _:
            return "retried"
