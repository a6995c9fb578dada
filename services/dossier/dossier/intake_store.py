"""Storing dossiers at their intake: one statement writes one of them or five hundred.

Dossier, first transition, outbox row and the first answer under the idempotency key are four inserts of one
statement. A key or an external reference that exists already makes the whole statement fail (unique index, also
against a concurrent transaction, which it waits for); the caller then looks up what was there.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from dossier.record import Dossier
from shared.db import Reading
from shared.direct import Direct

_COLUMNS: tuple[tuple[str, str, Callable[["Line"], Any]], ...] = (
    ("code", "text", lambda it: it.dossier.code),
    ("agency_code", "text", lambda it: it.dossier.agency_code),
    ("procedure_code", "text", lambda it: it.dossier.procedure_code),
    ("procedure_version", "int", lambda it: it.dossier.procedure_version),
    ("channel", "text", lambda it: it.dossier.channel),
    ("client_id", "text", lambda it: it.client_id),
    ("external_reference", "text", lambda it: it.external_reference),
    ("submitted_at", "timestamptz", lambda it: it.dossier.submitted_at),
    ("recorded_at", "timestamptz", lambda it: it.recorded_at),
    ("identity_outcome", "text", lambda it: it.dossier.identity_outcome),
    ("has_digitised", "boolean", lambda it: it.dossier.has_digitised),
    ("person_hash", "bytea", lambda it: it.person_hash),
    ("applicant", "text", lambda it: it.applicant),
    ("abstract", "text", lambda it: it.abstract),
    ("form", "text", lambda it: it.form),
    ("attachments", "text", lambda it: it.attachments),
    ("return_method", "text", lambda it: it.return_method),
    ("exchange_id", "text", lambda it: it.exchange_id),
    ("event_id", "text", lambda it: it.event_id),
    ("event", "text", lambda it: it.event),
    ("key", "text", lambda it: it.key),
    ("body_sha256", "text", lambda it: it.body_sha256),
    ("answer", "text", lambda it: it.answer),
    ("headers", "text", lambda it: it.headers),
)
_ARRAYS = ", ".join(f"${i}::{kind}[]" for i, (_, kind, _) in enumerate(_COLUMNS, 1))
_NAMES = ", ".join(name for name, _, _ in _COLUMNS)
_INSERT = f"""
WITH line AS (SELECT * FROM unnest({_ARRAYS}) AS line({_NAMES})),
dossiers AS (
  INSERT INTO dossier (code, agency_code, procedure_code, procedure_version, channel, client_id,
    external_reference, status, version, transition_version, last_at, submitted_at, recorded_at,
    identity_outcome, has_digitised, person_hash, applicant, abstract, form, attachments, return_method)
  SELECT code, agency_code, procedure_code, procedure_version, channel, client_id, external_reference, 1, 1, 1,
    submitted_at, submitted_at, recorded_at, identity_outcome, has_digitised, person_hash, applicant::jsonb,
    abstract, form::jsonb, attachments::jsonb, return_method FROM line),
transitions AS (
  INSERT INTO transition (code, version, agency_code, action, to_status, at, recorded_at, client_id, exchange_id)
  SELECT code, 1, agency_code, 'submit', 1, submitted_at, recorded_at, client_id, exchange_id FROM line),
answers AS (
  INSERT INTO idempotency (client_id, key, body_sha256, status, answer, headers)
  SELECT client_id, key, body_sha256, 201, answer, headers::jsonb FROM line WHERE key IS NOT NULL)
INSERT INTO outbox (event_id, source, topic, key, value)
SELECT event_id, '/lgsp/dossier', 'lgsp.dossier', code, event FROM line
"""  # noqa: S608 - names and types from the table above
_REFERENCES = """
SELECT external_reference, code FROM dossier WHERE client_id = $1 AND external_reference = ANY($2::text[])
"""


class Line(NamedTuple):
    """What one dossier writes; JSON is text already."""

    dossier: Dossier
    client_id: str
    exchange_id: str | None
    external_reference: str | None
    recorded_at: datetime
    person_hash: bytes | None
    applicant: str
    abstract: str
    form: str
    attachments: str
    return_method: str
    event_id: str
    event: str
    key: str | None
    body_sha256: str | None
    answer: str
    headers: str


async def insert(direct: Direct, agencies: Iterable[str], lines: Sequence[Line]) -> None:
    """Write them all, durably. Raises asyncpg's UniqueViolationError when a key or a reference is taken."""
    columns = ([value(line) for line in lines] for _, _, value in _COLUMNS)
    await direct.execute(agencies, _INSERT, *columns, before_commit="intake.in_transaction")


async def codes_by_reference(rx: Reading, client_id: str, references: Sequence[str]) -> dict[str, str]:
    """The dossiers this client has filed under these references before."""
    rows = await rx.raw.fetch(_REFERENCES, client_id, list(references))
    return {row["external_reference"]: row["code"] for row in rows}
