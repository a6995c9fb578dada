"""Queries behind the operators' views. They run as the API's role: row-level security narrows every one of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.agency_codes import dossier_ranges
from shared.db import Reading, Transaction
from sync_national.change import State

_IS_HELD = """
EXISTS (SELECT FROM held_now h WHERE h.destination = s.destination
        AND (h.scope IN ('*', s.agency_code) OR starts_with(s.agency_code, h.scope || '.')))
"""
_COLUMNS = f"""
destination, dossier_code AS code, agency_code, status_code,
CASE WHEN state = 'pending' AND {_IS_HELD} THEN 'held' ELSE state END AS state,
desired_version, acknowledged_version, desired_progress, acknowledged_progress,
tries, reason, owner, due_at AS next_try_at, unsynced_since, acknowledged_at, changed_at
"""
_ACKNOWLEDGED = """
SELECT n.code, n.version, s.state, CASE WHEN s.acknowledged_version >= n.version THEN coalesce(
  (SELECT min(at) FROM attempt a WHERE a.destination = $1 AND a.dossier_code = n.code AND a.version >= n.version
     AND a.outcome = 'accepted'), s.acknowledged_at) END AS acknowledged_at
FROM unnest($2::text[], $3::int[]) AS n(code, version)
JOIN standing s ON s.destination = $1 AND s.dossier_code = n.code
"""
_ONE = f"""
SELECT {_COLUMNS} FROM standing s WHERE destination = :destination AND dossier_code = :code
"""
_DIGEST = "SELECT encode(digest, 'hex') FROM standing WHERE destination = :destination AND dossier_code = :code"
# What is on hold is looked up once, not for each agency's pending ones.
_COUNTS = """
WITH held AS MATERIALIZED (SELECT scope FROM held_now WHERE destination = :destination)
SELECT CASE WHEN state = 'pending' AND EXISTS (
  SELECT FROM held WHERE scope IN ('*', agency_code) OR starts_with(agency_code, scope || '.'))
  THEN 'held' ELSE state END AS state, sum(dossiers)::bigint AS dossiers
FROM (
  SELECT agency_code, state, sum(dossiers) AS dossiers FROM (
    SELECT agency_code, state, dossiers FROM tally WHERE destination = :destination
    UNION ALL SELECT agency_code, state, dossiers FROM tally_note WHERE destination = :destination)
  GROUP BY 1, 2) AS counted
GROUP BY 1
"""
# The smallest of each agency from the index: the oldest of all agencies is one of them.
_OLDEST = """
SELECT extract(epoch FROM clock_timestamp() - min(oldest.since))::float8
FROM (SELECT DISTINCT agency_code FROM tally WHERE destination = :destination
      UNION SELECT DISTINCT agency_code FROM tally_note WHERE destination = :destination) AS agency,
LATERAL (SELECT unsynced_since AS since FROM standing s
         WHERE s.destination = :destination AND s.agency_code = agency.agency_code AND unsynced_since IS NOT NULL
         ORDER BY unsynced_since LIMIT 1) AS oldest
"""
_AGENCIES = """
SELECT DISTINCT agency_code FROM (
  SELECT agency_code FROM tally WHERE destination = :destination
  UNION ALL SELECT agency_code FROM tally_note WHERE destination = :destination) AS known
"""
_HELD_AGENCIES = f"""
SELECT agency_code FROM (SELECT agency_code, CAST(:destination AS text) AS destination FROM ({_AGENCIES}) AS known) AS s
WHERE {_IS_HELD}
"""
_MOST_RANGES = 20
"""More agencies of one caller are left to the row-level security."""
_TRY_AGAIN = """
UPDATE standing SET state = 'pending', due_at = clock_timestamp(), tries = 0, refusals = 0,
  reason = NULL, owner = NULL, changed_at = clock_timestamp()
