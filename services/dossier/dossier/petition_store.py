"""Tables petition and petition_step: how petitions stand, and every step with who took it."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from dossier.petition import Petition
from shared import strict_json
from shared.db import Reading, Transaction

Row = Mapping[str, Any]

STATE = ", ".join(field.name for field in fields(Petition))
_CHANGED = [field.name for field in fields(Petition) if field.name not in ("id", "agency_code", "dossier_code")]
_WHOLE = f"{STATE}, subject, external_reference, answer"
_LOCK = f"SELECT {STATE} FROM petition WHERE id = $1 FOR UPDATE"
_ONE = f"SELECT {_WHOLE} FROM petition WHERE id = $1"
_INSERT = f"""
INSERT INTO petition ({STATE}, subject, external_reference, client_id)
VALUES ({", ".join(f"${number}" for number in range(1, len(fields(Petition)) + 4))})
"""
_UPDATE = f"""
UPDATE petition SET {", ".join(f"{name} = ${number}" for number, name in enumerate(_CHANGED, 2))},
  answer = coalesce(${len(_CHANGED) + 2}, answer) WHERE id = $1
"""
_STEP = """
INSERT INTO petition_step (petition_id, version, agency_code, action, at, reason, actor, client_id, exchange_id)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9)
"""
_STEPS = """
SELECT version, action, at, recorded_at, reason, actor FROM petition_step WHERE petition_id = $1 ORDER BY version
"""
_WITHIN = """
  ($1::text IS NULL OR agency_code = $1 OR starts_with(agency_code, $1 || '.'))
  AND ($2::timestamptz IS NULL OR received_at >= $2) AND ($3::timestamptz IS NULL OR received_at < $3)
"""
_PAGE = f"""
SELECT {_WHOLE} FROM petition WHERE {_WITHIN}
  AND ($4::text IS NULL OR state = $4) AND ($5::text IS NULL OR dossier_code = $5)
  AND ($6::boolean IS NULL OR (was_late OR coalesce(late_at < now(), false)) = $6)
  AND id > $7 ORDER BY id LIMIT $8
"""
_COUNTS = f"""
SELECT agency_code, count(*) AS petitions,
  count(*) FILTER (WHERE was_late OR coalesce(late_at < now(), false)) AS late,
  count(*) FILTER (WHERE state IN ('refused', 'published')) AS closed,
  count(*) FILTER (WHERE state IN ('refused', 'published') AND NOT was_late) AS closed_on_time,
  count(*) FILTER (WHERE score IS NOT NULL) AS rated,
  count(*) FILTER (WHERE score IN ('very_satisfied', 'satisfied')) AS satisfied,
  count(DISTINCT dossier_code) AS dossiers
FROM petition WHERE {_WITHIN} GROUP BY agency_code ORDER BY agency_code
"""


async def insert(
    tx: Transaction, it: Petition, *, subject: str, external_reference: str | None, client_id: str
) -> None:
    """A new petition. Raises asyncpg's UniqueViolationError when the client has filed the reference before."""
    values = [getattr(it, field.name) for field in fields(it)]
    await tx.raw.execute(_INSERT, *values, subject, external_reference, client_id)


async def lock(tx: Transaction, petition_id: str) -> Petition | None:
    """The petition, locked; None when the transaction does not see one."""
    row = await tx.raw.fetchrow(_LOCK, petition_id)
    return None if row is None else a_petition(row)


async def save(tx: Transaction, it: Petition, answer: str | None) -> None:
    """How it stands after a step."""
    await tx.raw.execute(_UPDATE, it.id, *(getattr(it, name) for name in _CHANGED), answer)


async def add_step(
    tx: Transaction, it: Petition, action: str, *, reason: str | None, actor: Mapping[str, Any] | None, client_id: str,
    exchange_id: str | None,
) -> None:  # fmt: skip
    """The step that led there."""
    said = None if actor is None else strict_json.dumps(actor).decode()
    await tx.raw.execute(
        _STEP, it.id, it.version, it.agency_code, action, it.last_at, reason, said, client_id, exchange_id
    )


async def one(rx: Reading, petition_id: str) -> Row | None:
    """The whole row."""
    row: Row | None = await rx.raw.fetchrow(_ONE, petition_id)
    return row


async def steps(rx: Reading, petition_id: str) -> Sequence[Row]:
    """Its history, oldest first."""
    rows: Sequence[Row] = await rx.raw.fetch(_STEPS, petition_id)
    return rows


async def page(
    rx: Reading, agency: str | None, since: datetime | None, before: datetime | None, state: str | None,
    dossier_code: str | None, is_late: bool | None, after: str, limit: int,
) -> Sequence[Row]:  # fmt: skip
    """Petitions in the order they came."""
    rows: Sequence[Row] = await rx.raw.fetch(_PAGE, agency, since, before, state, dossier_code, is_late, after, limit)
    return rows


async def counts(rx: Reading, agency: str | None, since: datetime | None, before: datetime | None) -> Sequence[Row]:
    """Per agency, of those received in the time: what QĐ 766 group 5 is computed from."""
    rows: Sequence[Row] = await rx.raw.fetch(_COUNTS, agency, since, before)
    return rows


def a_petition(row: Row) -> Petition:
    """The rules' record."""
    return Petition(**{field.name: row[field.name] for field in fields(Petition)})
