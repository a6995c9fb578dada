"""A person's documents in all dossiers, by address and digest: results, and components that an officer certified."""

from collections.abc import Mapping, Sequence
from typing import Any

from dossier.list_store import OPEN
from shared.db import Reading

Row = Mapping[str, Any]

# Received, and the identity confirmed or a reason given why not: else anybody opened a person's papers by filing in
# that person's name. By the person's index first: sorting by code would walk the primary key.
_HANDLED = f"""
WITH theirs AS MATERIALIZED (
  SELECT code, status, received_at, identity_outcome, detail FROM dossier WHERE person_hash = ANY($1::bytea[]))
SELECT max(code) FROM theirs WHERE status IN {OPEN} AND received_at IS NOT NULL
  AND (identity_outcome IN ('match', 'not_required') OR detail->>'identity_reason' <> '')
"""
# The conditions are those of `person_document` (migration 0013). What stands in several dossiers is shown once.
_DOCUMENTS = """
WITH theirs AS MATERIALIZED (
  SELECT code, agency_code, procedure_code, status, received_at, detail, attachments
  FROM dossier WHERE person_hash = ANY($1::bytea[])),
found AS (
  SELECT 'result' AS kind, r->>'result_code' AS result_code, NULL AS component_code, r, t.*,
    (r->>'at')::timestamptz AS at
  FROM theirs t, jsonb_array_elements(t.detail->'results') r
  UNION ALL
  SELECT 'component', NULL, a->>'component_code', a, t.*, t.received_at
  FROM theirs t, jsonb_array_elements(t.attachments) a
  WHERE t.received_at IS NOT NULL AND t.status NOT IN (3, 7) AND (a->>'certified')::boolean),
newest AS (
  SELECT DISTINCT ON (lower(r->>'sha256')) kind, result_code, component_code, r->>'name' AS name,
    r->>'number' AS number, r->>'url' AS url, lower(r->>'sha256') AS sha256, code AS dossier_code, agency_code,
    procedure_code, at
  FROM found WHERE r->>'url' IS NOT NULL AND r->>'sha256' IS NOT NULL
  ORDER BY lower(r->>'sha256'), at DESC, code)
SELECT * FROM newest ORDER BY at DESC, sha256 OFFSET $2 LIMIT $3
"""
_HELD = "SELECT person_document($1::bytea[], $2, $3)"
_APPLICANT = "SELECT code, applicant, person_sealed FROM dossier WHERE code = $1"


async def handled(rx: Reading, hashes: Sequence[bytes]) -> str | None:
    """An open dossier of this person, received and of confirmed identity, that the reading's agencies handle, or took
    in for another.
    """
    code: str | None = await rx.raw.fetchval(_HANDLED, list(hashes))
    return code


async def documents(rx: Reading, hashes: Sequence[bytes], place: int, limit: int) -> Sequence[Row]:
    """From `place` on, the newest first, each digest once."""
    rows: Sequence[Row] = await rx.raw.fetch(_DOCUMENTS, list(hashes), place, limit)
    return rows


async def held(rx: Reading, hashes: Sequence[bytes], source: str, digest: str) -> str | None:
    """What the person of these hashes has in dossier `source`: `result` or `component`."""
    kind: str | None = await rx.raw.fetchval(_HELD, list(hashes), source, digest)
    return kind


async def applicant(rx: Reading, code: str) -> Row | None:
    """Whose dossier this is, the number sealed."""
    row: Row | None = await rx.raw.fetchrow(_APPLICANT, code)
    return row
