"""Replays in PostgreSQL: a plan with its frozen list, and how far it has been carried out."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from shared import strict_json
from shared.db import Reading, Transaction
from shared.events import new_id

PLAN_SECONDS = 3600
"""So long a plan may be confirmed: an old list no longer says what one would do today."""
_SAMPLE = 20
_REPAIR_SETTLES_SECONDS = 600
_RETRYABLE = "(state IN ('failed', 'parked') OR (state = 'unknown' AND due_at IS NULL))"
_PLAN = """
INSERT INTO replay (id, destination, kind, state, agencies, filter, reason, per_second, planned_count, planned_by,
                    reconciliation_id)
VALUES (:id, :destination, :kind, 'planned', :agencies, CAST(:filter AS jsonb), :reason, :per_second, 0, :planned_by,
        CAST(:reconciliation_id AS uuid))
"""
_FREEZE = f"""
INSERT INTO replay_item (replay_id, dossier_code, agency_code)
SELECT CAST(:id AS uuid), dossier_code, agency_code FROM standing
WHERE destination = :destination AND {_RETRYABLE}
  AND (CAST(:states AS text[]) IS NULL OR state = ANY(:states))
  AND (CAST(:agency AS text) IS NULL OR agency_code = :agency OR starts_with(agency_code, :agency || '.'))
  AND (CAST(:owner AS text) IS NULL OR owner = :owner)
  AND (CAST(:reason AS text) IS NULL OR reason = :reason)
  AND (CAST(:codes AS text[]) IS NULL OR dossier_code = ANY(:codes))
  AND (CAST(:incident AS uuid) IS NULL OR dossier_code IN (
    SELECT d.dossier_code FROM incident_dossier d WHERE d.incident_id = CAST(:incident AS uuid)))
"""
_FREEZE_DIFFERENCES = """
INSERT INTO replay_item (replay_id, dossier_code, agency_code)
SELECT CAST(:id AS uuid), dossier_code, agency_code FROM difference
WHERE reconciliation_id = CAST(:reconciliation_id AS uuid) AND NOT 'missing_here' = ANY(kinds)
"""
_COLUMNS = """
id, destination, kind, state, filter, reason, per_second, planned_count, executed_count, planned_by, planned_at,
planned_at + make_interval(secs => CAST(:plan_seconds AS int)) AS expires_at,
state = 'planned' AND planned_at < clock_timestamp() - make_interval(secs => CAST(:plan_seconds AS int)) AS is_expired,
confirmed_by, confirmed_at, cancelled_by, finished_at, reconciliation_id, verification_id
"""
_OUTCOMES = """
SELECT coalesce(i.outcome, 'left') AS outcome, count(*) AS dossiers FROM replay_item i
WHERE replay_id = CAST(:id AS uuid) GROUP BY 1
"""
_STATES = """
SELECT s.state, count(*) AS dossiers FROM replay_item i
JOIN standing s ON s.destination = :destination AND s.dossier_code = i.dossier_code
WHERE i.replay_id = CAST(:id AS uuid) GROUP BY 1
"""
_SAMPLED = """
SELECT i.dossier_code AS code, i.agency_code, s.state, s.reason, s.owner FROM replay_item i
LEFT JOIN standing s ON s.destination = :destination AND s.dossier_code = i.dossier_code
WHERE i.replay_id = CAST(:id AS uuid) ORDER BY i.dossier_code LIMIT :most
"""
# `paced_until`: what was executed lasts so long at the replay's rate. A second may be made up for, no more: not the
# minutes that it stood behind another replay, or that the service was away.
_NEXT = """
SELECT id, kind, destination, traceparent,
  floor(per_second * least(1.0, extract(epoch FROM clock_timestamp() - coalesce(paced_until, '-infinity')))) AS allowed
