"""Reconciliations in PostgreSQL: what was asked, the uploaded file, how far it has come, the differences.

A worker holds a reconciliation by a lease on the database's clock; position, figures and differences are written in
one transaction, so another copy goes on exactly where a dead one stopped.
"""

import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import orjson

from shared.db import Reading, Transaction
from shared.events import new_id
from sync_national.comparison import FIGURES, LATE, ON_TIME, Difference, Ours

_PIECE_ROWS = 2000
_FRESH_SECONDS = 600
"""A change younger than this that is not pushed yet is on its way, and no difference."""
_LOCAL = "AT TIME ZONE 'Asia/Ho_Chi_Minh'"
_CREATE = """
INSERT INTO reconciliation (id, destination, source, agencies, period_from, period_to, as_of, layout, layout_version,
  file_name, file_format, file_bytes, file_sha256, state, asked_by, reason, scheduled_for, verifies, verified_replay)
VALUES (:id, :destination, :source, :agencies, :period_from, :period_to, coalesce(:as_of, clock_timestamp()), :layout,
  :layout_version, :file_name, :file_format, :file_bytes, :file_sha256, 'waiting', :asked_by, :reason, :scheduled_for,
  :verifies, :verified_replay)
ON CONFLICT (destination, scheduled_for) DO NOTHING
"""
_TAKE = """
WITH next AS (
  SELECT id FROM reconciliation WHERE destination = $1 AND due_at <= clock_timestamp()
  ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE reconciliation r SET state = 'running', lease_token = nextval('lease_token'),
  due_at = clock_timestamp() + make_interval(secs => $2), started_at = coalesce(started_at, clock_timestamp())
FROM next WHERE r.id = next.id
RETURNING r.id, source, agencies, period_from, period_to, as_of, layout, layout_version, file_format, position,
  figures, lease_token, verified_replay
"""
_ADVANCE = """
UPDATE reconciliation SET position = $3, figures = $4,
  due_at = clock_timestamp() + make_interval(secs => $5), state = $6, fault = $7,
  finished_at = CASE WHEN $6 IN ('done', 'failed') THEN clock_timestamp() END
WHERE id = $1 AND lease_token = $2
"""
_DIFFER = """
INSERT INTO difference (reconciliation_id, dossier_code, agency_code, kinds, ours, theirs, state, reason, owner)
SELECT $1, code, agency, string_to_array(kinds, ','), ours, theirs, state, reason, owner
FROM unnest($2::text[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[], $7::text[], $8::text[], $9::text[])
  AS new (code, agency, kinds, ours, theirs, state, reason, owner)
ON CONFLICT DO NOTHING
"""
# Active in the period: filed before its end, last changed after its beginning.
_ACTIVE = f"""
  ($2::date IS NULL OR last_at >= $2::date::timestamp {_LOCAL})
  AND ($3::date IS NULL OR filed_at < ($3::date + 1)::timestamp {_LOCAL})
"""
# Also what the portal may have overwritten by a push that was given up: it is asked when that can not come any more.
_ON_THE_WAY = f"""
  (state IN ('pending', 'in_flight', 'unknown')
    AND coalesce(unsynced_since > clock_timestamp() - make_interval(secs => {_FRESH_SECONDS}), false)
  OR state = 'synced' AND doubt_until IS NOT NULL)
"""
_OURS = f"""
SELECT dossier_code, agency_code, status_code::text,
  coalesce(to_char(promised_at {_LOCAL}, 'YYYYMMDDHH24MISS'), ''),
  coalesce(to_char(ended_at {_LOCAL}, 'YYYYMMDDHH24MISS'), ''),
  payment_flag, desired_progress, state, reason, owner,
  {_ON_THE_WAY},
  coalesce(greatest(acknowledged_at, unsynced_since) > $4, false),
  coalesce({_ACTIVE}, true),
  CASE WHEN promised_at IS NULL OR national_late_at IS NULL THEN NULL
       WHEN national_late_at < $4 THEN '{LATE}' ELSE '{ON_TIME}' END
FROM standing WHERE destination = $1 AND dossier_code COLLATE "C" > $5 ORDER BY dossier_code COLLATE "C"
"""
_CODES = f"""
SELECT dossier_code FROM standing s
WHERE destination = $1 AND coalesce({_ACTIVE}, true) AND dossier_code COLLATE "C" > $4
  AND ($6::uuid IS NULL OR EXISTS
    (SELECT FROM replay_item i WHERE i.replay_id = $6 AND i.dossier_code = s.dossier_code))
ORDER BY dossier_code COLLATE "C" LIMIT $5
"""
_SETTLED = f"""
SELECT dossier_code, agency_code, state, reason, owner,
  {_ON_THE_WAY} AS on_the_way,
  coalesce(greatest(acknowledged_at, unsynced_since) > $3, false) AS has_changed_since
FROM standing WHERE destination = $1 AND dossier_code = ANY($2::text[])
"""
_COLUMNS = """
id, destination, source, agencies, period_from, period_to, as_of, layout, layout_version, file_name, file_format,
file_bytes, file_sha256, state, fault, asked_by, reason, asked_at, started_at, finished_at, figures, verifies,
(SELECT json_build_object('id', p.id, 'state', p.state, 'count', p.planned_count, 'executed', p.executed_count,
                          'approved_by', p.confirmed_by, 'approved_at', p.confirmed_at, 'reason', p.reason,
                          'verification', p.verification_id)
 FROM replay p WHERE p.reconciliation_id = r.id ORDER BY planned_at DESC LIMIT 1) AS repair
"""
_FORGET = "DELETE FROM reconciliation_file f USING reconciliation r WHERE r.id = f.reconciliation_id AND r.id = $1"