WHERE destination = :destination AND dossier_code = :code
"""


async def counts(rx: Reading, destination: str) -> dict[str, int]:
    """Dossiers by state, as they are shown."""
    return {row["state"]: row["dossiers"] for row in await rx.rows(_COUNTS, destination=destination)}


async def oldest_unsynced_seconds(rx: Reading, destination: str) -> float | None:
    """Age of the oldest change that the portal does not show; None when all is level."""
    seconds: float | None = await rx.value(_OLDEST, destination=destination)
    return None if seconds is None else max(0.0, seconds)


async def acknowledged_last_minute(rx: Reading, destination: str) -> int:
    """Acknowledgements of the last 60 s, by all workers of all copies."""
    found = await rx.value(
        "SELECT coalesce(sum(acknowledged), 0)::bigint FROM delivery "
        "WHERE destination = :destination AND at > statement_timestamp() - interval '1 minute'",
        destination=destination,
    )
    return int(found)


async def calls_this_minute(rx: Reading, destination: str) -> int:
    """Calls that the copies have reserved of the portal's quota."""
    found = await rx.value(
        "SELECT calls FROM call_quota "
        "WHERE destination = :destination AND minute = date_trunc('minute', statement_timestamp())",
        destination=destination,
    )
    return int(found or 0)


async def listed(
    rx: Reading,
    destination: str,
    state: State | None,
    agency: str | None,
    after: str | None,
    limit: int,
    *,
    agencies: Sequence[str],
) -> list[Mapping[str, Any]]:
    """A page in the order of the codes, of the agency asked for as far as the caller's `agencies` go.

    Each range of codes comes from the primary key, or from the index of a state's dossiers (a state is a literal, so
    that the planner sees whether the partial index serves); the page is the first of them.
    """
    given: dict[str, Any] = {"destination": destination, "limit": limit, "after": after or ""}
    conditions = ["destination = :destination", "dossier_code > :after"]
    if state is not None:
        conditions.append(f"state = '{(State.PENDING if state is State.HELD else state).value}'")
    ranges = dossier_ranges(agency, agencies)
    if state in {State.HELD, State.PENDING}:
        known = [row["agency_code"] for row in await rx.rows(_AGENCIES, destination=destination)]
        held = {row["agency_code"] for row in await rx.rows(_HELD_AGENCIES, destination=destination)}
        if held and held >= set(known):
            conditions.append("true" if state is State.HELD else "false")
        elif held or state is State.HELD:
            conditions.append(f"{'' if state is State.HELD else 'NOT '}agency_code = ANY(CAST(:held AS text[]))")
            given["held"] = sorted(held)
    arms = []
    for place, codes in enumerate([None] if ranges is None or len(ranges) > _MOST_RANGES else ranges):
        narrowed = list(conditions)
        if codes is not None:
            narrowed.append(f"dossier_code >= :low{place} AND dossier_code < :high{place}")
            given |= {f"low{place}": codes[0], f"high{place}": codes[1]}
        arms.append(f"(SELECT * FROM standing WHERE {' AND '.join(narrowed)} ORDER BY dossier_code LIMIT :limit)")
    if not arms:
        return []
    sql = f"SELECT {_COLUMNS} FROM ({' UNION ALL '.join(arms)}) AS s ORDER BY dossier_code LIMIT :limit"
    return list(await rx.rows(sql, **given))


async def one(rx: Reading, destination: str, code: str) -> Mapping[str, Any] | None:
    """One dossier's row."""
    return await rx.row(_ONE, destination=destination, code=code)


async def accepted_digest(rx: Reading, destination: str, code: str) -> str | None:
    """Of the record that the destination accepted, in hex; None while what it shows is not known."""
    found: str | None = await rx.value(_DIGEST, destination=destination, code=code)
    return found


async def locked_one(tx: Transaction, destination: str, code: str) -> Mapping[str, Any] | None:
    """State, due time and desired version, locked against the workers."""
    return await tx.row(
        "SELECT state, due_at, desired_version FROM standing "
        "WHERE destination = :destination AND dossier_code = :code FOR UPDATE",
        destination=destination,
        code=code,
    )


async def try_again(tx: Transaction, destination: str, code: str) -> None:
    """Due now, with a clean slate."""
    await tx.execute(_TRY_AGAIN, destination=destination, code=code)


async def is_held(rx: Reading, destination: str) -> bool:
    """Whether the whole destination is on hold, by hand or by calendar."""
    found: bool = await rx.value(
        "SELECT EXISTS (SELECT FROM held_now WHERE destination = :destination AND scope = '*')",
        destination=destination,
    )
    return found


async def acknowledged(rx: Reading, destination: str, asked: Sequence[tuple[str, int]]) -> Sequence[Mapping[str, Any]]:
    """Since when the nation has these versions of dossiers (code, version), as far as they are known here."""
    codes, versions = [list(column) for column in zip(*asked, strict=True)] if asked else ([], [])
    return [dict(row) for row in await rx.raw.fetch(_ACKNOWLEDGED, destination, codes, versions)]
