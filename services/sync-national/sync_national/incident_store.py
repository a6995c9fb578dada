"""Incidents in PostgreSQL: an open one per cause, what it did per agency, which dossiers it still holds up.

Written in the transaction that saves the visits; whoever writes several does so in the order of their fingerprints.
Callers see the incidents, the counts and the samples of their own agencies only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.db import Reading, Transaction
from shared.events import new_id
from sync_national.incident import Failure, fingerprint, normalised

_QUIET_SECONDS = 60
"""So long after its last failure an incident that holds up no dossier any more counts as over."""
_OPEN = """
INSERT INTO incident AS i (id, destination, fingerprint, owner, message, agencies)
SELECT id, $1, fingerprint, owner, message, string_to_array(agencies, ',')
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
  AS new (id, fingerprint, owner, message, agencies)
ORDER BY fingerprint
ON CONFLICT (destination, fingerprint) WHERE resolved_at IS NULL DO UPDATE SET
  last_at = clock_timestamp(),
  agencies = CASE WHEN i.agencies @> excluded.agencies THEN i.agencies
    ELSE ARRAY(SELECT DISTINCT unnest(i.agencies || excluded.agencies) ORDER BY 1) END
RETURNING id, fingerprint
"""
_COUNT = """
INSERT INTO incident_agency AS a (incident_id, agency_code, failures, sample_code, sample_reason)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[]) ORDER BY 1, 2
ON CONFLICT (incident_id, agency_code) DO UPDATE SET
  failures = a.failures + excluded.failures, last_at = clock_timestamp()
"""
_HELD_UP = """
INSERT INTO incident_dossier AS d (destination, dossier_code, agency_code, incident_id)
SELECT $1::text, * FROM unnest($2::text[], $3::text[], $4::uuid[])
ON CONFLICT (dossier_code, destination) DO UPDATE SET
  incident_id = excluded.incident_id, agency_code = excluded.agency_code
  WHERE d.incident_id <> excluded.incident_id OR d.agency_code <> excluded.agency_code
"""
# Events that can never pass hold up no dossier that is known here: a person says when that is over.
_OVER = f"""
UPDATE incident i SET resolved_at = clock_timestamp(), resolution = 'Không còn hồ sơ nào bị ảnh hưởng'
WHERE id IN (
  SELECT id FROM incident o WHERE destination = $1 AND resolved_at IS NULL AND owner <> 'poison'
    AND last_at < clock_timestamp() - make_interval(secs => {_QUIET_SECONDS})
    AND NOT EXISTS (SELECT FROM incident_dossier d WHERE d.incident_id = o.id)
  FOR UPDATE SKIP LOCKED)
"""
_COLUMNS = """
i.id, i.destination, i.owner, i.message, CASE WHEN i.resolved_at IS NULL THEN 'open' ELSE 'resolved' END AS state,
seen.failures AS count, seen.first_at, seen.last_at, seen.agencies,
(SELECT count(*) FROM incident_dossier d WHERE d.incident_id = i.id) AS dossiers,
seen.sample_code, seen.sample_reason, i.resolved_at, i.resolved_by, i.resolution, i.replay_id
FROM incident i, LATERAL (
  SELECT sum(failures)::bigint AS failures, min(first_at) AS first_at, max(last_at) AS last_at,
    count(*)::int AS agencies, (array_agg(sample_code ORDER BY first_at))[1] AS sample_code,
    (array_agg(sample_reason ORDER BY first_at))[1] AS sample_reason
  FROM incident_agency a WHERE a.incident_id = i.id) AS seen
