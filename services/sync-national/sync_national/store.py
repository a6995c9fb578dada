"""Tables and queries of the delivery: what is wanted, claimed, and what came of it. All set-based, no row alone.

Rows are locked in the order of their codes. A claim is a lease on the database's clock with a fencing token: what
a worker brings back counts only while its token still stands in the row.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from shared.db import Transaction
from sync_national.change import Doubt, Presence, Settled, Standing, State


class Wanted(NamedTuple):
    """What an event asks for: the portal should show this version."""

    dossier_code: str
    agency_code: str
    status_code: int
    version: int
    progress: int
    """1 when the change is a new progress row, else 0."""
    recorded_at: datetime
    filed_at: datetime | None = None
    promised_at: datetime | None = None
    ended_at: datetime | None = None
    last_at: datetime | None = None
    payment_flag: str | None = None
    """DuocThanhToanTrucTuyen; this, the four before it and the next are what a reconciliation compares."""
    national_late_at: str | None = None
    """Late by the national rule after this moment, `infinity` for never; None: the event does not tell."""


class Claim(NamedTuple):
    """A dossier in a worker's hands."""

    dossier_code: str
    agency_code: str
    standing: Standing
    """As it was before the claim."""


class Claims(NamedTuple):
    """What one worker took, under one token."""

    token: int
    rows: Sequence[Claim]


class Outcome(NamedTuple):
    """What to write back for one dossier."""

    dossier_code: str
    settled: Settled
    has_gained: bool
    """Whether the portal acknowledged more than before."""
    visits: int


_WANT = """
INSERT INTO standing AS s (destination, dossier_code, agency_code, status_code, state,
                           desired_version, desired_progress, due_at, unsynced_since,
                           filed_at, promised_at, ended_at, last_at, payment_flag, national_late_at)
SELECT $1, code, agency, status, 'pending', version, progress,
       greatest(clock_timestamp(), recorded + make_interval(secs => $14)), recorded,
       filed, promised, ended, last_change, payment, national_late::timestamptz
FROM unnest($2::text[], $3::text[], $4::int[], $5::int[], $6::int[], $7::timestamptz[], $8::timestamptz[],
            $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::text[])
  AS wanted (code, agency, status, version, progress, recorded, filed, promised, ended, last_change, payment,
             national_late)
ORDER BY code
ON CONFLICT (destination, dossier_code) DO UPDATE SET
  agency_code = excluded.agency_code,
  status_code = excluded.status_code,
  desired_version = excluded.desired_version,
  desired_progress = s.desired_progress + excluded.desired_progress,
  filed_at = excluded.filed_at,
  promised_at = excluded.promised_at,
  ended_at = excluded.ended_at,
  last_at = excluded.last_at,
  payment_flag = excluded.payment_flag,
  national_late_at = excluded.national_late_at,
  state = CASE WHEN s.state IN ('synced', 'parked') THEN 'pending' ELSE s.state END,
  due_at = CASE WHEN s.state IN ('synced', 'parked') THEN excluded.due_at
                ELSE coalesce(s.due_at, excluded.due_at) END,
  unsynced_since = coalesce(s.unsynced_since, excluded.unsynced_since),
  changed_at = clock_timestamp()
WHERE s.desired_version < excluded.desired_version
RETURNING dossier_code, old.state = 'parked' AS was_parked
"""

