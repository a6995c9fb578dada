"""Use cases of identity. Functions that take a transaction run in it; `ask` and `look_up` run outside of any.

The order is always: write the question down, commit, ask the register, write the answer. Whoever dies in between
leaves a leased question that a worker takes up again; asking is read-only, so asking twice does no harm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from citizen_db_adapter import store
from citizen_db_adapter.citizen import (
    Finding,
    Outcome,
    Person,
    Record,
    can_be_asked,
    judge,
)
from citizen_db_adapter.evidence import Sealer
from citizen_db_adapter.register import Exchange, Register, RegisterRefused
from citizen_db_adapter.store import Conclusion, Intent, Question
from shared import clock, outbox, strict_json, vietnamese
from shared.db import Reading, Transaction
from shared.events import Event, new_event, new_id

TOPIC = "lgsp.identity"
SOURCE = "/lgsp/citizen-db-adapter"
# Versions of a verification, `sequence` of its events: it is announced as waiting at most once, then it has an outcome.
_ANNOUNCED, _CONCLUDED = 1, 2
# A request that is asked at once holds its question this long; afterwards the worker takes it.
REQUEST_LEASE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What asking the register gave, with every message that was exchanged."""

    finding: Finding
    checked_at: datetime
    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A verification or look-up as an officer asks for it."""

    person: Person
    purpose: str
    legal_basis: str
    dossier_code: str
    officer: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Found:
    """A look-up's result; the record only where it is that of the person asked about."""

    finding: Finding
    record: Record | None
    exchanges: tuple[Exchange, ...]


def person_named(personal_id: str | None, full_name: str | None, date_of_birth: str | None) -> Person:
    """A person with the name in its normal form (NFC, one place for the tone mark, single spaces)."""
    name = " ".join(vietnamese.normal(full_name or "").split())
    return Person((personal_id or "").strip(), name, date_of_birth or None)


def applicant_of(dossier: Mapping[str, Any]) -> Person:
    """The applicant of a dossier as `/internal/dossiers/read` (view identity) gives it."""
    applicant = dossier.get("applicant") or {}
    return person_named(applicant.get("personal_id"), applicant.get("full_name"), applicant.get("date_of_birth"))


async def accept(tx: Transaction, submitted: Sequence[Event]) -> None:
    """Write an intent for every submitted dossier whose applicant can be identified at all."""
    await store.insert_intents(
        tx,
        [
            Intent(new_id(), e.subject, e.data["agency_code"], e.data["procedure_code"])
            for e in submitted
            if e.data["identity_outcome"] == Outcome.PENDING
        ],
    )


async def open_request(tx: Transaction, request: Request, dossier: Mapping[str, Any], sealer: Sealer) -> Question:
    """Write down a verification asked for over REST, leased to the caller."""
    verification_id = new_id()
    person = request.person
    subject = sealer.seal(
        strict_json.dumps([person.personal_id, person.full_name, person.date_of_birth]), verification_id
    )
    question = Question(
        id=verification_id,
        dossier_code=request.dossier_code,
        agency_code=dossier["agency_code"],
        procedure_code=dossier["procedure_code"],
        # Only a verification of the very applicant is a fact about the dossier; one of a relative is not.
        is_applicant=digest_of(sealer, person) == digest_of(sealer, applicant_of(dossier)),
        attempt=1,
        subject=subject,
        key_id=sealer.key_id,
    )
    await store.insert_request(
        tx,
        id=question.id,
        dossier_code=question.dossier_code,
        agency_code=question.agency_code,
        procedure_code=question.procedure_code,
        is_applicant=question.is_applicant,
        purpose=request.purpose,
        legal_basis=request.legal_basis,
        officer=request.officer,
        client_id=request.client_id,
        subject=subject,
        key_id=sealer.key_id,
        subject_digest=digest_of(sealer, person),
        lease_seconds=REQUEST_LEASE_SECONDS,
    )
    return question


async def ask(register: Register, question: Question, person: Person) -> Asked:
    """033, then 037 where 033 says no. Raises the Upstream errors when the register gives no answer."""
    if not can_be_asked(person):
        return Asked(Finding(Outcome.INSUFFICIENT_BASIS), clock.now(), ())
    exchanges: list[Exchange] = []
    try:
        exists, exchange = await register.exists(question.id, person)
        exchanges.append(exchange)
        if exists:
            finding = Finding(Outcome.MATCH)
        else:
            records, exchange = await register.records(question.id, person, question.procedure_code)
            exchanges.append(exchange)
            finding = judge(person, [_normal(record) for record in records])
    except RegisterRefused as refusal:
        exchanges.append(refusal.exchange)
        finding = Finding(Outcome.INSUFFICIENT_BASIS)
    return Asked(finding, clock.now(), tuple(exchanges))


def concluded(question: Question, person: Person, asked: Asked, sealer: Sealer) -> Conclusion:
    """The conclusion to write: outcome, keyed digest of the person, sealed evidence."""
    return Conclusion(
        question=question,
        finding=asked.finding,
        source="register",
        checked_at=asked.checked_at,
        subject_digest=digest_of(sealer, person),
        key_id=sealer.key_id,
        sealed=tuple(seal(sealer, exchange, question.id) for exchange in asked.exchanges),
    )


