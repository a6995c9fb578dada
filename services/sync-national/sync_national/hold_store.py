"""Holds in PostgreSQL: set by hand, planned by calendar, and what waited when a hold ended.

`scope` is `*` (the whole destination) or an agency's code (with its sub-agencies). `held_now` shows both kinds; the
claim of the workers reads it in its own statement, on the database's clock, so no copy can be late or early.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.db import Reading, Transaction
from shared.events import new_id

_LIST = """
SELECT destination, scope, reason, held_by, held_since, ends_at, maintenance_id FROM held_now
WHERE destination = :destination ORDER BY scope, held_since
"""
_HOLD = """
INSERT INTO hold (destination, scope, reason, held_by) VALUES (:destination, :scope, :reason, :held_by)
ON CONFLICT (destination, scope) DO UPDATE SET reason = excluded.reason, held_by = excluded.held_by
"""
_PLAN = """
INSERT INTO maintenance (id, destination, scope, starts_at, ends_at, reason, planned_by)
VALUES (CAST(:id AS uuid), :destination, :scope, :starts_at, :ends_at, :reason, :planned_by)
"""
_COLUMNS = """
id, destination, scope, starts_at, ends_at, reason, planned_by, planned_at, cancelled_by, cancelled_at,
CASE WHEN cancelled_at IS NOT NULL THEN 'cancelled' WHEN statement_timestamp() < starts_at THEN 'planned'
     WHEN statement_timestamp() < ends_at THEN 'running' ELSE 'over' END AS state
"""
_WAITING = "state IN ('pending', 'in_flight', 'unknown', 'failed')"
_NOTED = """
SELECT agency_code, state, sum(dossiers)::bigint AS dossiers FROM (
  SELECT agency_code, state, dossiers FROM tally WHERE destination = $1
  UNION ALL SELECT agency_code, state, dossiers FROM tally_note WHERE destination = $1) AS noted GROUP BY 1, 2
"""
_BEGIN_DRAIN = f"""
INSERT INTO drain AS d (destination, agency_code, waiting)
SELECT $1::text, agency_code, sum(dossiers)::bigint FROM ({_NOTED}) AS noted WHERE {_WAITING} GROUP BY agency_code
ON CONFLICT (destination, agency_code) DO UPDATE SET waiting = excluded.waiting, released_at = excluded.released_at
"""
# One row per destination: whoever sees first that it is no longer held notes how much waits.
_WATCH = """
INSERT INTO hold_watch AS w (destination, is_held)
VALUES ($1, EXISTS (SELECT FROM held_now WHERE destination = $1 AND scope = '*'))
ON CONFLICT (destination) DO UPDATE SET is_held = excluded.is_held WHERE w.is_held <> excluded.is_held
RETURNING is_held, old.is_held AS was_held
"""


async def listed(rx: Reading, destination: str) -> Sequence[Mapping[str, Any]]:
    """What is on hold now, the whole destination first."""
    return await rx.rows(_LIST, destination=destination)


async def hold(tx: Transaction, destination: str, scope: str, reason: str, held_by: str) -> None:
    """Write a hold; a second one changes the reason only."""
    await tx.execute(_HOLD, destination=destination, scope=scope, reason=reason, held_by=held_by)


async def release(tx: Transaction, destination: str, scope: str, released_by: str) -> None:
    """Lift what holds this scope now: the hold, and maintenance that is running."""
    await tx.execute(
        "DELETE FROM hold WHERE destination = :destination AND scope = :scope", destination=destination, scope=scope
    )
    await tx.execute(
        "UPDATE maintenance SET cancelled_by = :by, cancelled_at = clock_timestamp() WHERE id IN ("
        "SELECT maintenance_id FROM held_now WHERE destination = :destination AND scope = :scope)",
        destination=destination,
        scope=scope,
        by=released_by,
    )


async def plan(
    tx: Transaction,
    destination: str,
    scope: str,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    planned_by: str,
) -> str:
    """Write maintenance into the calendar; its id."""
    id_ = new_id()
    await tx.execute(
        _PLAN,
        id=id_,
        destination=destination,
        scope=scope,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason,
        planned_by=planned_by,
    )
    return id_


async def planned(rx: Reading, id_: str, *, for_update: bool = False) -> dict[str, Any] | None:
    """One entry of the calendar."""
    sql = f"SELECT {_COLUMNS} FROM maintenance WHERE id = CAST(:id AS uuid)"
    row = await rx.row(sql + (" FOR UPDATE" if for_update else ""), id=id_)
    return None if row is None else {**row, "id": str(row["id"])}


async def calendar(rx: Reading, destination: str, before: str | None, limit: int) -> list[dict[str, Any]]:
    """The calendar, the newest entry first."""
    rows = await rx.rows(
        f"SELECT {_COLUMNS} FROM maintenance WHERE destination = :destination "
        "AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid)) ORDER BY id DESC LIMIT :limit",
        destination=destination,
        before=before,
        limit=limit,
    )
    return [{**row, "id": str(row["id"])} for row in rows]


async def cancel(tx: Transaction, id_: str, cancelled_by: str) -> None:
    """It does not happen, or ends now."""
    await tx.execute(
        "UPDATE maintenance SET cancelled_by = :by, cancelled_at = clock_timestamp() WHERE id = CAST(:id AS uuid)",
        id=id_,
        by=cancelled_by,
    )


async def watch(tx: Transaction, destination: str) -> None:
    """When the whole destination was held until now: note how many dossiers wait, the drain begins."""
    row = await tx.raw.fetchrow(_WATCH, destination)
    if row is not None and row["was_held"] and not row["is_held"]:
        await tx.raw.execute(_BEGIN_DRAIN, destination)


async def drain(rx: Reading, destination: str) -> Mapping[str, Any]:
    """What waited when the last hold ended, and how many were acknowledged a second since (a minute at most)."""
    row = await rx.row(
        "WITH drained AS (SELECT sum(waiting)::bigint AS waiting, max(released_at) AS released_at FROM drain "
        "WHERE destination = :destination), window_ AS (SELECT greatest(released_at, statement_timestamp() "
        "- interval '1 minute') AS since, waiting, released_at FROM drained) "
        "SELECT waiting, released_at, extract(epoch FROM statement_timestamp() - since)::float8 AS seconds, "
        "(SELECT coalesce(sum(acknowledged), 0)::bigint FROM delivery WHERE destination = :destination AND at > since) "
        "AS acknowledged FROM window_",
        destination=destination,
    )
    assert row is not None  # an aggregate without groups has its row
    return row
