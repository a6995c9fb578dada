"""Table correction: what was asked for, by whom, and what was decided."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared import strict_json
from shared.db import Reading, Transaction

_COLUMNS = "id, code, state, reason, wanted, asked_by, asked_at, decided_by, decided_at, version"
_ASK = f"""
INSERT INTO correction (id, code, agency_code, state, reason, wanted, asked_by)
VALUES ($1, $2, $3, 'asked', $4, $5::text::jsonb, $6::text::jsonb) RETURNING {_COLUMNS}
"""
_ONE = f"SELECT {_COLUMNS} FROM correction WHERE code = $1 AND id = $2"
_OF_DOSSIER = f"SELECT {_COLUMNS} FROM correction WHERE code = $1 ORDER BY id"
_DECIDE = """
UPDATE correction SET state = $2, decided_by = $3::text::jsonb, decided_at = clock_timestamp(), version = $4
WHERE id = $1
"""


async def ask(
    tx: Transaction,
    correction_id: str,
    code: str,
    agency_code: str,
    reason: str,
    wanted: Mapping[str, Any],
    asked_by: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Keep a request."""
    row: Mapping[str, Any] = await tx.raw.fetchrow(
        _ASK, correction_id, code, agency_code, reason, _json(wanted), _json(asked_by)
    )
    return row


async def one(rx: Reading, code: str, correction_id: str) -> Mapping[str, Any] | None:
    """This correction of this dossier."""
    row: Mapping[str, Any] | None = await rx.raw.fetchrow(_ONE, code, correction_id)
    return row


async def of_dossier(rx: Reading, code: str) -> Sequence[Mapping[str, Any]]:
    """All corrections of a dossier, oldest first."""
    rows: Sequence[Mapping[str, Any]] = await rx.raw.fetch(_OF_DOSSIER, code)
    return rows


async def decide(
    tx: Transaction, correction_id: str, state: str, decided_by: Mapping[str, Any], version: int | None
) -> None:
    """Approved (as transition `version`) or rejected."""
    await tx.raw.execute(_DECIDE, correction_id, state, _json(decided_by), version)


def _json(value: Mapping[str, Any]) -> str:
    return strict_json.dumps(value).decode()
