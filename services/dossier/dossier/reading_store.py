"""Reading dossiers: one, history, whole records for other services. Lists are in `list_store`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dossier.list_store import WHOLE
from shared.db import Reading, Transaction

Row = Mapping[str, Any]

_ONE = f"""
SELECT {WHOLE}, (SELECT jsonb_build_object('id', combined_id, 'dossiers', codes) FROM combined c
                  WHERE c.code = dossier.code) AS combined
FROM dossier WHERE code = $1
"""
_MANY = f"SELECT {WHOLE} FROM dossier WHERE code = ANY($1::text[]) ORDER BY code"
_HISTORY = """
SELECT code, version, action, from_status, to_status, at, recorded_at, reason, actor, client_id, exchange_id,
       due_before, due_after, detail
FROM transition WHERE code = ANY($1::text[]) ORDER BY code, version
"""
_PROGRESS = """
SELECT code, to_status, at, actor, reason, due_after,
  CASE WHEN action = 'correct' THEN detail->'correction'->'progress' END AS corrected
FROM transition
WHERE code = ANY($1::text[]) AND (from_status IS DISTINCT FROM to_status OR action = 'correct') ORDER BY code, version
"""
_RATE = """
INSERT INTO rating (dossier_code, agency_code, score, at, client_id)
SELECT code, agency_code, $2, $3, $4 FROM dossier WHERE code = $1 AND hub_covers(agency_code)
ON CONFLICT DO NOTHING RETURNING dossier_code
"""


async def one(rx: Reading, code: str) -> Row | None:
    """The whole row, if the caller's agencies cover it."""
    row: Row | None = await rx.raw.fetchrow(_ONE, code)
    return row


async def many(rx: Reading, codes: Sequence[str]) -> list[Row]:
    """Whole rows in code order; unknown codes are left out."""
    rows: list[Row] = await rx.raw.fetch(_MANY, list(codes))
    return rows


async def history(rx: Reading, codes: Sequence[str]) -> list[Row]:
    """All transitions of these dossiers, oldest first."""
    rows: list[Row] = await rx.raw.fetch(_HISTORY, list(codes))
    return rows


async def progress(rx: Reading, codes: Sequence[str]) -> list[Row]:
    """The transitions that changed the status; of a correction (`corrected`) the rows it made anew."""
    rows: list[Row] = await rx.raw.fetch(_PROGRESS, list(codes))
    return rows


async def rate(tx: Transaction, code: str, score: str, at: datetime, client_id: str) -> bool:
    """Store the rating; False when there is one already (or no such dossier)."""
    return await tx.raw.fetchval(_RATE, code, score, at, client_id) is not None


async def exists(rx: Reading, code: str) -> bool:
    """Whether there is such a dossier of the caller's agencies (not only taken in by them for another)."""
    return await rx.raw.fetchval("SELECT 1 FROM dossier WHERE code = $1 AND hub_covers(agency_code)", code) is not None