# One claim at a time: two would look at the same dossiers, and the second find them gone.
_NEXT_FENCE = "SELECT nextval('lease_token') FROM pg_advisory_xact_lock(hashtext('claim ' || $1))"
# Agencies take turns: of each that waits the longest due, then of each the next. What is looked at for it is bounded
# by eight batches, however much waits. `statement_timestamp` is stable: the index stops where what is due ends.
_CLAIM = """
WITH RECURSIVE waiting (agency) AS (
  (SELECT agency_code FROM standing WHERE due_at IS NOT NULL ORDER BY agency_code LIMIT 1)
  UNION ALL
  SELECT (SELECT agency_code FROM standing WHERE due_at IS NOT NULL AND agency_code > w.agency
          ORDER BY agency_code LIMIT 1)
  FROM waiting w WHERE w.agency IS NOT NULL),
turn AS MATERIALIZED (
  SELECT agency FROM waiting w
  WHERE EXISTS (SELECT FROM standing WHERE destination = $1 AND agency_code = w.agency
                AND due_at <= statement_timestamp())
    AND NOT EXISTS (SELECT FROM held_now h WHERE h.destination = $1
                    AND (h.scope = '*' OR (w.agency || '.') LIKE h.scope || '.%'))),
next AS MATERIALIZED (
  SELECT dossier_code FROM turn CROSS JOIN LATERAL (
    SELECT dossier_code, due_at, row_number() OVER (ORDER BY due_at) AS place FROM standing
    WHERE destination = $1 AND agency_code = turn.agency AND due_at <= statement_timestamp()
    ORDER BY due_at LIMIT (SELECT least($2::int, ceil($2::int * 8.0 / greatest(count(*), 1))) FROM turn)) AS one
  ORDER BY place, due_at LIMIT $2::int),
due AS (
  SELECT dossier_code, state FROM standing
  WHERE destination = $1 AND dossier_code = ANY ((SELECT array_agg(dossier_code) FROM next)::text[])
    AND due_at <= statement_timestamp()
  FOR UPDATE SKIP LOCKED)
UPDATE standing s SET state = 'in_flight', lease_token = $3,
  due_at = clock_timestamp() + make_interval(secs => $4), changed_at = clock_timestamp()
FROM due WHERE s.destination = $1 AND s.dossier_code = due.dossier_code
RETURNING s.dossier_code, s.agency_code, s.desired_version, s.acknowledged_version, s.desired_progress,
  s.acknowledged_progress, s.presence, s.digest, s.tries, s.refusals, s.reason, s.owner, due.state,
  CASE WHEN s.doubt_until IS NULL THEN 'none'
       WHEN s.doubt_until > statement_timestamp() THEN 'open' ELSE 'over' END AS doubt
"""
_RESERVE = """
INSERT INTO call_quota AS q (destination, minute, calls)
VALUES ($1, date_trunc('minute', statement_timestamp()), least($2::int, $3::int))
ON CONFLICT (destination, minute) DO UPDATE SET calls = least(q.calls + $2::int, $3::int)
RETURNING calls - coalesce(old.calls, 0) AS granted,
  60 - extract(second FROM statement_timestamp())::float8 AS new_in
"""

_EXTEND = """
UPDATE standing SET due_at = clock_timestamp() + make_interval(secs => $4)
WHERE destination = $1 AND dossier_code = ANY($2::text[]) AND lease_token = $3
"""

_LOCK = """
SELECT dossier_code, desired_version, desired_progress, visits FROM standing
WHERE destination = $1 AND dossier_code = ANY($2::text[]) AND lease_token = $3
ORDER BY dossier_code FOR UPDATE
"""

_DOUBT_UNTIL = """
CASE u.doubt WHEN 'raise' THEN statement_timestamp() + make_interval(secs => $18) WHEN 'keep' THEN s.doubt_until END
"""
_SAVE = f"""
WITH passed AS (
  DELETE FROM incident_dossier d USING unnest($3::text[], $12::text[]) AS p (dossier_code, reason)
  WHERE d.destination = $1 AND d.dossier_code = p.dossier_code AND p.reason IS NULL)
UPDATE standing s SET
  state = u.state, acknowledged_version = u.acknowledged_version, desired_progress = u.desired_progress,
  acknowledged_progress = u.acknowledged_progress, presence = u.presence, digest = u.digest,
  tries = u.tries, refusals = u.refusals, reason = u.reason, owner = u.owner, visits = u.visits,
  lease_token = NULL, doubt_until = {_DOUBT_UNTIL},
  due_at = CASE WHEN u.due_in IS NOT NULL THEN clock_timestamp() + make_interval(secs => u.due_in)
                WHEN u.state <> 'parked' THEN {_DOUBT_UNTIL} END,
  acknowledged_at = CASE WHEN u.has_gained THEN clock_timestamp() ELSE s.acknowledged_at END,
  -- What is still not level after a success changed after the record had been read.
  unsynced_since = CASE WHEN u.state = 'synced' THEN NULL
                        WHEN u.state = 'pending' AND u.reason IS NULL THEN $2
                        ELSE coalesce(s.unsynced_since, $2) END,
  changed_at = clock_timestamp()
FROM unnest($3::text[], $4::text[], $5::int[], $6::int[], $7::int[], $8::text[], $9::bytea[], $10::int[],
            $11::int[], $12::text[], $13::text[], $14::int[], $15::float8[], $16::bool[], $17::text[])
  AS u (dossier_code, state, acknowledged_version, desired_progress, acknowledged_progress, presence, digest,
        tries, refusals, reason, owner, visits, due_in, has_gained, doubt)
WHERE s.destination = $1 AND s.dossier_code = u.dossier_code
"""