async def remembered(
    rx: Reading, asked: Sequence[tuple[Question, Person]], sealer: Sealer, valid_seconds: float
) -> list[Conclusion]:
    """Conclusions for those about whom the register said match or mismatch within `valid_seconds`."""
    if not asked or valid_seconds <= 0:
        return []
    digests = [digest_of(sealer, person) for _, person in asked]
    known = await store.cached(rx, digests, valid_seconds)
    return [
        Conclusion(question, *known[question.agency_code, digest], digest)
        for (question, _), digest in zip(asked, digests, strict=True)
        if (question.agency_code, digest) in known
    ]


async def conclude(tx: Transaction, conclusions: Sequence[Conclusion]) -> None:
    """Write outcomes with their evidence and tell the dossiers, one event for each that was still open."""
    ordered = sorted(conclusions, key=lambda c: c.question.id)
    open_ones = await store.conclude(tx, ordered) if ordered else set()
    await outbox.publish(
        tx, TOPIC, [_verified(c) for c in ordered if c.question.id in open_ones and c.question.is_applicant]
    )


async def hand_over(tx: Transaction, question: Question) -> None:
    """The register gave no answer while somebody waited: the worker asks from now on, without waiting for the lease."""
    await store.postpone(tx, [(question, 0.0, "no answer to the officer's request")])


async def announce_pending(tx: Transaction, *, after_seconds: float, most: int = 500) -> int:
    """Tell once about each dossier whose verification has waited longer than `after_seconds`."""
    rows = await store.mark_announced(tx, after_seconds=after_seconds, most=most)
    events = [
        new_event(
            SOURCE,
            "vn.lgsp.identity.pending.v1",
            row["dossier_code"],
            clock.now(),
            {
                "dossier_code": row["dossier_code"],
                "verification_id": row["id"],
                "waiting_since": row["recorded_at"],
            },
            _ANNOUNCED,
        )
        for row in rows
    ]
    await outbox.publish(tx, TOPIC, events)
    return len(events)


async def open_lookup(
    tx: Transaction, lookup_id: str, request: Request, agency_code: str, fields: Sequence[str]
) -> None:
    """Write down who looks up what for, before the register is asked."""
    await store.insert_lookup(
        tx,
        id=lookup_id,
        dossier_code=request.dossier_code,
        agency_code=agency_code,
        purpose=request.purpose,
        legal_basis=request.legal_basis,
        officer=request.officer,
        client_id=request.client_id,
        requested_fields=list(fields),
    )


async def look_up(register: Register, lookup_id: str, request: Request, procedure_code: str) -> Found:
    """037 alone. The record comes only when name and birth date are those of the person asked about."""
    try:
        records, exchange = await register.records(lookup_id, request.person, procedure_code)
    except RegisterRefused as refusal:
        return Found(Finding(Outcome.INSUFFICIENT_BASIS), None, (refusal.exchange,))
    finding = judge(request.person, [_normal(record) for record in records])
    return Found(finding, records[0] if finding.outcome is Outcome.MATCH else None, (exchange,))


async def close_lookup(
    tx: Transaction, lookup_id: str, agency_code: str, found: Found, supplied: Mapping[str, str], sealer: Sealer
) -> None:
    """Write down what was found and which fields were told, with the evidence."""
    await store.answer_lookup(tx, lookup_id, found.finding.outcome.value, sorted(supplied))
    sealed = [(lookup_id, agency_code, sealer.key_id, seal(sealer, e, lookup_id)) for e in found.exchanges]
    await store.insert_evidence(tx, sealed)


def permitted_only(
    record: Record | None, requested: Sequence[str], permitted: frozenset[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Of the requested fields those that may be told, and the withheld ones with their reason."""
    held = record.fields if record else {}
    supplied = {name: held[name] for name in requested if name in permitted and name in held}
    withheld = {name: "not_permitted" for name in requested if name not in permitted}
    if record:
        withheld |= {name: "not_recorded" for name in requested if name in permitted and name not in held}
    return supplied, withheld


def seal(sealer: Sealer, exchange: Exchange, belongs_to: str) -> bytes:
    """Question and answer as one sealed text."""
    return sealer.seal(exchange.request + b"\n\n" + exchange.answer, belongs_to)


def unsealed_subject(question: Question, sealer: Sealer) -> Person | None:
    """The person of a REST request; None for an applicant, who is read from the dossier."""
    if question.subject is None or question.key_id is None:
        return None
    return Person(*strict_json.loads(sealer.open(question.subject, question.key_id, question.id)))


def digest_of(sealer: Sealer, person: Person) -> bytes:
    """Equal for the same number, name and birth date."""
    return sealer.digest(f"{person.personal_id}|{person.full_name.casefold()}|{person.date_of_birth or ''}")


def _normal(record: Record) -> Record:
    return Record(record.personal_id, vietnamese.normal(record.full_name), record.date_of_birth, record.fields)


def _verified(conclusion: Conclusion) -> Event:
    question, finding = conclusion.question, conclusion.finding
    return new_event(
        SOURCE,
        "vn.lgsp.identity.verified.v1",
        question.dossier_code,
        conclusion.checked_at,
        {
            "dossier_code": question.dossier_code,
            "verification_id": question.id,
            "outcome": finding.outcome.value,
            "mismatched_fields": list(finding.mismatched_fields),
            "checked_at": conclusion.checked_at,
        },
        _CONCLUDED,
    )
