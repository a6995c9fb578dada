"""A dossier's working time as one line: where it was worked on and where it stood still, and where each rule says late.

Places on the line are working time since its beginning, so nights and holidays take no room. The two rules count
other parts of it: the province everything outside the pauses (anew after a supplement under the policy `restart`),
rule 2.1 of QĐ 766 everything but the supplements.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dossier import verdict
from dossier.deadline import WorkingCalendar, clock_start, working_time_between
from dossier.record import Dossier, PauseKind, Status


@dataclass(frozen=True, slots=True)
class Part:
    """From one change of the clock to the next; `length` is working time."""

    kind: Literal["work"] | PauseKind
    began_at: datetime
    ended_at: datetime
    length: timedelta
    counts_here: bool
    counts_nationally: bool


@dataclass(frozen=True, slots=True)
class ClockLine:
    """The parts lie side by side from the reception to `until`: now, or the dossier's end."""

    until: datetime
    length: timedelta
    parts: tuple[Part, ...]
    due: timedelta | None
    """Where it becomes late here; while the clock stands still: if it ran again now."""
    national_due_at: datetime | None
    national_due: timedelta | None
    """The same by the national rule."""


def clock_line(dossier: Dossier, calendar: WorkingCalendar, counted_from: datetime, now: datetime) -> ClockLine | None:
    """The line of a received dossier. `counted_from`: what lies before it does not count here any more."""
    if dossier.received_at is None:
        return None
    began = clock_start(calendar, dossier.received_at)
    until = max(began, ended_at(dossier) or now)
    parts = tuple(_parts(dossier, calendar, began, until, counted_from))
    due, national = dossier.due_at, verdict.national_due_at(dossier)
    standing = dossier.paused

    def place(at: datetime, *, is_moving: bool) -> timedelta:
        """Of a due time; one that the standing pause will move stands behind that pause."""
        found = working_time_between(calendar, began, at)
        if standing is None or not is_moving or standing.began_at >= at:
            return found
        return found + working_time_between(calendar, max(began, standing.began_at), until)

    is_waiting_for_papers = standing is not None and standing.kind == "supplement"
    return ClockLine(
        until,
        working_time_between(calendar, began, until),
        parts,
        None if due is None else place(due, is_moving=True),
        national,
        None if national is None else place(national, is_moving=is_waiting_for_papers),
    )


def ended_at(dossier: Dossier) -> datetime | None:
    """When the clock ended for good: with the first of 9 and 7."""
    return dossier.finished_at or (dossier.last_at if dossier.status is Status.WITHDRAWN else None)


def _parts(
    dossier: Dossier, calendar: WorkingCalendar, began: datetime, until: datetime, counted_from: datetime
) -> Iterator[Part]:
    def part(kind: Literal["work"] | PauseKind, a: datetime, b: datetime) -> Part:
        length, is_work = working_time_between(calendar, a, b), kind == "work"
        return Part(kind, a, b, length, is_work and a >= counted_from, kind != "supplement")

    def work(a: datetime, b: datetime) -> Iterator[Part]:
        if a < counted_from < b:
            yield part("work", a, counted_from)
            a = counted_from
        if a < b:
            yield part("work", a, b)

    place = began
    for pause in dossier.pauses:
        first, last = max(pause.began_at, place), min(pause.ended_at or until, until)
        if first < last:
            yield from work(place, first)
            yield part(pause.kind, first, last)
            place = last
    yield from work(place, until)