_DOUBT = """
WITH late AS (SELECT dossier_code, greatest(doubt_until, statement_timestamp() + make_interval(secs => $3)) AS ends
              FROM standing WHERE destination = $1 AND dossier_code = ANY($2::text[])
              ORDER BY dossier_code FOR UPDATE)
UPDATE standing s SET doubt_until = late.ends, due_at = CASE WHEN s.state = 'synced' THEN late.ends ELSE s.due_at END
FROM late WHERE s.destination = $1 AND s.dossier_code = late.dossier_code
"""

_RELEASE = """
UPDATE standing s SET state = u.state, lease_token = NULL,
  doubt_until = CASE WHEN u.is_taken_over THEN clock_timestamp() + make_interval(secs => $7) ELSE s.doubt_until END,
  due_at = clock_timestamp() + make_interval(secs => $5), changed_at = clock_timestamp()
FROM unnest($2::text[], $3::text[], $6::bool[]) AS u (dossier_code, state, is_taken_over)
WHERE s.destination = $1 AND s.dossier_code = u.dossier_code AND s.lease_token = $4
"""

_SUM_NOTES = """
WITH gone AS (DELETE FROM tally_note RETURNING destination, agency_code, state, dossiers)
INSERT INTO tally (destination, agency_code, state, dossiers)
SELECT destination, agency_code, state, sum(dossiers) FROM gone GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (destination, agency_code, state) DO UPDATE SET dossiers = tally.dossiers + excluded.dossiers
"""


async def want(tx: Transaction, destination: str, wanted: Sequence[Wanted], delay_seconds: float) -> list[str]:
    """Raise the desired versions (never lower them). Returns the dossiers this took out of parking."""
    columns = [list(column) for column in zip(*wanted, strict=True)]
    rows = await tx.raw.fetch(_WANT, destination, *columns, delay_seconds)
    return [row["dossier_code"] for row in rows if row["was_parked"]]


async def claim(tx: Transaction, destination: str, size: int, lease_seconds: float) -> Claims:
    """Take up to `size` due dossiers, agency by agency, the longest waiting first; none of those on hold."""
    token = await tx.raw.fetchval(_NEXT_FENCE, destination)
    rows = await tx.raw.fetch(_CLAIM, destination, size, token, lease_seconds)
    return Claims(token, sorted(Claim(row["dossier_code"], row["agency_code"], _standing(row)) for row in rows))


async def name(tx: Transaction, destination: str, names: Mapping[str, str]) -> None:
    """What the portal calls dossiers that were filed there: its code → ours."""
    await tx.raw.execute(
        "INSERT INTO portal_name (destination, portal_code, dossier_code) "
        "SELECT $1, * FROM unnest($2::text[], $3::text[]) AS new (theirs, ours) ORDER BY theirs ON CONFLICT DO NOTHING",
        destination,
        list(names),
        list(names.values()),
    )


async def reserve_calls(tx: Transaction, destination: str, calls: int, per_minute: int) -> tuple[int, float]:
    """Calls of this minute: how many of them are ours, and the seconds until the next minute."""
    row = await tx.raw.fetchrow(_RESERVE, destination, calls, per_minute)
    return row["granted"], row["new_in"]


async def forget_calls(tx: Transaction) -> None:
    """Minutes that are over."""
    await tx.raw.execute("DELETE FROM call_quota WHERE minute < statement_timestamp() - interval '1 hour'")


