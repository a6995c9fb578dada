"""Tables and queries of verifications, look-ups, evidence and quota."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from citizen_db_adapter.citizen import Finding, Outcome
from shared.db import Reading, Transaction


@dataclass(frozen=True, slots=True)
class Question:
    """A verification to carry out. `attempt` fences: whoever saves with an older number has lost the lease."""

    id: str
    dossier_code: str
    agency_code: str
    procedure_code: str
    is_applicant: bool
    attempt: int
    subject: bytes | None
    key_id: str | None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The answer to a question, ready to be written; one from the cache has no evidence of its own."""

    question: Question
    finding: Finding
    checked_at: datetime
    subject_digest: bytes
    source: str = "cache"
    key_id: str = ""
    sealed: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Intent:
    """A dossier whose applicant is to be verified."""

    id: str
    dossier_code: str
    agency_code: str
    procedure_code: str


_INTENTS = """
INSERT INTO verification (id, dossier_code, agency_code, procedure_code, origin, is_applicant)
SELECT id, dossier_code, agency_code, procedure_code, 'dossier', true
FROM unnest(CAST(:ids AS text[]), CAST(:dossiers AS text[]), CAST(:agencies AS text[]), CAST(:procedures AS text[]))
  AS intent (id, dossier_code, agency_code, procedure_code)
ON CONFLICT (dossier_code) WHERE origin = 'dossier' DO NOTHING
"""

_REQUEST = """
INSERT INTO verification (id, dossier_code, agency_code, procedure_code, origin, is_applicant, purpose, legal_basis,
  officer, client_id, subject, key_id, subject_digest, attempts, next_attempt_at)
VALUES (:id, :dossier_code, :agency_code, :procedure_code, 'request', :is_applicant, :purpose, :legal_basis,
  :officer, :client_id, :subject, :key_id, :subject_digest, 1,
  clock_timestamp() + make_interval(secs => :lease_seconds))
"""

_DUE = """
SELECT id FROM verification WHERE outcome = 'pending' AND next_attempt_at <= statement_timestamp()
ORDER BY next_attempt_at LIMIT :most FOR UPDATE SKIP LOCKED
"""

_LEASE = """
UPDATE verification
SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + make_interval(secs => :lease_seconds)
WHERE id = ANY(:ids)
RETURNING id, dossier_code, agency_code, procedure_code, is_applicant, attempts AS attempt, subject, key_id
"""

_CONCLUDE = """
UPDATE verification v SET outcome = c.outcome, source = c.source, checked_at = c.checked_at,
  mismatched_fields = string_to_array(c.fields, ','), subject_digest = c.digest, subject = NULL, last_error = NULL
FROM unnest(CAST(:ids AS text[]), CAST(:attempts AS int[]), CAST(:outcomes AS text[]), CAST(:fields AS text[]),
  CAST(:sources AS text[]), CAST(:checked AS timestamptz[]), CAST(:digests AS bytea[]))
  AS c (id, attempt, outcome, fields, source, checked_at, digest)
WHERE v.id = c.id AND v.attempts = c.attempt AND v.outcome = 'pending'
RETURNING v.id
"""

_EVIDENCE = """
INSERT INTO evidence (belongs_to, agency_code, key_id, sealed)
SELECT * FROM unnest(
  CAST(:belongs AS text[]), CAST(:agencies AS text[]), CAST(:keys AS text[]), CAST(:sealed AS bytea[]))
"""

_POSTPONE = """
UPDATE verification v SET next_attempt_at = clock_timestamp() + make_interval(secs => p.seconds), last_error = p.error
FROM unnest(CAST(:ids AS text[]), CAST(:attempts AS int[]), CAST(:seconds AS float8[]), CAST(:errors AS text[]))
  AS p (id, attempt, seconds, error)
WHERE v.id = p.id AND v.attempts = p.attempt AND v.outcome = 'pending'
"""

# Per agency: what one agency learnt is not an answer to another's question.
_CACHED = """
SELECT DISTINCT ON (agency_code, subject_digest) agency_code, subject_digest, outcome, mismatched_fields, checked_at
FROM verification
WHERE subject_digest = ANY(CAST(:digests AS bytea[])) AND source = 'register' AND outcome IN ('match', 'mismatch')
  AND checked_at > statement_timestamp() - make_interval(secs => :valid_seconds)
ORDER BY agency_code, subject_digest, checked_at DESC
"""

_SILENT = """
UPDATE verification SET announced_at = clock_timestamp() WHERE id IN (
  SELECT id FROM verification
  WHERE outcome = 'pending' AND announced_at IS NULL AND is_applicant
    AND recorded_at < statement_timestamp() - make_interval(secs => :seconds)
  ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED)
RETURNING id, dossier_code, recorded_at
"""

_VERIFICATION = """
SELECT id AS verification_id, dossier_code, agency_code, outcome, mismatched_fields, checked_at, source, purpose,
  legal_basis, officer, recorded_at
FROM verification WHERE id = :id
"""


async def insert_intents(tx: Transaction, intents: Sequence[Intent]) -> int:
    """One verification per dossier; those that have one are left alone. The number of new ones."""
    return await tx.execute(
        _INTENTS,
        ids=[i.id for i in intents],
        dossiers=[i.dossier_code for i in intents],
        agencies=[i.agency_code for i in intents],
        procedures=[i.procedure_code for i in intents],
    )