class Wish(NamedTuple):
    """A reconciliation somebody asks for."""

    destination: str
    source: str
    agencies: Sequence[str]
    asked_by: str
    reason: str
    period_from: date | None = None
    period_to: date | None = None
    as_of: datetime | None = None
    layout: str | None = None
    layout_version: int | None = None
    file_name: str | None = None
    file_format: str | None = None
    file_bytes: int | None = None
    file_sha256: str | None = None
    scheduled_for: date | None = None
    verifies: str | None = None
    verified_replay: str | None = None


class Task(NamedTuple):
    """A reconciliation in a worker's hands."""

    id: str
    token: int
    source: str
    agencies: Sequence[str]
    period_from: date | None
    period_to: date | None
    as_of: datetime
    layout: str | None
    layout_version: int | None
    file_format: str | None
    position: str
    figures: dict[str, Any]
    verified_replay: str | None


async def create(tx: Transaction, wish: Wish) -> str | None:
    """Write it down for a worker; its id, None when the day's scheduled one is there already."""
    id_ = new_id()
    given = {**wish._asdict(), "agencies": list(wish.agencies)}
    return id_ if await tx.execute(_CREATE, id=id_, **given) else None


async def add_piece(tx: Transaction, id_: str, number: int, content: bytes) -> None:
    """A piece of the uploaded file, compressed."""
    await tx.raw.execute("INSERT INTO reconciliation_file VALUES ($1, $2, $3)", id_, number, content)


async def pieces(rx: Reading, id_: str) -> AsyncIterator[bytes]:
    """The uploaded file, piece by piece."""
    number = 0
    while True:
        packed = await rx.raw.fetchval(
            "SELECT content FROM reconciliation_file WHERE reconciliation_id = $1 AND number = $2", id_, number
        )
        if packed is None:
            return
        yield zlib.decompress(packed)
        number += 1


async def take(tx: Transaction, destination: str, lease_seconds: float) -> Task | None:
    """The next one that is due: new, waiting, or left behind by a worker that died."""
    row = await tx.raw.fetchrow(_TAKE, destination, lease_seconds)
    if row is None:
        return None
    replay = row["verified_replay"]
    return Task(
        str(row["id"]),
        row["lease_token"],
        row["source"],
        row["agencies"],
        row["period_from"],
        row["period_to"],
        row["as_of"],
        row["layout"],
        row["layout_version"],
        row["file_format"],
        row["position"],
        row["figures"],
        None if replay is None else str(replay),
    )


