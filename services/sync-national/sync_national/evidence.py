"""Evidence of every visit: what was sent and answered, per dossier, with nothing in it that names the citizen.

What was sent is kept once per batch and agency, compressed (a hundred similar records shrink tenfold); a dossier's
attempt points at its place in it. So a record costs about 200 bytes per visit instead of 2,000, and the row-level
security of the agency holds for the content too. Both tables are made of days: every attempt is kept for 35 of them.
"""

import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from shared.db import Database, Reading, Transaction

_LEVEL = 1
_INSERT_CONTENT = """
INSERT INTO attempt_content (agency_code, at, content)
SELECT agency, $1, content FROM unnest($2::text[], $3::bytea[]) AS new (agency, content)
RETURNING agency_code, id
"""
_INSERT = """
INSERT INTO attempt (destination, dossier_code, number, agency_code, at, version, progress_number, outcome, reason,
                     exchanges, content_id, position)
SELECT $1, code, number, agency, $2, version, progress, outcome, reason, exchanges, content, position
FROM unnest($3::text[], $4::int[], $5::text[], $6::int[], $7::int[], $8::text[], $9::text[], $10::jsonb[],
            $11::bigint[], $12::int[])
  AS new (code, number, agency, version, progress, outcome, reason, exchanges, content, position)
ON CONFLICT DO NOTHING
"""
_OF_DOSSIER = """
SELECT a.number, a.at, a.version, a.progress_number, a.outcome, a.reason, a.exchanges, a.position, c.content
FROM attempt a LEFT JOIN attempt_content c ON c.id = a.content_id AND c.at = a.at
WHERE a.destination = :destination AND a.dossier_code = :code AND (CAST(:before AS int) IS NULL OR a.number < :before)
ORDER BY a.number DESC LIMIT :limit
"""


class Attempt(NamedTuple):
    """One visit of one dossier."""

    dossier_code: str
    agency_code: str
    number: int
    version: int
    progress_number: int
    outcome: str
    reason: str | None
    exchanges: str
    """JSON array of the calls this dossier was part of."""
    request: Mapping[str, Any]
    """`{"record": …, "progress": […], "digest": …}`: masked, and the digest of the record as it was sent."""


async def keep(tx: Transaction, destination: str, at: datetime, attempts: Sequence[Attempt]) -> None:
    """Write the attempts of one batch."""
    if not attempts:
        return
    places: dict[str, list[Mapping[str, Any]]] = {}
    positions = []
    for attempt in attempts:
        content = places.setdefault(attempt.agency_code, [])
        positions.append(len(content))
        content.append(attempt.request)
    rows = await tx.raw.fetch(
        _INSERT_CONTENT,
        at,
        list(places),
        [zlib.compress(orjson.dumps(content), _LEVEL) for content in places.values()],
    )
    ids = {row["agency_code"]: row["id"] for row in rows}
    await tx.raw.execute(
        _INSERT,
        destination,
        at,
        [attempt.dossier_code for attempt in attempts],
        [attempt.number for attempt in attempts],
        [attempt.agency_code for attempt in attempts],
        [attempt.version for attempt in attempts],
        [attempt.progress_number for attempt in attempts],
        [attempt.outcome for attempt in attempts],
        [attempt.reason for attempt in attempts],
        [attempt.exchanges for attempt in attempts],
        [ids[attempt.agency_code] for attempt in attempts],
        positions,
    )


async def forget(database: Database, keep_days: int) -> None:
    """Days past their time (35) go with their tables, and those to come get theirs.

    Each parent in a transaction of its own: a batch being saved, and whoever reads it, needs both.
    """
    for kept in ("attempt", "attempt_content"):
        async with database.transaction() as tx:
            await tx.raw.execute("SELECT attempt_prepare_days($1, $2)", kept, keep_days)
    async with database.transaction() as tx:
        await tx.raw.execute("DELETE FROM delivery WHERE at < now() - make_interval(days => $1)", keep_days)


async def attempts_of(
    rx: Reading, destination: str, code: str, limit: int, before: int | None = None
) -> list[dict[str, Any]]:
    """The last attempts of a dossier (before this number), newest first: what was sent and what was answered."""
    found = []
    for row in await rx.rows(_OF_DOSSIER, destination=destination, code=code, limit=limit, before=before):
        content = orjson.loads(zlib.decompress(row["content"])) if row["content"] else []
        place = row["position"]
        found.append(
            {
                "number": row["number"],
                "at": row["at"],
                "version": row["version"],
                "progress_number": row["progress_number"],
                "outcome": row["outcome"],
                "reason": row["reason"],
                "exchanges": row["exchanges"],
                "request": content[place] if place < len(content) else None,
            }
        )
    return found
