"""Dossiers by the agency whose desk took their papers in for another one; and what is counted of dossiers' handling."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.db import Reading

Row = Mapping[str, Any]

# What the caller's agencies took in: those of the receiver's policy, not all that the caller may read.
_PAGE = """
SELECT code, receiver_code, agency_code, procedure_code, status, submitted_at, received_at,
  (detail->>'handed_over_at')::timestamptz AS handed_over_at
FROM dossier
WHERE receiver_code IS NOT NULL AND hub_covers(receiver_code) AND code > $3
  AND ($1::text IS NULL OR receiver_code = $1 OR starts_with(receiver_code, $1 || '.'))
  AND ($2::boolean IS NULL OR (detail ? 'handed_over_at') = $2)
ORDER BY code LIMIT $4
"""
_COUNTS = """
SELECT agency_code, count(*) AS received,
  count(*) FILTER (WHERE receiver_code IS NOT NULL) AS received_by_another,
  count(*) FILTER (WHERE has_digitised) AS digitised,
  count(*) FILTER (WHERE attachments @? '$[*] ? (@.reused == "component" || @.reused == "result")') AS reused,
  coalesce(sum(jsonb_array_length(jsonb_path_query_array(
    attachments, '$[*] ? (@.reused == "component" || @.reused == "result")'))), 0)::int AS reused_components,
  count(*) FILTER (WHERE has_electronic_result) AS electronic_results,
  coalesce(sum(jsonb_array_length(detail->'supplements')), 0)::int AS supplement_requests,
  count(*) FILTER (WHERE jsonb_array_length(detail->'supplements') > 1) AS repeatedly_supplemented,
  coalesce(sum(jsonb_array_length(jsonb_path_query_array(
    detail, '$.supplements[*] ? (@.legal_exception != null)'))), 0)::int AS legal_exceptions
FROM dossier
WHERE received_at >= $2 AND received_at < $3 AND hub_covers(agency_code)
  AND ($1::text IS NULL OR agency_code = $1 OR starts_with(agency_code, $1 || '.'))
GROUP BY agency_code ORDER BY agency_code
"""


async def page(rx: Reading, receiver: str | None, handed_over: bool | None, after: str, limit: int) -> Sequence[Row]:
    """In order of their codes; `handed_over` False: what still lies at the desk."""
    rows: Sequence[Row] = await rx.raw.fetch(_PAGE, receiver, handed_over, after, limit)
    return rows


async def counts(rx: Reading, agency: str | None, since: datetime, before: datetime) -> Sequence[Row]:
    """Per competent agency, of the dossiers received in the period."""
    rows: Sequence[Row] = await rx.raw.fetch(_COUNTS, agency, since, before)
    return rows
