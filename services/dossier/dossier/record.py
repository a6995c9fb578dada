"""What the rules work on: the dossier as far as they need to know it, an action asked for, a step taken."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Literal, Protocol

from dossier.charge import Charges


class Status(IntEnum):
    """The national statuses; the number is what the nation calls `TrangThaiHoSo`."""

    SUBMITTED = 1
    RECEIVED = 2
    NOT_ACCEPTED = 3
    IN_PROCESS = 4
    SUPPLEMENT_REQUESTED = 5
    PAYMENT_REQUESTED = 6
    WITHDRAWN = 7
    STOPPED = 8
    PROCESSED = 9
    RETURNED = 10


STATUS_NAMES = {status: status.name.lower() for status in Status}
"""The English name of each status, as the API speaks it."""


@dataclass(frozen=True, slots=True)
class Supplement:
    """One request to complete the papers, and when it was answered."""

    requested_at: datetime
    requested_by: str | None
    reason: str | None
    due_before: datetime | None
    answered_at: datetime | None = None
    due_after: datetime | None = None
    legal_exception: str | None = None
    """Why a second request was lawful."""


PauseKind = Literal["supplement", "payment", "stop", "personal_number"]


@dataclass(frozen=True, slots=True)
class Pause:
    """Time in which the clock stands still; it runs again at `ended_at`.

    `personal_number`: a newborn's number that the ministry has yet to issue. It has no national status.
    """

    kind: PauseKind
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Dossier:
    """What the rules need to know of a dossier. `version` counts every change, facts too."""

    code: str
    agency_code: str
    procedure_code: str
    procedure_version: int
    channel: str
    status: Status
    version: int
    transition_version: int
    """The version that the last transition made; `expected_version` is compared with it."""
    last_at: datetime
    """When the last action happened (facts do not count)."""
    submitted_at: datetime
    identity_outcome: str
    back_to: Status | None = None
    """Where `supplement` and `settle` lead back to."""
    received_at: datetime | None = None
    due_at: datetime | None = None
    finished_at: datetime | None = None
    returned_at: datetime | None = None
    refused_at: datetime | None = None
    identity: dict[str, Any] | None = None
    identity_reason: str | None = None
    is_extended: bool = False
    has_digitised: bool = False
    has_electronic_result: bool = False
    charges: Charges = ()
    supplements: tuple[Supplement, ...] = ()
    pauses: tuple[Pause, ...] = ()
    results: tuple[dict[str, Any], ...] = ()
    apologies: tuple[dict[str, Any], ...] = ()
    """Letters to the applicant, each with the time it promises."""
    last_reason: str | None = None
    receiver_code: str | None = None
    """The agency whose desk took the papers in for this one."""
    handed_over_at: datetime | None = None

    @property
    def paused(self) -> Pause | None:
        """The pause that has not ended."""
        return self.pauses[-1] if self.pauses and self.pauses[-1].ended_at is None else None


@dataclass(frozen=True, slots=True)
class Command:
    """One action somebody asks for. `at` None means now; `may_import` lifts the limit on old times."""

    action: str
    role: str
    now: datetime
    at: datetime | None = None
    reason: str | None = None
    actor: dict[str, Any] | None = None
    documents: tuple[dict[str, Any], ...] = ()
    fees: tuple[dict[str, Any], ...] = ()
    attachments: tuple[dict[str, Any], ...] = ()
    new_due_at: datetime | None = None
    identity_reason: str | None = None
    legal_exception: str | None = None
    apology: dict[str, Any] | None = None
    """The letter of apology that goes with a new appointment."""
    expected_version: int | None = None
    may_import: bool = False
    agencies: tuple[str, ...] = ("*",)
    """Whom the asker speaks for."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change: the dossier after it, and what is told about it. `event` is the past tense in the type."""

    after: Dossier
    action: str
    event: str
    from_status: Status
    at: datetime
    due_before: datetime | None
    is_transition: bool
    reason: str | None = None
    actor: dict[str, Any] | None = None
    documents: tuple[dict[str, Any], ...] = ()
    fees: tuple[dict[str, Any], ...] = ()
    attachments: tuple[dict[str, Any], ...] = ()
    legal_exception: str | None = None
    apology: dict[str, Any] | None = None
    """The time that was promised, and the letter if there is one."""
    correction: dict[str, Any] | None = None
    """Of a `correct`: what was before and what is now, who asked and who approved."""
    ministry_event: int | None = None
    """Number of the ministry's event that asked for it."""


class Terms(Protocol):
    """The procedure's limits, in the working calendar."""

    def due(self, received_at: datetime) -> datetime | None:
        """When a dossier received then is due; None without a limit."""
        ...

    def due_after_supplement(self, due_at: datetime, asked_at: datetime, answered_at: datetime) -> datetime:
        """The due time once the supplement came, by the procedure's policy."""
        ...

    def due_after_pause(self, due_at: datetime, paused_at: datetime, resumed_at: datetime) -> datetime:
        """The due time after any other pause: what was left is left."""
        ...
