"""The events this service reads, as models. Members nobody here needs are passed over: senders may add some."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from dossier.bodies import MAX_ATTACHMENTS, ActorBody, Code, DocumentBody, FeeBody, Fees, LongText, Moment
from dossier.charge import ChargeState, Payment
from dossier.record import Command
from dossier.vocabulary import ISSUE_RESULT, UnmappedValue, Vocabulary, named_dossier, translated
from shared import agency_codes, clock, problems
from shared.agency_codes import canonical_dossier
from shared.errors import InvalidRequest
from shared.events import Event
from shared.vietnamese import fold

PROGRESSED = "vn.gov.ministry.dossier.progressed.v1"
RESULT_ISSUED = "vn.gov.ministry.dossier.result-issued.v1"
NOTICE_ISSUED = "vn.gov.ministry.tax.notice-issued.v1"
CHARGE_STATES: dict[str, ChargeState] = {
    "failed.v1": "failed",
    "expired.v1": "expired",
    "review_opened.v1": "review",
}


class Said(BaseModel):
    """Base of these models."""

    model_config = ConfigDict(extra="ignore", frozen=True)


S = TypeVar("S", bound=Said)


class Verified(Said):
    """`identity.verified`."""

    verification_id: Code
    outcome: Literal["match", "mismatch", "no_information", "insufficient_basis"]
    mismatched_fields: list[Code] = Field(default_factory=list)
    checked_at: Moment


class LinkReady(Said):
    """`payment.link_ready`."""

    payment_id: Code
    payment_url: Annotated[str, StringConstraints(max_length=2048)]
    amount_vnd: int


class Completed(Said):
    """`payment.completed`."""

    payment_id: Code
    request_version: int | None = None
    method: Literal["online", "counter"]
    amount_vnd: int
    lines: list[dict[str, Any]] | None = None
    at: Moment

    def payment(self) -> Payment:
        """As the rules take it."""
        lines = tuple(self.lines or ())
        return Payment(self.payment_id, self.amount_vnd, self.method, self.at, self.request_version, lines)


class PaymentOutcome(Said):
    """`payment.failed`, `.expired`, `.review_opened`."""

    payment_id: Code
    request_version: int | None = None


_PLACEHOLDERS = frozenset({"dinhkem", "dinh kem", "file dinh kem", "tep dinh kem"})


class _Document(DocumentBody):
    """A result. Real senders fill in `Dinhkem` where it has no name (wire §1.7)."""

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if fold(name) in _PLACEHOLDERS:
            raise ValueError("stands for a missing name")
        return name


class _Result(Said):
    documents: Annotated[list[_Document], Field(max_length=MAX_ATTACHMENTS)] = Field(default_factory=list)


class _Progressed(Said):
    action: Code
    actor: ActorBody | LongText | None = None
    reason: LongText | None = None
    at: Moment | None = None
    result: _Result | None = None
    fees: Fees = Field(default_factory=list)
    identity_reason: LongText | None = None


class _ResultIssued(Said):
    documents: Annotated[list[_Document], Field(min_length=1, max_length=MAX_ATTACHMENTS)]
    at: Moment | None = None
    actor: ActorBody | LongText | None = None
    reason: LongText | None = None
    identity_reason: LongText | None = None


class _NoticeIssued(Said):
    lines: Annotated[list[FeeBody], Field(min_length=1, max_length=100)]
    at: Moment | None = None
    actor: ActorBody | LongText | None = None
    reason: LongText | None = None


def parse(kind: type[S], event: Event) -> S:
    """The event's data. Raises `InvalidRequest`."""
    try:
        return kind.model_validate(event.data)
    except ValidationError as failure:
        raise problems.invalid(failure) from None


def reason(refusal: InvalidRequest) -> str:
    """What is wrong with an event, in one line: places, never values."""
    if isinstance(refusal, UnmappedValue):
        return f"{refusal.code}: {refusal.errors[0].pointer}"[:500]
    places = "; ".join(f"{field.pointer or '/'} {field.message}" for field in refusal.errors)
    return f"{refusal.code}: {places}"[:500]


def covers(event: Event, agency_code: str) -> bool:
    """Whether the client that pushed the event may speak for this agency (Kafka header `hub-agencies`)."""
    return agency_codes.covers(event.headers.get("hub-agencies", "").split(","), agency_code)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an event of a ministry asks for: of which dossier (None: it says nothing here), and what."""

    code: str
    command: Command | None
    is_result: bool = False


def asked(event: Event, vocabulary: Vocabulary | None) -> Asked | None:
    """What it asks for, of a code in its present form; None: a type nobody knows. Raises `InvalidRequest`."""
    said = _asked(event, vocabulary)
    return None if said is None else replace(said, code=canonical_dossier(said.code))


def _asked(event: Event, vocabulary: Vocabulary | None) -> Asked | None:
    """By the ministry's vocabulary, else by the contract.

    A result finishes a dossier in work and joins one that has ended; a tax notice asks for payment.
    """
    meaning = None if vocabulary is None else vocabulary.types.get(event.type)
    if meaning is not None:
        said = translated(meaning, envelope(event))
        if said is None:
            return Asked(dossier_of(event, vocabulary) or event.key, None)
        own = replace(event, data=said)
        return Asked(own.key, _issued(own) if said["action"] == ISSUE_RESULT else _progressed(own),
                     said["action"] == ISSUE_RESULT)  # fmt: skip
    if event.type == PROGRESSED:
        return Asked(event.key, _progressed(event))
    if event.type == RESULT_ISSUED:
        return Asked(event.key, _issued(event), is_result=True)
    if event.type == NOTICE_ISSUED:
        notice = parse(_NoticeIssued, event)
        return Asked(event.key, _command("request_payment", notice, fees=_plain(notice.lines)))
    return None


def dossier_of(event: Event, vocabulary: Vocabulary | None) -> str | None:
    """Which dossier an event names, understood or not; None: none that anybody could find."""
    meaning = None if vocabulary is None else vocabulary.types.get(event.type)
    if meaning is not None:
        code = named_dossier(meaning, envelope(event))
    else:
        said = event.data.get("dossier_code")
        code = said if isinstance(said, str) and said else event.subject
    return canonical_dossier(code) if code else None


def envelope(event: Event) -> dict[str, Any]:
    """The event as its sender wrote it: what a vocabulary's places point into."""
    written = {"id": event.id, "source": event.source, "type": event.type, "subject": event.subject or None,
               "time": event.time.isoformat()}  # fmt: skip
    return {**event.extensions, **written, "data": event.data}


def _progressed(event: Event) -> Command:
    said = parse(_Progressed, event)
    documents = () if said.result is None else tuple(dict(it) for it in said.result.documents)
    return _command(said.action, said, fees=_plain(said.fees), documents=documents,
                    identity_reason=said.identity_reason)  # fmt: skip


def _issued(event: Event) -> Command:
    said = parse(_ResultIssued, event)
    return _command("finish", said, documents=_plain(said.documents), identity_reason=said.identity_reason)


def _command(action: str, said: _Progressed | _ResultIssued | _NoticeIssued, **members: Any) -> Command:
    actor = said.actor
    return Command(
        action=action,
        role="ministry",
        now=clock.now(),
        at=said.at,
        reason=said.reason or None,
        actor={"name": actor} if isinstance(actor, str) else None if actor is None else dict(actor),
        may_import=True,
        **members,
    )


def _plain(models: list[Any]) -> tuple[dict[str, Any], ...]:
    return tuple(dict(model) for model in models)