"""


async def note(tx: Transaction, destination: str, failures: Sequence[Failure]) -> None:
    """Count these failures to their incidents, opening those that are new."""
    if not failures:
        return
    by_cause: dict[str, list[Failure]] = {}
    messages: dict[str, str] = {}
    for failure in failures:
        message = normalised(failure.reason)
        key = fingerprint(destination, failure.owner, message)
        messages[key] = message
        by_cause.setdefault(key, []).append(failure)
    keys = sorted(by_cause)
    rows = await tx.raw.fetch(
        _OPEN,
        destination,
        [new_id() for _ in keys],
        keys,
        [by_cause[key][0].owner for key in keys],
        [messages[key] for key in keys],
        [",".join(sorted({failure.agency_code for failure in by_cause[key]})) for key in keys],
    )
    ids = {row["fingerprint"]: row["id"] for row in rows}
    await _count(tx, {ids[key]: found for key, found in by_cause.items()})
    known = [(failure, ids[key]) for key, found in by_cause.items() for failure in found if failure.owner != "poison"]
    if known:
        codes, agencies = zip(*((failure.dossier_code, failure.agency_code) for failure, _ in known), strict=True)
        await tx.raw.execute(_HELD_UP, destination, list(codes), list(agencies), [id_ for _, id_ in known])


async def _count(tx: Transaction, by_incident: Mapping[Any, Sequence[Failure]]) -> None:
    places: dict[tuple[Any, str], list[Failure]] = {}
    for id_, found in by_incident.items():
        for failure in found:
            places.setdefault((id_, failure.agency_code), []).append(failure)
    await tx.raw.execute(
        _COUNT,
        [id_ for id_, _ in places],
        [agency for _, agency in places],
        [len(found) for found in places.values()],
        [found[0].dossier_code for found in places.values()],
        [found[0].reason for found in places.values()],
    )


async def close_what_is_over(tx: Transaction, destination: str) -> None:
    """Incidents whose dossiers have all passed since."""
    await tx.raw.execute(_OVER, destination)


async def owners(rx: Reading, destination: str) -> dict[str, int]:
    """Dossiers that are held up, by whose fault it is; of poison the events that nobody has dealt with."""
    rows = await rx.rows(
        "SELECT i.owner, count(*) AS dossiers FROM incident_dossier d JOIN incident i ON i.id = d.incident_id "
        "WHERE d.destination = :destination GROUP BY i.owner",
        destination=destination,
    )
    poison = await rx.value(
        "SELECT coalesce(sum(a.failures), 0)::bigint FROM incident i JOIN incident_agency a ON a.incident_id = i.id "
        "WHERE i.destination = :destination AND i.resolved_at IS NULL AND i.owner = 'poison'",
        destination=destination,
    )
    return {"partner": 0, "hub": 0, **{row["owner"]: row["dossiers"] for row in rows}, "poison": poison}


async def listed(
    rx: Reading, destination: str, state: str | None, owner: str | None, before: str | None, limit: int
) -> list[dict[str, Any]]:
    """The newest first; `before` is the id of the last one seen (ids are in the order of time)."""
    is_open = {"open": "AND i.resolved_at IS NULL", "resolved": "AND i.resolved_at IS NOT NULL"}.get(state or "", "")
    rows = await rx.rows(
        f"SELECT {_COLUMNS} WHERE i.destination = :destination {is_open} "
        "AND (CAST(:owner AS text) IS NULL OR i.owner = :owner) "
        "AND (CAST(:before AS uuid) IS NULL OR i.id < CAST(:before AS uuid)) ORDER BY i.id DESC LIMIT :limit",
        destination=destination,
        owner=owner,
        before=before,
        limit=limit,
    )
    return [_shown(row) for row in rows]


async def one(rx: Reading, id_: str) -> dict[str, Any] | None:
    """One incident, as far as the caller's agencies go."""
    row = await rx.row(f"SELECT {_COLUMNS} WHERE i.id = CAST(:id AS uuid)", id=id_)
    return None if row is None else _shown(row)


async def locked(tx: Transaction, id_: str) -> Mapping[str, Any] | None:
    """Its destination, agencies and whether it is over; nobody else resolves it meanwhile."""
    return await tx.row(
        "SELECT destination, agencies, resolved_at FROM incident WHERE id = CAST(:id AS uuid) FOR UPDATE", id=id_
    )


async def resolve(tx: Transaction, id_: str, resolved_by: str, resolution: str, replay_id: str | None) -> None:
    """Over, says a person; a failure of the same cause opens another one."""
    await tx.execute(
        "UPDATE incident SET resolved_at = clock_timestamp(), resolved_by = :by, resolution = :resolution, "
        "replay_id = CAST(:replay AS uuid) WHERE id = CAST(:id AS uuid)",
        id=id_,
        by=resolved_by,
        resolution=resolution,
        replay=replay_id,
    )


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(row)
    sample = {"code": found.pop("sample_code"), "reason": found.pop("sample_reason")}
    replay = found.pop("replay_id")
    return {**found, "id": str(row["id"]), "sample": sample, "replay": None if replay is None else str(replay)}
