"""Approved corrections of a history: a wrong `at`, a step that was taken but never ticked.

Nothing that was recorded is changed. A correction is a transition of its own (`correct`), asked for by one person and
approved by another; what the dossier is then follows from the corrected history, replayed by the life's own rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dossier import history
from dossier.dossier import LIFE
from dossier.history import Entry
from dossier.record import Dossier, Step, Terms
from dossier.refusal import SamePerson
from shared import vietnamese
from shared.errors import FieldError, InvalidRequest

ADDABLE = tuple(
    action for action in LIFE if action not in ("settle", "request_payment", "extend", "apologise", "attach_result")
)
"""Steps that can be ticked later. Money is asked for now or never; a new time is promised before it comes."""


@dataclass(frozen=True, slots=True)
class Retimed:
    """Transition `version` happened at `at`."""

    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be put right: times of recorded steps, and steps to add (their versions do not count)."""

    times: tuple[Retimed, ...] = ()
    steps: tuple[Entry, ...] = ()
    dropped: tuple[int, ...] = ()
    """Numbers of ministries' events whose steps do not count any more (`settlement`)."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks or approves. `subject` is the signed-in person, or the client itself."""

    client_id: str
    subject: str
    name: str
    title: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a correction makes of a dossier: how it is then, the times before and after, the steps as they fit."""

    after: Dossier
    times: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    progress: list[dict[str, Any]]
    """Rows for the nation: it cannot take one back, so a corrected change of status is told as a new row."""
    dropped: tuple[int, ...] = ()


def require_another(asker: Person, approver: Person) -> None:
    """Four eyes. Raises `SamePerson` for the same name (accents and case aside) or the same sign-in."""
    is_signed_in = approver.subject not in ("", approver.client_id)
    if (is_signed_in and approver.subject == asker.subject) or vietnamese.fold(approver.name) == vietnamese.fold(
        asker.name
    ):
        raise SamePerson


def corrected(entries: Sequence[Entry], correction: Correction, version: int) -> list[Entry]:
    """The history with this correction, which is (or will be) transition `version`. Raises `InvalidRequest`."""
    known = {entry.version for entry in entries if not entry.is_added}
    unknown = [
        FieldError(f"/times/{index}/version", "is not a transition that can be corrected")
        for index, it in enumerate(correction.times)
        if it.version not in known
    ]
    if unknown:
        raise InvalidRequest(errors=unknown)
    at = {it.version: it.at for it in correction.times}
    found = [
        # A time that a person put right is no longer the ministry's.
        entry
        if entry.is_added or entry.version not in at
        else replace(entry, at=at[entry.version], ministry_event=None)
        for entry in entries
        if entry.ministry_event is None or entry.ministry_event not in correction.dropped
    ]
    for step in correction.steps:
        place = next((index for index, entry in enumerate(found) if entry.at > step.at), len(found))
        found.insert(place, replace(step, version=version, is_added=True))
    return found


def outcome(known: Dossier, entries: Sequence[Entry], correction: Correction, terms: Terms, now: datetime) -> Outcome:
    """What the correction leads to.

    Raises `InvalidRequest` (unknown version, time ahead), `StepDoesNotFit`, `TimeGoesBack`, or what a guard of an
    added step says.
    """
    _refuse_the_future(correction, now)
    version = known.version + 1
    before = {entry.version: entry.at for entry in entries if not entry.is_added}
    found = corrected(entries, correction, version)
    states = history.replay(known, found, terms)
    touched = {it.version for it in correction.times}
    times = [{"version": it.version, "before": before[it.version], "at": it.at} for it in correction.times]
    steps: list[dict[str, Any]] = []
    progress: list[dict[str, Any]] = []
    previous = history.filed(known)
    for entry, state in zip(found, states, strict=True):
        is_new = entry.is_added and entry.version == version
        if is_new:
            for guard in LIFE[entry.action].guards:
                guard(previous, entry.command(), entry.at)
            steps.append(added(entry, previous, state))
        if (is_new or (entry.version in touched and not entry.is_added)) and state.status != previous.status:
            progress.append(progress_row(entry, state))
        previous = state
    after = replace(
        previous, version=version, transition_version=version,
        has_digitised=known.has_digitised or previous.has_digitised,
    )  # fmt: skip
    return Outcome(after, times, steps, progress)


def as_step(known: Dossier, made: Outcome, at: datetime, approver: dict[str, Any], detail: dict[str, Any]) -> Step:
    """The transition that an approved correction is."""
    return Step(
        made.after, "correct", "corrected", known.status, at, known.due_at, True, detail.get("reason"), approver,
        correction={
            **detail, "times": made.times, "steps": made.steps, "progress": made.progress,
            **({"dropped": made.dropped} if made.dropped else {}),
        },
    )  # fmt: skip


def _refuse_the_future(correction: Correction, now: datetime) -> None:
    wrong = [FieldError(f"/times/{i}/at", "lies ahead") for i, it in enumerate(correction.times) if it.at > now]
    wrong += [FieldError(f"/steps/{i}/at", "lies ahead") for i, it in enumerate(correction.steps) if it.at > now]
    wrong += [
        FieldError(f"/steps/{i}/action", f"is none of {', '.join(ADDABLE)}")
        for i, it in enumerate(correction.steps)
        if it.action not in ADDABLE
    ]
    if wrong:
        raise InvalidRequest(errors=wrong)


def added(entry: Entry, before: Dossier, state: Dossier) -> dict[str, Any]:
    """A step that a correction brings in, as its transition keeps it."""
    members = {
        "action": entry.action,
        "at": entry.at,
        "reason": entry.reason,
        "actor": entry.actor,
        "from_status": int(before.status),
        "to_status": int(state.status),
        "documents": entry.documents,
        "attachments": entry.attachments,
        "legal_exception": entry.legal_exception,
        "identity_reason": entry.identity_reason,
        "ministry_event": entry.ministry_event,
    }
    return {name: value for name, value in members.items() if value not in (None, ())}


def progress_row(entry: Entry, state: Dossier) -> dict[str, Any]:
    """The row for the nation that tells a corrected change of status."""
    return {
        "to_status": int(state.status),
        "at": entry.at,
        "actor": entry.actor,
        "reason": entry.reason,
        "due_after": state.due_at,
    }