FROM replay WHERE state = 'running' AND destination = $1 ORDER BY confirmed_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_LEFT = """
SELECT i.dossier_code FROM replay_item i WHERE i.replay_id = $1 AND i.outcome IS NULL ORDER BY i.dossier_code LIMIT $2
"""
# Whoever changes several standings locks them in the order of their codes.
_LOCK = """
SELECT dossier_code, state, due_at, desired_version FROM standing
WHERE destination = $1 AND dossier_code = ANY($2::text[]) ORDER BY dossier_code FOR UPDATE
"""
_AGAIN = """
UPDATE standing SET state = 'pending', due_at = clock_timestamp(), tries = 0, refusals = 0, reason = NULL,
  owner = NULL, changed_at = clock_timestamp()
WHERE destination = $1 AND dossier_code = ANY($2::text[])
"""
# Nothing that was acknowledged can be trusted: the portal is asked what it has, and then gets what differs.
_DOUBT = """
UPDATE standing SET state = 'unknown', due_at = clock_timestamp(), tries = 0, refusals = 0, reason = NULL,
  owner = NULL, presence = 'untold', digest = NULL, acknowledged_version = 0,
  unsynced_since = coalesce(unsynced_since, clock_timestamp()), changed_at = clock_timestamp()
WHERE destination = $1 AND dossier_code = ANY($2::text[])
"""
_NOTE = """
UPDATE replay_item i SET outcome = u.outcome FROM unnest($2::text[], $3::text[]) AS u (code, outcome)
WHERE i.replay_id = $1 AND i.dossier_code = u.code
"""
_COUNT = """
UPDATE replay SET executed_count = executed_count + $2,
  paced_until = greatest(paced_until, clock_timestamp() - interval '1 second')
    + make_interval(secs => $2::float8 / per_second), state = CASE WHEN $3 THEN 'done' ELSE state END,
  finished_at = CASE WHEN $3 THEN clock_timestamp() END
WHERE id = $1
"""
_SETTLED_REPAIR = f"""
SELECT id, agencies, confirmed_by, reconciliation_id FROM replay r
WHERE kind = 'repair' AND destination = $1 AND state IN ('done', 'cancelled') AND verification_id IS NULL
  AND executed_count > 0
  AND (finished_at < clock_timestamp() - make_interval(secs => {_REPAIR_SETTLES_SECONDS}) OR NOT EXISTS (
    SELECT FROM replay_item i JOIN standing s ON s.destination = $1 AND s.dossier_code = i.dossier_code
    WHERE i.replay_id = r.id AND i.outcome = 'retried'
      AND (s.state IN ('pending', 'in_flight') OR (s.state = 'unknown' AND s.due_at IS NOT NULL))))
ORDER BY finished_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""


class Turn(NamedTuple):
    """A running replay in this worker's hands for one step."""

    id: str
    kind: str
    destination: str
    allowed: int
    """How many dossiers its rate allows now."""
    traceparent: str | None
    """Of the exchange that confirmed it."""


class Left(NamedTuple):
    """A dossier of the frozen list that was not executed yet, and where it stands."""

    code: str
    state: str | None
    is_due: bool
    desired_version: int = 0


async def plan(
    tx: Transaction,
    destination: str,
    kind: str,
    agencies: Sequence[str],
    wanted: Mapping[str, Any],
    reason: str,
    per_second: int,
    planned_by: str,
    reconciliation_id: str | None = None,
) -> str:
    """Freeze the list of what fits now; the id of the plan. Row-level security narrows what can fit."""
    id_ = new_id()
    await tx.execute(
        _PLAN,
        id=id_,
        destination=destination,
        kind=kind,
        agencies=list(agencies),
        filter=strict_json.dumps(dict(wanted)).decode(),
        reason=reason,
        per_second=per_second,
        planned_by=planned_by,
        reconciliation_id=reconciliation_id,
    )
    if kind == "repair":
        count = await tx.execute(_FREEZE_DIFFERENCES, id=id_, reconciliation_id=reconciliation_id)
    else:
        names = ("states", "agency", "owner", "reason", "codes", "incident")
        given = {name: wanted.get(name) for name in names}
        count = await tx.execute(_FREEZE, id=id_, destination=destination, **given)
    await tx.execute("UPDATE replay SET planned_count = :count WHERE id = CAST(:id AS uuid)", id=id_, count=count)
    return id_


async def one(rx: Reading, id_: str, *, for_update: bool = False) -> dict[str, Any] | None:
    """A plan as it stands."""
    sql = f"SELECT {_COLUMNS} FROM replay WHERE id = CAST(:id AS uuid)"
    row = await rx.row(sql + (" FOR UPDATE" if for_update else ""), id=id_, plan_seconds=PLAN_SECONDS)
    return None if row is None else {**row, "id": str(row["id"])}


