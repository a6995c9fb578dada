"""Working on dossiers: actions asked for by people and systems, facts that arrive.

All of it set-based: lock the dossiers in code order, take the steps in Python, write what changed at once. Each
function runs in the transaction it is given; a refused action leaves no trace and does not stop the others.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dossier import deadline, store
from dossier.catalogue import Procedure
from dossier.cataloguing import Catalogue
from dossier.clock_line import ClockLine, clock_line
from dossier.deadline import Limit, WorkingCalendar
from dossier.dossier import take
from dossier.record import Command, Dossier, Status, Step, Terms
from dossier.store import Change
from shared import clock
from shared.db import Transaction
from shared.errors import HubError, NotFound
from shared.events import Cause

Fold = Callable[[Dossier, Terms], list[Step]]
"""A fact waiting for its dossier (and that one's terms: what ends a pause moves the due time)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An action on one dossier, and who asks for it in which exchange."""

    code: str
    command: Command
    client_id: str
    cause: Cause


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an action was not taken, and the dossier as it stays (None: there is none to be seen)."""

    error: HubError
    dossier: Dossier | None


class Procedures:
    """The catalogue and the calendar together: the terms of each dossier."""

    def __init__(self, catalogue: Catalogue, calendar: WorkingCalendar) -> None:
        self._catalogue = catalogue
        self._calendar = calendar

    def terms(self, dossier: Dossier) -> "ProcedureTerms":
        """The limits of the version the dossier was filed under."""
        procedure = self._catalogue.procedure_version(dossier.procedure_code, dossier.procedure_version)
        return ProcedureTerms(self._calendar, procedure, dossier.channel)

    def hours_ahead(self, hours: int) -> datetime:
        """The instant `hours` working hours from now."""
        return deadline.hours_ahead(self._calendar, clock.now(), hours)


class ProcedureTerms:
    """Due times by one procedure's limits and policy, in working time."""

    def __init__(self, calendar: WorkingCalendar, procedure: Procedure | None, channel: str) -> None:
        self._calendar = calendar
        self._procedure = procedure
        self._channel = channel

    def due(self, received_at: datetime) -> datetime | None:
        """The clock starts at the reception, or with the next working day after 15:00."""
        limit = self._limit()
        if limit is None:
            return None
        start = deadline.clock_start(self._calendar, received_at)
        return deadline.due_at(self._calendar, start, limit)

    def due_after_supplement(self, due_at: datetime, asked_at: datetime, answered_at: datetime) -> datetime:
        """`extend` pauses the clock, `restart` counts again: the procedure's policy."""
        limit = self._limit()
        if limit is None or self._procedure is None:
            return due_at
        return deadline.due_after_supplement(
            self._calendar,
            self._procedure.supplement_policy,
            limit,
            due_at,
            asked_at=asked_at,
            answered_at=answered_at,
        )

    def due_after_pause(self, due_at: datetime, paused_at: datetime, resumed_at: datetime) -> datetime:
        """What was left of the limit is left."""
        limit = self._limit()
        unit = "working_days" if limit is None else limit.unit
        return deadline.due_after_pause(self._calendar, due_at, paused_at, resumed_at, unit)

    def started(self, dossier: Dossier) -> datetime | None:
        """When the clock began to count what it counts now: at the reception, or anew after a supplement."""
        if dossier.received_at is None:
            return None
        begins = dossier.received_at
        if self._procedure is not None and self._procedure.supplement_policy == "restart":
            answered = [it.answered_at for it in dossier.supplements if it.answered_at is not None]
            begins = max([begins, *answered])
        return deadline.clock_start(self._calendar, begins)

    def used(self, dossier: Dossier, now: datetime) -> timedelta:
        """Working time used until `now`, or until the dossier ended; outside the pauses."""
        start = self.started(dossier)
        if start is None:
            return timedelta(0)
        ended = dossier.finished_at or (dossier.last_at if dossier.status is Status.WITHDRAWN else now)
        pauses = [(it.began_at, it.ended_at) for it in dossier.pauses]
        return deadline.used_time(self._calendar, start, ended, pauses)

    def left(self, dossier: Dossier, now: datetime) -> timedelta | None:
        """Working time left until due, negative when late; None of a dossier that has ended or has no due time."""
        if dossier.due_at is None or dossier.finished_at is not None or dossier.status is Status.WITHDRAWN:
            return None
        standing = dossier.paused
        return deadline.working_time_between(
            self._calendar, now if standing is None else standing.began_at, dossier.due_at
        )

    def line(self, dossier: Dossier, now: datetime) -> ClockLine | None:
        """Its working time as one line; None before the reception."""
        started = self.started(dossier)
        return None if started is None else clock_line(dossier, self._calendar, started, now)

    def _limit(self) -> Limit | None:
        if self._procedure is None or not self._procedure.limits:
            return None
        return self._procedure.limit(self._channel)  # type: ignore[arg-type]  # checked at intake and by the table


async def lock(tx: Transaction, codes: Iterable[str]) -> dict[str, Dossier]:
    """Lock the dossiers that the transaction may see, in code order."""
    return await store.lock(tx, sorted(codes))


async def lock_free(tx: Transaction, codes: Iterable[str]) -> dict[str, Dossier]:
    """Lock those that nobody else holds at the moment, waiting for none."""
    return await store.lock(tx, sorted(codes), waits=False)


def step(it: Wanted, procedures: Procedures, dossiers: dict[str, Dossier]) -> Step | Refused:
    """Take one action on a locked dossier, in memory: the next one in `dossiers` finds it changed."""
    dossier = dossiers.get(it.code)
    if dossier is None:
        return Refused(NotFound(), None)
    try:
        taken = take(dossier, it.command, procedures.terms(dossier))
    except HubError as refusal:
        return Refused(refusal, dossier)
    dossiers[it.code] = taken.after
    return taken


async def save(tx: Transaction, taken: Sequence[tuple[Wanted, Step]]) -> None:
    """Write the steps, all at once."""
    await store.save(tx, [Change(step_, it.client_id, it.cause) for it, step_ in taken], clock.now())


async def fold(
    tx: Transaction, facts: Mapping[str, tuple[Fold, Cause]], procedures: Procedures, origin: str
) -> dict[str, str]:
    """Fold one fact into each of these dossiers; by code why it could not be: the rest is folded all the same.

    `origin` (the topic) stands in the history where a person's client would.
    """
    dossiers = await store.lock(tx, sorted(facts))
    refused = dict.fromkeys(sorted(set(facts) - set(dossiers)), "unknown_dossier")
    changes: list[Change] = []
    for code, dossier in dossiers.items():
        fact, cause = facts[code]
        try:
            changes += [Change(step, origin, cause) for step in fact(dossier, procedures.terms(dossier))]
        except HubError as refusal:  # what ends a pause moves the due time: beyond the calendar there is none
            refused[code] = refusal.code
    await store.save(tx, changes, clock.now())
    return refused