async def extend(tx: Transaction, destination: str, codes: Sequence[str], token: int, lease_seconds: float) -> int:
    """Lengthen a lease; returns how many of the dossiers are still this worker's."""
    tag: str = await tx.raw.execute(_EXTEND, destination, codes, token, lease_seconds)
    return int(tag.rpartition(" ")[2])


async def locked(tx: Transaction, destination: str, claims: Claims) -> dict[str, tuple[Standing, int]]:
    """Standing and number of visits of those dossiers that are still this worker's, locked.

    While a dossier is claimed only events touch it, and they raise nothing but what is desired.
    """
    rows = await tx.raw.fetch(_LOCK, destination, [claim.dossier_code for claim in claims.rows], claims.token)
    current = {row["dossier_code"]: row for row in rows}
    mine = {}
    for claim in claims.rows:
        if row := current.get(claim.dossier_code):
            standing = claim.standing
            if row["desired_version"] != standing.desired_version:
                standing = standing._replace(
                    desired_version=row["desired_version"], desired_progress=row["desired_progress"]
                )
            mine[claim.dossier_code] = (standing, row["visits"])
    return mine


async def save(
    tx: Transaction, destination: str, outcomes: Sequence[Outcome], claimed_at: datetime, settle_seconds: float
) -> None:
    """Write back what came of the visits; the rows are locked by `locked`. A doubt lasts for `settle_seconds`."""
    new = [outcome.settled.standing for outcome in outcomes]
    await tx.raw.execute(
        _SAVE,
        destination,
        claimed_at,
        [outcome.dossier_code for outcome in outcomes],
        [standing.state.value for standing in new],
        [standing.acknowledged_version for standing in new],
        [standing.desired_progress for standing in new],
        [standing.acknowledged_progress for standing in new],
        [standing.presence.value for standing in new],
        [standing.digest for standing in new],
        [standing.tries for standing in new],
        [standing.refusals for standing in new],
        [standing.reason for standing in new],
        [standing.owner for standing in new],
        [outcome.visits for outcome in outcomes],
        [outcome.settled.due_in for outcome in outcomes],
        [outcome.has_gained for outcome in outcomes],
        [outcome.settled.doubt for outcome in outcomes],
        settle_seconds,
    )
    if gained := sum(outcome.has_gained for outcome in outcomes):
        await tx.raw.execute("INSERT INTO delivery (destination, acknowledged) VALUES ($1, $2)", destination, gained)


async def doubt(tx: Transaction, destination: str, codes: Sequence[str], settle_seconds: float) -> None:
    """What was pushed for these may have come after another worker's push: have the portal asked in so many seconds."""
    await tx.raw.execute(_DOUBT, destination, codes, settle_seconds)


async def release(
    tx: Transaction, destination: str, claims: Claims, wait_seconds: float, settle_seconds: float
) -> None:
    """Give claimed dossiers back as they were: nothing was sent."""
    # An expired lease that was taken over stays an unanswered question, and leaves its doubt.
    taken_over = [row.standing.state is State.IN_FLIGHT for row in claims.rows]
    before = [State.UNKNOWN if row.standing.state is State.IN_FLIGHT else row.standing.state for row in claims.rows]
    await tx.raw.execute(
        _RELEASE,
        destination,
        [row.dossier_code for row in claims.rows],
        [state.value for state in before],
        claims.token,
        wait_seconds,
        taken_over,
        settle_seconds,
    )


async def sum_notes(tx: Transaction) -> None:
    """Fold the notes of the counts into the tally; one transaction, so a reader sees either."""
    await tx.raw.execute(_SUM_NOTES)


def _standing(row: Any) -> Standing:
    return Standing(
        state=State(row["state"]),
        desired_version=row["desired_version"],
        acknowledged_version=row["acknowledged_version"],
        desired_progress=row["desired_progress"],
        acknowledged_progress=row["acknowledged_progress"],
        presence=Presence(row["presence"]),
        digest=row["digest"],
        tries=row["tries"],
        refusals=row["refusals"],
        reason=row["reason"],
        owner=row["owner"],
        doubt=Doubt(row["doubt"]),
    )
