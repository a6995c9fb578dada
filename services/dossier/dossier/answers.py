"""Models of the dossier routes' answers: what OpenAPI shows. The routes answer plain dictionaries of these shapes."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from dossier.stuck import StuckKind
from shared.web import Answer

StatusName = Literal[
    "submitted",
    "received",
    "not_accepted",
    "in_process",
    "supplement_requested",
    "payment_requested",
    "withdrawn",
    "stopped",
    "processed",
    "returned",
]


class IdentityAnswer(Answer):
    """What is known of the applicant's identity."""

    outcome: Literal["pending", "not_required", "match", "mismatch", "no_information", "insufficient_basis"]
    mismatched_fields: list[str]
    checked_at: datetime | None
    reason: str | None


class PaymentAnswer(Answer):
    """`due_vnd` is what is still open, `paid_vnd` what was paid."""

    state: Literal["none", "due", "paid", "review"]
    due_vnd: int
    paid_vnd: int
    payment_url: str | None


class ActorAnswer(Answer):
    """Who acted."""

    name: str | None = None
    title: str | None = None
    unit: str | None = None


class TransitionAnswer(Answer):
    """One action in a dossier's history. `from` is null for `submit`."""

    version: int
    action: str
    from_: StatusName | None = Field(alias="from")
    to: StatusName
    actor: ActorAnswer | None
    reason: str | None
    at: datetime
    recorded_at: datetime
    due_before: datetime | None
    due_after: datetime | None
    client_id: str
    exchange_id: str | None
    documents: list[dict[str, Any]] | None = None
    fees: list[dict[str, Any]] | None = None
    legal_exception: str | None = None
    apology: dict[str, Any] | None = None
    """The time promised (`promised_at`) and the `letter`."""
    recorded_as: datetime | None = None
    """The time that was recorded first, where a correction changed it (`at` is the one that counts)."""
    corrected_by: int | None = None
    """Version of the transition that corrected this one."""
    correction: dict[str, Any] | None = None
    """Of a `correct`: times before and after, steps that were added, who asked and who approved; or which steps of a
    ministry were put in their order (`settlement`)."""
    ministry_event: int | None = None
    """Number of the ministry's event that it came of."""


class VerdictAnswer(Answer):
    """`outcome` is null for a dossier that neither rule counts; `reason` is for people."""

    outcome: Literal["on_time", "late"] | None
    reason: str
    reason_code: str
    is_final: bool


class VerdictsAnswer(Answer):
    """On time by the province's own clock, and by rule 2.1 of Decision 766/QĐ-TTg."""

    local: VerdictAnswer
    national: VerdictAnswer
    differ: bool


class PauseAnswer(Answer):
    """Time in which the clock stood still."""

    kind: Literal["supplement", "payment", "stop", "personal_number"]
    began_at: datetime
    ended_at: datetime | None


class LinePartAnswer(Answer):
    """From one change of the clock to the next; `hours` are working hours."""

    kind: Literal["work", "supplement", "payment", "stop", "personal_number"]
    began_at: datetime
    ended_at: datetime
    hours: float
    counts_here: bool
    counts_nationally: bool


class ClockLineAnswer(Answer):
    """Working time from the reception to `until`: now, or the dossier's end. Places on it are working hours."""

    until: datetime
    hours: float
    due_hours: float | None
    """Where it becomes late here; while the clock stands still: if it ran again now."""
    national_due_at: datetime | None
    national_due_hours: float | None
    parts: list[LinePartAnswer]


class NextActionAnswer(Answer):
    """An action of this status; `blocked_by`: the code with which it would be refused now."""

    action: str
    roles: list[str]
    blocked_by: str | None


class ClockAnswer(Answer):
    """Working time used and left, in hours (eight to a working day); `left_hours` is negative when late."""

    started_at: datetime | None
    due_at: datetime | None
    used_hours: float
    left_hours: float | None
    paused: str | None
    pauses: list[PauseAnswer]
    line: ClockLineAnswer | None


class ApplicantAnswer(Answer):
    """Personal data, for a stated purpose only."""

    kind: str
    full_name: str
    personal_id: str | None
    date_of_birth: date | None
    phone: str | None
    email: str | None
    organisation_tax_code: str | None
    address: str | None


class LinkedAnswer(Answer):
    """The intake that a dossier was filed with, and all dossiers of it, the leading one first."""

    id: str
    dossiers: list[str]


