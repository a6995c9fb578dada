"""An incident is resolved: somebody removed its cause, and its dossiers are offered as a replay.

The replay is a plan like any other (`replaying`): its list is frozen now, it runs when it is confirmed.
"""

from typing import Any

from shared.auth import Caller
from shared.db import Transaction
from shared.errors import AgencyNotPermitted, Conflict, NotFound
from sync_national import incident_store, replaying


class IncidentOver(Conflict):
    """It was resolved before."""

    code, title = "incident_resolved", "The incident is resolved already"


async def resolve(tx: Transaction, id_: str, caller: Caller, resolution: str, per_second: int) -> dict[str, Any]:
    """The resolved incident and the plan of its replay (None when nothing of it waits for one).

    Raises `NotFound`, `AgencyNotPermitted` (it also concerns agencies that the caller does not cover), `IncidentOver`.
    """
    found = await incident_store.one(tx, id_)
    row = await incident_store.locked(tx, id_) if found is not None else None
    if row is None:
        raise NotFound
    if not all(caller.covers(agency) for agency in row["agencies"]):
        raise AgencyNotPermitted
    if row["resolved_at"] is not None:
        raise IncidentOver
    wanted = {"incident": id_}
    plan = await replaying.plan(tx, row["destination"], caller.agencies, wanted, resolution, per_second, caller.name)
    offered = plan if plan["count"] else None
    await incident_store.resolve(tx, id_, caller.name, resolution, plan["id"] if offered else None)
    over = await incident_store.one(tx, id_)
    assert over is not None
    return {**over, "offered": offered}
