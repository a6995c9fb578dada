"""Petitions (phản ánh, kiến nghị) about how dossiers are handled: their life and the time each step may take.

    action              from                            to                    who           within
    refuse              received                        refused               desk          2 working days of reception
    request_supplement  received                        supplement_requested  desk          5 working days of reception
    supplement          supplement_requested            received              portal, desk  –
    answer              received, supplement_requested  answered              desk          15 working days of reception
    publish             answered                        published             desk          2 working days of the answer
    rate                answered, published             stays                 portal, desk  once

Limits: QĐ 766/QĐ-TTg, group 5.2. While a supplement is awaited the clock stands; what was left of the 15 days is left.
A step after its time makes the petition late for good.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from dossier import deadline
from dossier.deadline import Limit, WorkingCalendar
from dossier.dossier import action_time
from dossier.record import Command
from dossier.refusal import ActionNotForRole, AlreadyRated, TransitionNotAllowed
from shared.errors import FieldError, InvalidRequest

PetitionState = Literal["received", "supplement_requested", "refused", "answered", "published"]
PetitionAction = Literal["refuse", "request_supplement", "supplement", "answer", "publish", "rate"]
Score = Literal["very_satisfied", "satisfied", "dissatisfied"]

REFUSE, ASK, ANSWER, PUBLISH = (Limit(days, "working_days") for days in (2, 5, 15, 2))
FILERS = frozenset({"portal", "desk"})
_DESK = frozenset({"desk"})


@dataclass(frozen=True, slots=True)
class Way:
    """One row of the table. `target` None: the state stays."""

    sources: frozenset[PetitionState]
    target: PetitionState | None
    roles: frozenset[str]
    needs: Literal["reason", "text", "score"] | None


WAYS: dict[PetitionAction, Way] = {
    "refuse": Way(frozenset({"received"}), "refused", _DESK, "reason"),
    "request_supplement": Way(frozenset({"received"}), "supplement_requested", _DESK, "reason"),
    "supplement": Way(frozenset({"supplement_requested"}), "received", FILERS, None),
    "answer": Way(frozenset({"received", "supplement_requested"}), "answered", _DESK, "text"),
    "publish": Way(frozenset({"answered"}), "published", _DESK, None),
    "rate": Way(frozenset({"answered", "published"}), None, FILERS, "score"),
}


@dataclass(frozen=True, slots=True)
class Petition:
    """What the rules need to know. `late_at`: late after this moment as things stand; None while nothing is due."""

    id: str
    agency_code: str
    dossier_code: str | None
    state: PetitionState
    version: int
    last_at: datetime
    received_at: datetime
    answer_by: datetime
    late_at: datetime | None
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    publish_by: datetime | None = None
    published_at: datetime | None = None
    refused_at: datetime | None = None
    was_late: bool = False
    score: Score | None = None

    def is_late(self, now: datetime) -> bool:
        """Whether a step was late, or one is overdue."""
        return self.was_late or (self.late_at is not None and now > self.late_at)


@dataclass(frozen=True, slots=True)
class Asked:
    """A step somebody asks for. `at` None means now."""

    action: PetitionAction
    role: str
    now: datetime
    at: datetime | None = None
    reason: str | None = None
    text: str | None = None
    score: Score | None = None
    actor: dict[str, Any] | None = None
    may_import: bool = False


def received(
    petition_id: str, agency_code: str, dossier_code: str | None, at: datetime, calendar: WorkingCalendar
) -> Petition:
    """A new petition."""
    answer_by = deadline.due_at(calendar, at, ANSWER)
    return Petition(petition_id, agency_code, dossier_code, "received", 1, at, at, answer_by, answer_by)


def limits(petition: Petition, calendar: WorkingCalendar) -> dict[str, datetime | None]:
    """Until when each step may be taken; `publish_by` only once it is answered."""
    return {
        "refuse_by": deadline.due_at(calendar, petition.received_at, REFUSE),
        "request_supplement_by": deadline.due_at(calendar, petition.received_at, ASK),
        "answer_by": petition.answer_by,
        "publish_by": petition.publish_by,
    }


def take(petition: Petition, asked: Asked, calendar: WorkingCalendar) -> Petition:
    """The petition one step further.

    Raises the first refusal: role (403), state (409), what the step needs (422), time (403, 409, 422), rated before.
    """
    way = WAYS[asked.action]
    if asked.role not in way.roles:
        raise ActionNotForRole
    if petition.state not in way.sources:
        allowed = [name for name, it in WAYS.items() if petition.state in it.sources]
        raise TransitionNotAllowed(
            f"{asked.action} is not allowed in state {petition.state}; allowed: {', '.join(allowed) or 'nothing'}",
            allowed=allowed,
        )
    _check_fields(asked, way)
    if asked.action == "rate" and petition.score is not None:
        raise AlreadyRated
    at = action_time(
        petition.last_at, Command(asked.action, asked.role, asked.now, asked.at, may_import=asked.may_import)
    )
    further = replace(petition, version=petition.version + 1, state=way.target or petition.state, last_at=at)
    return _effect(further, petition, asked, at, calendar)


def _check_fields(asked: Asked, way: Way) -> None:
    given = {"reason": asked.reason, "text": asked.text, "score": asked.score}
    if way.needs is not None and not given[way.needs]:
        raise InvalidRequest(errors=[FieldError(f"/{way.needs}", "is required for this action")])
    foreign = [name for name in ("text", "score") if given[name] and way.needs != name]
    if foreign:
        raise InvalidRequest(errors=[FieldError(f"/{name}", "does not belong to this action") for name in foreign])


def _effect(further: Petition, before: Petition, asked: Asked, at: datetime, calendar: WorkingCalendar) -> Petition:
    match asked.action:
        case "refuse":
            until = deadline.due_at(calendar, before.received_at, REFUSE)
            return replace(further, refused_at=at, late_at=None, was_late=before.was_late or at > until)
        case "request_supplement":
            # Of the first request: after it the petition has had its five days.
            until = deadline.due_at(calendar, before.received_at, ASK)
            is_late = (before.asked_at is None and at > until) or at > before.answer_by
            return replace(further, asked_at=at, late_at=None, was_late=before.was_late or is_late)
        case "supplement":
            return _running(further, before, at, calendar)
        case "answer":
            running = _running(further, before, at, calendar)
            until = deadline.due_at(calendar, at, PUBLISH)
            return replace(
                running, answered_at=at, publish_by=until, late_at=until,
                was_late=before.was_late or at > running.answer_by,
            )  # fmt: skip
        case "publish":
            is_late = before.publish_by is not None and at > before.publish_by
            return replace(further, published_at=at, late_at=None, was_late=before.was_late or is_late)
        case "rate":
            return replace(further, score=asked.score)


def _running(further: Petition, before: Petition, at: datetime, calendar: WorkingCalendar) -> Petition:
    """The clock runs again, if it stood."""
    if before.state != "supplement_requested" or before.asked_at is None:
        return further
    answer_by = deadline.due_after_pause(calendar, before.answer_by, before.asked_at, at, "working_days")
    return replace(further, answer_by=answer_by, late_at=answer_by)