class DossierAnswer(Answer):
    """A dossier. `applicant`, `form` and `attachments` only with the header `Hub-Purpose`."""

    code: str
    status: StatusName
    status_code: int
    agency_code: str
    procedure_code: str
    channel: str
    identity: IdentityAnswer
    payment: PaymentAnswer
    submitted_at: datetime
    received_at: datetime | None
    due_at: datetime | None
    finished_at: datetime | None
    returned_at: datetime | None
    refused_at: datetime | None
    digitised: bool
    electronic_result: bool
    version: int
    receiving_agency_code: str | None = None
    """The agency whose desk took the papers in for `agency_code`, which is the competent one."""
    handed_over_at: datetime | None = None
    abstract: str | None = None
    return_method: str | None = None
    external_reference: str | None = None
    portal_code: str | None = None
    """The national portal's own code of a dossier that was filed there."""
    results: list[dict[str, Any]] | None = None
    combined: LinkedAnswer | None = None
    supplement_requests: int | None = None
    apologies: list[dict[str, Any]] | None = None
    verdicts: VerdictsAnswer | None = None
    clock: ClockAnswer | None = None
    next_actions: list[NextActionAnswer] | None = None
    applicant: ApplicantAnswer | None = None
    form: dict[str, Any] | None = None
    attachments: list[dict[str, Any]] | None = None
    history: list[TransitionAnswer] | None = None


class DossierPage(Answer):
    """A page of dossiers."""

    items: list[DossierAnswer]
    next_cursor: str | None
    count: int | None = None
    """With `counted`: how many there are on all pages; 1,001 stands for more."""


class HistoryAnswer(Answer):
    """All transitions, oldest first."""

    items: list[TransitionAnswer]
    next_cursor: str | None


class TrackingAnswer(Answer):
    """What anybody with the code may know."""

    code: str
    procedure_code: str
    procedure_name: str | None
    agency_code: str
    agency_name: str | None
    status: StatusName
    status_code: int
    submitted_at: datetime
    received_at: datetime | None
    due_at: datetime | None
    finished_at: datetime | None
    returned_at: datetime | None


class RatingAnswer(Answer):
    """A stored rating."""

    dossier_code: str
    score: str
    at: datetime


class StuckCount(Answer):
    """Dossiers stuck in one way at one agency."""

    kind: StuckKind
    agency_code: str
    count: int
    oldest_since: datetime
    oldest_age_hours: float


class FreesAnswer(Answer):
    """What frees a dossier: an action of `…/transitions`, or another step; `words` are for people."""

    kind: Literal["transition", "step"]
    name: str
    words: str


class StuckItem(Answer):
    """A dossier that stands still since then."""

    code: str
    agency_code: str
    procedure_code: str
    status: str
    due_at: datetime | None
    kind: StuckKind
    since: datetime
    age_hours: float
    frees: FreesAnswer


class StuckAnswer(Answer):
    """`counts` and `items` as of the last look over all dossiers."""

    as_of: datetime
    counts: list[StuckCount]
    items: list[StuckItem]
    next_cursor: str | None


class CombinedAnswer(Answer):
    """Dossiers filed together, in the order of the request."""

    combined_id: str
    items: list[DossierAnswer]


class LineAnswer(Answer):
    """The answer to one line of a batch."""

    index: int
    status: int
    code: str | None = None
    dossier_status: str | None = None
    version: int | None = None
    due_at: datetime | None = None
    replayed: bool | None = None
    problem: dict[str, Any] | None = None


class CorrectionAnswer(Answer):
    """A correction: asked, approved (then `version` is its transition) or rejected."""

    correction_id: str
    state: Literal["asked", "approved", "rejected"]
    reason: str
    times: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    asked_by: ActorAnswer
    asked_at: datetime
    decided_by: ActorAnswer | None
    decided_at: datetime | None
    version: int | None


class CorrectionsAnswer(Answer):
    """Corrections of one dossier, oldest first."""

    items: list[CorrectionAnswer]
    next_cursor: str | None


class DecisionAnswer(Answer):
    """What was decided, and the dossier as it is after an approval."""

    correction_id: str
    state: Literal["approved", "rejected"]
    dossier: DossierAnswer | None


class ReadAnswer(Answer):
    """Records for another service."""

    items: list[dict[str, Any]]