async def advance(
    tx: Transaction,
    task: Task,
    position: str,
    figures: Mapping[str, Any],
    differences: Sequence[Difference],
    due_in: float | None,
    state: str = "running",
    fault: str | None = None,
) -> bool:
    """Write how far it has come; False when it has passed to another worker, whose words count."""
    tag: str = await tx.raw.execute(
        _ADVANCE, task.id, task.token, position, orjson.dumps(dict(figures)).decode(), due_in, state, fault
    )
    if tag != "UPDATE 1":
        return False
    if differences:
        await tx.raw.execute(
            _DIFFER,
            task.id,
            [it.code for it in differences],
            # What is not one of our codes belongs to nobody but those who see everything.
            [it.agency_code or "*" for it in differences],
            [",".join(it.kinds) for it in differences],
            [orjson.dumps(it.ours_shown()).decode() for it in differences],
            [orjson.dumps(it.theirs_shown()).decode() for it in differences],
            [it.ours.state if it.ours else None for it in differences],
            [it.ours.reason if it.ours else None for it in differences],
            [it.ours.owner if it.ours else None for it in differences],
        )
    if state in {"done", "failed"}:
        # The portal's file may name citizens; what was found in it stays.
        await tx.raw.execute(_FORGET, task.id)
    return True


async def names(rx: Reading, destination: str) -> dict[str, str]:
    """The portal's own code → ours, of dossiers that were filed there."""
    rows = await rx.raw.fetch("SELECT portal_code, dossier_code FROM portal_name WHERE destination = $1", destination)
    return {row["portal_code"]: row["dossier_code"] for row in rows}


async def ours(rx: Reading, destination: str, task: Task) -> AsyncIterator[list[Ours]]:
    """Our side in the order of the codes, from the task's position on; needs the transaction for as long."""
    cursor = await rx.raw.cursor(_OURS, destination, task.period_from, task.period_to, task.as_of, task.position)
    while rows := await cursor.fetch(_PIECE_ROWS):
        yield [Ours._make(row) for row in rows]


async def codes(rx: Reading, destination: str, task: Task, after: str, limit: int) -> list[str]:
    """The next dossiers to look up."""
    rows = await rx.raw.fetch(_CODES, destination, task.period_from, task.period_to, after, limit, task.verified_replay)
    return [row["dossier_code"] for row in rows]


async def settled(rx: Reading, destination: str, wanted: Sequence[str], since: datetime) -> dict[str, Any]:
    """How these dossiers stand now, and whether they moved since that moment."""
    rows = await rx.raw.fetch(_SETTLED, destination, list(wanted), since)
    return {row["dossier_code"]: row for row in rows}


async def one(rx: Reading, id_: str) -> dict[str, Any] | None:
    """A reconciliation with its figures and its repair."""
    row = await rx.row(f"SELECT {_COLUMNS} FROM reconciliation r WHERE id = :id", id=id_)
    return None if row is None else _shown(row)


async def listed(rx: Reading, destination: str, before: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest first; `before` is the id of the last one seen (ids are in the order of time)."""
    rows = await rx.rows(
        f"SELECT {_COLUMNS} FROM reconciliation r WHERE destination = :destination "
        "AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid)) ORDER BY id DESC LIMIT :limit",
        destination=destination,
        before=before,
        limit=limit,
    )
    return [_shown(row) for row in rows]


async def newest_done(rx: Reading, destination: str) -> dict[str, Any] | None:
    """The last one that was finished."""
    row = await rx.row(
        f"SELECT {_COLUMNS} FROM reconciliation r WHERE destination = :destination AND state = 'done' "
        "ORDER BY asked_at DESC LIMIT 1",
        destination=destination,
    )
    return None if row is None else _shown(row)


async def differences(rx: Reading, id_: str, kind: str | None, after: str, limit: int) -> list[dict[str, Any]]:
    """A page of them in the order of the codes."""
    rows = await rx.rows(
        "SELECT dossier_code AS code, agency_code, kinds, ours, theirs, state, reason, owner FROM difference "
        "WHERE reconciliation_id = CAST(:id AS uuid) AND dossier_code > :after "
        "AND (CAST(:kind AS text) IS NULL OR :kind = ANY(kinds)) ORDER BY dossier_code LIMIT :limit",
        id=id_,
        kind=kind,
        after=after,
        limit=limit,
    )
    return [dict(row) for row in rows]


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    found = {**row, "id": str(row["id"]), "verifies": None if row["verifies"] is None else str(row["verifies"])}
    figures = found.pop("figures")
    return {
        **found,
        **{name: figures.get(name, 0) for name in FIGURES},
        "lines": figures.get("lines"),
        "faulty_lines": figures.get("faulty_lines", 0),
        "faults": figures.get("faults", []),
    }
