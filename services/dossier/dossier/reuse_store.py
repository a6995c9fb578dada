"""A person's documents in all dossiers, by address and digest: results, and components that an officer certified."""

from collections.abc import Mapping, Sequence
from typing import Any

from dossier.reading_store import OPEN_STATUSES
from shared.db import Reading

Row = Mapping[str, Any]

_HANDLED = f"""
SELECT code FROM dossier WHERE person_hash = ANY($1::bytea[]) AND status IN {OPEN_STATUSES} ORDER BY code DESC LIMIT 1
"""  # noqa: S608 - fixed texts
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
_HELD = "SELECT person_document($1, $2, $3)"
_HELD_BY_APPLICANT = "SELECT person_document(person_hash, $2, $3) FROM dossier WHERE code = $1"


async def handled(rx: Reading, hashes: Sequence[bytes]) -> str | None:
    """An open dossier of this person that the reading's agencies handle, or took in for another."""
    code: str | None = await rx.raw.fetchval(_HANDLED, list(hashes))
    return code


async def documents(rx: Reading, hashes: Sequence[bytes], place: int, limit: int) -> Sequence[Row]:
    """From `place` on, the newest first, each digest once."""
    rows: Sequence[Row] = await rx.raw.fetch(_DOCUMENTS, list(hashes), place, limit)
    return rows


async def held(rx: Reading, person: bytes | str, source: str, digest: str) -> str | None:
    """What a person (a hash, or the code of a dossier of theirs) has in dossier `source`: `result` or `component`."""
    sql = _HELD if isinstance(person, bytes) else _HELD_BY_APPLICANT
    kind: str | None = await rx.raw.fetchval(sql, person, source, digest)
    return kind
