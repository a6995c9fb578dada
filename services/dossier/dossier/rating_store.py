"""Table rating, read again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.db import Reading

Row = Mapping[str, Any]

_WITHIN = """
  ($1::text IS NULL OR agency_code = $1 OR starts_with(agency_code, $1 || '.'))
  AND ($2::timestamptz IS NULL OR at >= $2) AND ($3::timestamptz IS NULL OR at < $3)
"""
_PAGE = f"""
SELECT dossier_code, agency_code, score, at, recorded_at FROM rating
WHERE {_WITHIN} AND dossier_code > $4 ORDER BY dossier_code LIMIT $5
"""
_COUNTS = f"""
SELECT agency_code, count(*) AS ratings, count(*) FILTER (WHERE score = 'very_satisfied') AS very_satisfied,
  count(*) FILTER (WHERE score = 'satisfied') AS satisfied,
  count(*) FILTER (WHERE score = 'dissatisfied') AS dissatisfied
FROM rating WHERE {_WITHIN} GROUP BY agency_code ORDER BY agency_code
"""


async def page(
    rx: Reading, agency: str | None, since: datetime | None, before: datetime | None, after: str, limit: int
) -> Sequence[Row]:
    """Ratings in order of their dossiers' codes."""
    rows: Sequence[Row] = await rx.raw.fetch(_PAGE, agency, since, before, after, limit)
    return rows


async def counts(rx: Reading, agency: str | None, since: datetime | None, before: datetime | None) -> Sequence[Row]:
    """How many of each kind per agency."""
    rows: Sequence[Row] = await rx.raw.fetch(_COUNTS, agency, since, before)
    return rows
