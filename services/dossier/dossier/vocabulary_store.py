"""Table vocabulary: versions are added, never changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from shared import strict_json
from shared.db import Reading, Transaction

Row = Mapping[str, Any]
_COLUMNS = "source, version, name, valid_from, valid_to, types, declared_by, declared_at"
_NEWEST = f"""
SELECT {_COLUMNS} FROM vocabulary v WHERE source > $1
  AND version = (SELECT max(version) FROM vocabulary n WHERE n.source = v.source) ORDER BY source LIMIT $2
"""
_OF = f"SELECT {_COLUMNS} FROM vocabulary WHERE source = ANY($1::text[]) ORDER BY source, version"
# Two who declare at once: the second waits for the first and counts on.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('vocabulary ' || $1, 0))"
_ADD = f"""
INSERT INTO vocabulary (source, version, name, valid_from, valid_to, types, declared_by)
SELECT $1, 1 + coalesce(max(version), 0), $2, $3, $4, $5::jsonb, $6 FROM vocabulary WHERE source = $1
RETURNING {_COLUMNS}
"""


async def of_sources(rx: Reading, sources: Sequence[str]) -> list[Row]:
    """Every version of these sources, the oldest first."""
    rows: list[Row] = await rx.raw.fetch(_OF, list(sources))
    return rows


async def newest(rx: Reading, after: str, limit: int) -> list[Row]:
    """The newest version of each source."""
    rows: list[Row] = await rx.raw.fetch(_NEWEST, after, limit)
    return rows


async def declare(
    tx: Transaction, source: str, name: str, valid_from: datetime, valid_to: datetime | None,
    types: Mapping[str, Any], declared_by: str,
) -> Row:  # fmt: skip
    """The new version, or the newest when it says the same."""
    await tx.raw.execute(_LOCK, source)
    known = await of_sources(tx, [source])
    if known:
        last = known[-1]
        if (last["name"], last["valid_from"], last["valid_to"], last["types"]) == (name, valid_from, valid_to, types):
            return last
    row: Row = await tx.raw.fetchrow(
        _ADD, source, name, valid_from, valid_to, strict_json.dumps(types).decode(), declared_by
    )
    return row