async def listed(rx: Reading, destination: str, before: str | None, limit: int) -> list[dict[str, Any]]:
    """Plans and what became of them, the newest first."""
    rows = await rx.rows(
        f"SELECT {_COLUMNS} FROM replay WHERE destination = :destination "
        "AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid)) ORDER BY id DESC LIMIT :limit",
        destination=destination,
        before=before,
        limit=limit,
        plan_seconds=PLAN_SECONDS,
    )
    return [{**row, "id": str(row["id"])} for row in rows]


async def progress(rx: Reading, id_: str, destination: str) -> dict[str, Any]:
    """What became of the list so far, where its dossiers stand now, and the first of them."""
    outcomes = await rx.rows(_OUTCOMES, id=id_)
    states = await rx.rows(_STATES, id=id_, destination=destination)
    sample = await rx.rows(_SAMPLED, id=id_, destination=destination, most=_SAMPLE)
    return {
        "outcomes": {row["outcome"]: row["dossiers"] for row in outcomes},
        "states": {row["state"]: row["dossiers"] for row in states},
        "sample": [dict(row) for row in sample],
    }


async def confirm(tx: Transaction, id_: str, confirmed_by: str, traceparent: str | None) -> None:
    """Let it run."""
    await tx.execute(
        "UPDATE replay SET state = 'running', confirmed_by = :by, confirmed_at = clock_timestamp(), "
        "traceparent = :traceparent WHERE id = CAST(:id AS uuid)",
        id=id_,
        by=confirmed_by,
        traceparent=traceparent,
    )


async def cancel(tx: Transaction, id_: str, cancelled_by: str) -> None:
    """What is not executed yet stays as it is."""
    await tx.execute(
        "UPDATE replay SET state = 'cancelled', cancelled_by = :by, finished_at = clock_timestamp() "
        "WHERE id = CAST(:id AS uuid)",
        id=id_,
        by=cancelled_by,
    )


async def turn(tx: Transaction, destination: str) -> Turn | None:
    """The oldest running replay, locked: two copies never carry out the same one at the same time."""
    row = await tx.raw.fetchrow(_NEXT, destination)
    if row is None:
        return None
    return Turn(str(row["id"]), row["kind"], row["destination"], int(row["allowed"]), row["traceparent"])


async def left(tx: Transaction, it: Turn, most: int) -> list[Left]:
    """The next of the frozen list, their standings locked."""
    listed = [row["dossier_code"] for row in await tx.raw.fetch(_LEFT, it.id, most)]
    rows = {row["dossier_code"]: row for row in await tx.raw.fetch(_LOCK, it.destination, listed)}
    return [_left(code, rows.get(code)) for code in listed]


def _left(code: str, row: Mapping[str, Any] | None) -> Left:
    if row is None:
        return Left(code, None, False)
    return Left(code, row["state"], row["due_at"] is not None, row["desired_version"])


async def try_again(tx: Transaction, it: Turn, codes: Sequence[str]) -> None:
    """Due now: a retry with a clean slate, a repair with every doubt."""
    await tx.raw.execute(_DOUBT if it.kind == "repair" else _AGAIN, it.destination, list(codes))


async def note(tx: Transaction, it: Turn, outcomes: Mapping[str, str], *, is_last: bool) -> None:
    """Write what became of these dossiers, and whether the list has come to its end."""
    await tx.raw.execute(_NOTE, it.id, list(outcomes), list(outcomes.values()))
    await tx.raw.execute(_COUNT, it.id, len(outcomes), is_last)


async def settled_repair(tx: Transaction, destination: str) -> Mapping[str, Any] | None:
    """A repair whose dossiers have all been pushed or refused and that nobody has verified yet."""
    row: Mapping[str, Any] | None = await tx.raw.fetchrow(_SETTLED_REPAIR, destination)
    return row


async def note_verification(tx: Transaction, id_: str, verification_id: str) -> None:
    """Which reconciliation checks this repair."""
    await tx.raw.execute("UPDATE replay SET verification_id = $2 WHERE id = $1", id_, verification_id)


async def repair_of(rx: Reading, reconciliation_id: str) -> str | None:
    """The repair of a reconciliation that was approved already, if any."""
    found = await rx.value(
        "SELECT id FROM replay WHERE reconciliation_id = CAST(:id AS uuid) AND state <> 'cancelled'",
        id=reconciliation_id,
    )
    return None if found is None else str(found)