async def insert_request(tx: Transaction, **columns: Any) -> None:
    """A verification asked for over REST, leased to the route that will ask at once."""
    await tx.execute(_REQUEST, **columns)


async def lease(tx: Transaction, *, most: int, lease_seconds: float, calls_per_minute: int) -> list[Question]:
    """Take due verifications for `lease_seconds`, as many as the quota allows; other workers pass over them."""
    due = [row["id"] for row in await tx.rows(_DUE, most=most)]
    granted = await draw(tx, len(due), calls_per_minute) if due else 0
    if not granted:
        return []
    rows = await tx.rows(_LEASE, ids=due[:granted], lease_seconds=lease_seconds)
    return [Question(**row) for row in rows]


async def draw(tx: Transaction, wanted: int, calls_per_minute: int) -> int:
    """How many of `wanted` register calls this minute's quota still allows; they are counted at once."""
    await tx.execute("INSERT INTO quota VALUES (date_trunc('minute', clock_timestamp()), 0) ON CONFLICT DO NOTHING")
    newest = await tx.row("SELECT minute, calls FROM quota ORDER BY minute DESC LIMIT 1 FOR UPDATE")
    assert newest is not None
    granted = max(0, min(wanted, calls_per_minute - int(newest["calls"])))
    await tx.execute("UPDATE quota SET calls = calls + :n WHERE minute = :minute", n=granted, minute=newest["minute"])
    return granted


async def conclude(tx: Transaction, conclusions: Sequence[Conclusion]) -> set[str]:
    """Write outcomes and evidence; the ids that were still ours to conclude."""
    rows = await tx.rows(
        _CONCLUDE,
        ids=[c.question.id for c in conclusions],
        attempts=[c.question.attempt for c in conclusions],
        outcomes=[c.finding.outcome.value for c in conclusions],
        fields=[",".join(c.finding.mismatched_fields) for c in conclusions],
        sources=[c.source for c in conclusions],
        checked=[c.checked_at for c in conclusions],
        digests=[c.subject_digest for c in conclusions],
    )
    # Evidence of a lost lease is kept as well: the register was asked.
    await insert_evidence(
        tx, [(c.question.id, c.question.agency_code, c.key_id, sealed) for c in conclusions for sealed in c.sealed]
    )
    return {row["id"] for row in rows}


async def insert_evidence(tx: Transaction, sealed: Sequence[tuple[str, str, str, bytes]]) -> None:
    """Sealed exchanges as (id they belong to, agency, key id, sealed text)."""
    if sealed:
        await tx.execute(
            _EVIDENCE,
            belongs=[s[0] for s in sealed],
            agencies=[s[1] for s in sealed],
            keys=[s[2] for s in sealed],
            sealed=[s[3] for s in sealed],
        )


async def postpone(tx: Transaction, delays: Sequence[tuple[Question, float, str]]) -> None:
    """Put questions back for so many seconds, with the reason."""
    await tx.execute(
        _POSTPONE,
        ids=[q.id for q, _, _ in delays],
        attempts=[q.attempt for q, _, _ in delays],
        seconds=[seconds for _, seconds, _ in delays],
        errors=[error for _, _, error in delays],
    )


async def cached(
    rx: Reading, digests: Sequence[bytes], valid_seconds: float
) -> dict[tuple[str, bytes], tuple[Finding, datetime]]:
    """What the register said lately, by (agency, digest of the person)."""
    rows = await rx.rows(_CACHED, digests=list(digests), valid_seconds=float(valid_seconds))
    return {
        (row["agency_code"], row["subject_digest"]): (
            Finding(Outcome(row["outcome"]), tuple(row["mismatched_fields"])),
            row["checked_at"],
        )
        for row in rows
    }


async def mark_announced(tx: Transaction, *, after_seconds: float, most: int) -> Sequence[Mapping[str, Any]]:
    """Verifications that have waited long and were not announced as pending yet; marks them."""
    return await tx.rows(_SILENT, seconds=float(after_seconds), most=most)


async def verification(rx: Reading, verification_id: str) -> Mapping[str, Any] | None:
    """One verification as the API shows it."""
    return await rx.row(_VERIFICATION, id=verification_id)


async def insert_lookup(tx: Transaction, **columns: Any) -> None:
    """A look-up that is about to be made: written before the register is asked."""
    await tx.execute(
        """INSERT INTO lookup (id, dossier_code, agency_code, purpose, legal_basis, officer, client_id,
          requested_fields)
        VALUES (:id, :dossier_code, :agency_code, :purpose, :legal_basis, :officer, :client_id,
          :requested_fields)""",
        **columns,
    )


async def answer_lookup(tx: Transaction, lookup_id: str, outcome: str, supplied_fields: Sequence[str]) -> None:
    """What a look-up found and which fields were supplied."""
    await tx.execute(
        """UPDATE lookup SET outcome = :outcome, supplied_fields = :fields, answered_at = clock_timestamp()
        WHERE id = :id""",
        id=lookup_id,
        outcome=outcome,
        fields=list(supplied_fields),
    )
