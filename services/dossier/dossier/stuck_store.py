"""Table stuck: what the last look over all dossiers found. A look reads every dossier once, in one statement."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dossier import person_store
from dossier.list_store import PLANNING
from dossier.stuck import AFTER, FILED_AGAIN_WITHIN, WITHDRAWN_WITHIN
from shared.db import Reading, Transaction

Row = Mapping[str, Any]

# One copy at a time, and not sooner than the period after the last look, or fifty times as long as that took.
_TURN = """
SELECT FROM stuck_look WHERE looked_at + greatest(make_interval(secs => $1), took * 50) <= clock_timestamp()
FOR UPDATE SKIP LOCKED
"""
_WHOLE_TABLES = "SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_sort = on"
_LOOK = """
WITH limits AS (SELECT * FROM unnest($1::text[], $2::interval[]) AS l(kind, after)),
-- It waits for a fact, or for somebody to say why an identity that is not confirmed is acceptable.
result AS (SELECT dossier_code AS code, min(taken_at) AS since FROM ministry_event
  WHERE state IN ('waiting', 'refused') AND (state = 'waiting' OR reason = 'identity_reason_required')
    AND action IN ('finish', 'attach_result') GROUP BY dossier_code),
found AS (
  SELECT d.code, it.kind, d.agency_code, d.version, it.since
  FROM dossier d LEFT JOIN result r ON r.code = d.code,
  LATERAL (VALUES
    ('result_not_finished', CASE WHEN d.status IN (1, 2, 4, 5, 6, 8) THEN r.since END),
    ('paid_not_received', CASE WHEN d.status = 1 AND d.detail ? 'charges' THEN (
       SELECT max((c->>'paid_at')::timestamptz) FROM jsonb_array_elements(d.detail->'charges') c) END),
    ('identity_pending', CASE WHEN d.identity_outcome = 'pending' AND d.status IN (1, 2, 4, 5, 6, 8)
       THEN d.recorded_at END),
    ('finished_not_returned', CASE WHEN d.status = 9 THEN d.finished_at END),
    ('supplement_unanswered', CASE WHEN d.status = 5 THEN d.last_at END),
    ('no_transition', CASE WHEN d.status IN (1, 2, 4, 6, 8) THEN d.last_at END),
    ('refused_by_supplement', CASE WHEN d.status = 7 AND d.person_hash IS NOT NULL
       AND d.last_at <= (d.detail->'supplements'->-1->>'requested_at')::timestamptz + $3
       AND EXISTS (SELECT FROM dossier again WHERE again.person_hash = d.person_hash AND again.code <> d.code
                   AND again.procedure_code = d.procedure_code AND again.submitted_at >= d.last_at
                   AND again.submitted_at < d.last_at + $4) THEN d.last_at END)
  ) AS it(kind, since) JOIN limits USING (kind)
  -- Most dossiers have been returned: nothing is asked of them.
  WHERE d.status IN (1, 2, 4, 5, 6, 7, 8, 9) AND (d.status <> 7 OR d.detail ? 'supplements')
    AND it.since <= now() - limits.after),
freed AS (DELETE FROM stuck s WHERE NOT EXISTS (SELECT FROM found f WHERE f.code = s.code AND f.kind = s.kind)
  -- While keys are rotated a person's dossiers lie under two: what is not seen now may be there all the same.
  AND NOT ($5 AND s.kind = 'refused_by_supplement'))
INSERT INTO stuck AS s (code, kind, agency_code, version, since)
SELECT code, kind, agency_code, version, since FROM found
ON CONFLICT (code, kind) DO UPDATE SET version = EXCLUDED.version, since = EXCLUDED.since
WHERE (s.version, s.since) IS DISTINCT FROM (EXCLUDED.version, EXCLUDED.since)
"""
_LOOKED = "UPDATE stuck_look SET looked_at = now(), took = clock_timestamp() - now()"
_COUNT = """
WITH gone AS (DELETE FROM stuck_count c WHERE NOT EXISTS (
  SELECT FROM stuck s WHERE s.agency_code = c.agency_code AND s.kind = c.kind))
INSERT INTO stuck_count (kind, agency_code, since)
SELECT kind, agency_code, array_agg(since ORDER BY since) FROM stuck GROUP BY kind, agency_code
ON CONFLICT (kind, agency_code) DO UPDATE SET since = EXCLUDED.since
"""
# An agency with all below it is one range: "." and "/" follow each other, and no code goes on with anything else.
_WITHIN = """
  AND ($1::text IS NULL OR kind = $1) AND ($2::text IS NULL OR (agency_code >= $2 AND agency_code < $2 || '/'))
"""
_COUNTS = f"""
SELECT kind, agency_code, width_bucket(now() - make_interval(hours => $3), since) AS count, since[1] AS oldest_since
FROM stuck_count WHERE since[1] <= now() - make_interval(hours => $3) {_WITHIN} ORDER BY kind, agency_code
"""
# What has moved since the look is freed at once: any change makes another version.
_PAGE = f"""
SELECT s.code, s.kind, s.since, d.agency_code, d.procedure_code, d.status, d.due_at
FROM (SELECT * FROM stuck WHERE (since, code, kind) > ($4, $5, $6) {_WITHIN}
      AND since <= now() - make_interval(hours => $3)) AS s
JOIN dossier d ON d.code = s.code AND d.version = s.version
ORDER BY s.since, s.code, s.kind LIMIT $7
"""


async def look(tx: Transaction, every_seconds: float) -> bool:
    """Look over all dossiers if it is time; whether it was."""
    if await tx.raw.fetchrow(_TURN, every_seconds) is None:
        return False
    is_rotating = len(await person_store.in_use(tx)) > 1
    await tx.raw.execute(_WHOLE_TABLES)
    await tx.raw.execute(_LOOK, list(AFTER), list(AFTER.values()), WITHDRAWN_WITHIN, FILED_AGAIN_WITHIN, is_rotating)
    await tx.raw.execute(_COUNT)
    await tx.raw.execute(_LOOKED)
    return True


async def looked_at(rx: Reading) -> datetime:
    """When the last look was."""
    at: datetime = await rx.raw.fetchval("SELECT looked_at FROM stuck_look")
    return at


async def counts(rx: Reading, kind: str | None, agency: str | None, older_than_hours: int) -> Sequence[Row]:
    """How many there are per kind and agency, and since when the oldest."""
    rows: Sequence[Row] = await rx.raw.fetch(_COUNTS, kind, agency, older_than_hours)
    return rows


async def page(
    rx: Reading, kind: str | None, agency: str | None, older_than_hours: int,
    after: tuple[datetime, str, str], limit: int,
) -> Sequence[Row]:  # fmt: skip
    """Stuck dossiers after this place, the oldest first; without those that have moved since the look."""
    await rx.raw.execute(PLANNING)
    rows: Sequence[Row] = await rx.raw.fetch(_PAGE, kind, agency, older_than_hours, *after, limit)
    return rows
