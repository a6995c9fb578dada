"""What a dossier is by all that ministries have said of it, in whatever order that came.

Their events count in the order of their own times; of two at one moment the one that stands earlier in the life.
Each is taken where the life allows it there and left out where not: so the same events lead to the same dossier,
however often and in whatever order they arrive. What the desk, the applicant and the hub did stays where it stands.

```
all that is new lies after the last action     the steps are taken one by one
something lies before it                       the history with it in its place, replayed (`history`): one `correct`
that history would not hold what others did    it is refused as it would have been
money asked for                                now or never: `request_payment` is never put into the past
```
An event that only came too early for a fact (identity, payment) waits; what was taken before a fact spoke against it
stays taken.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from dossier import correction, history
from dossier.correction import Outcome
from dossier.dossier import LIFE, moved, take
from dossier.history import Entry
from dossier.record import Command, Dossier, Status, Step, Terms
from dossier.refusal import (
    ChargeOpen,
    IdentityPending,
    IdentityReasonRequired,
    StepDoesNotFit,
    TimeGoesBack,
    TransitionNotAllowed,
)
from shared.errors import HubError

_RANK = {action: number for number, action in enumerate(LIFE)}
_MONEY = "request_payment"
_FACTS = (IdentityPending, IdentityReasonRequired, ChargeOpen)
_REACHED: dict[str, frozenset[int]] = {
    "receive": frozenset({2, 4, 9, 10}),
    "start": frozenset({4, 9, 10}),
    "finish": frozenset({9, 10}),
}


@dataclass(frozen=True, slots=True)
class Said:
    """One event of a ministry, understood. `command.at` None: it holds when it comes."""

    number: int
    command: Command
    is_result: bool = False
    """Finishes a dossier in work, joins one that has ended."""

    def asked(self, dossier: Dossier) -> Command:
        """The action it is in this status."""
        if self.is_result and dossier.status in (Status.PROCESSED, Status.RETURNED):
            return replace(self.command, action="attach_result", identity_reason=None)
        return self.command


@dataclass(slots=True)
class Settled:
    """The steps to record, in order, and why the others are none."""

    steps: list[Step] = field(default_factory=list)
    taken: dict[int, int] = field(default_factory=dict)
    """Number of the event → version of the transition that has it."""
    refused: dict[int, tuple[HubError, Dossier]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Placed:
    entry: Entry
    before: Dossier
    after: Dossier


def settled(
    known: Dossier, entries: Sequence[Entry] | None, said: Sequence[Said], terms: Terms, now: datetime
) -> Settled:
    """`said`: all events that count or might, those taken before included; `entries`: the history as it counts.

    `entries` may be None where `is_ahead` says that everything new lies ahead.
    """
    if entries is None:
        return _appended(Settled(), known, sorted(said, key=_order), terms)
    counted = {entry.ministry_event for entry in entries}
    late = [it for it in said if it.command.at is not None and it.command.action != _MONEY]
    made = Settled()
    try:
        placed = _placed(known, entries, sorted(late, key=_order), terms, made)
    except (StepDoesNotFit, TimeGoesBack):
        return _appended(Settled(), known, [it for it in sorted(said, key=_order) if it.number not in counted], terms)
    dossier, at = known, {it.entry.ministry_event: it.entry.at for it in placed}
    rest = [_at(it, at[it.number]) for it in late if it.number in at and it.number not in counted]
    target = [(it.entry.ministry_event, it.entry.action) for it in placed]
    if target[: len(entries)] == [(entry.ministry_event, entry.action) for entry in entries]:
        made = _appended(Settled(refused=made.refused), known, sorted(rest, key=_order), terms)
    else:
        dossier = _corrected(made, known, entries, placed, now)
    others = [it for it in said if it.number not in counted and it not in late]
    return _appended(made, made.steps[-1].after if made.steps else dossier, sorted(others, key=_order), terms)


def is_ahead(known: Dossier, fresh: Sequence[Said], taken: Sequence[Said]) -> bool:
    """Whether nothing new lies before what was done (or beside what the ministry said at that moment)."""
    latest = max((it.command.at for it in taken if it.command.at is not None), default=None)
    return all(
        it.command.at is None
        or it.command.at > known.last_at
        or (it.command.at == known.last_at and it.command.at != latest)
        for it in fresh
    )


def is_too_early(error: HubError, command: Command, dossier: Dossier) -> bool:
    """Only a fact is missing: it will take the event up when it comes."""
    return isinstance(error, IdentityPending | ChargeOpen) or (
        isinstance(error, TransitionNotAllowed)
        and dossier.status is Status.PAYMENT_REQUESTED
        and dossier.back_to in LIFE[command.action].sources
    )


def is_past(error: HubError, command: Command, dossier: Dossier) -> bool:
    """The dossier has already come to where the action leads, and the event brings nothing to keep."""
    return (
        isinstance(error, TransitionNotAllowed)
        and dossier.status in _REACHED.get(command.action, frozenset())
        and not command.documents
    )


def _at(it: Said, moment: datetime) -> Said:
    return replace(it, command=replace(it.command, at=moment))


def _order(it: Said) -> tuple[bool, datetime, int, int]:
    """Those without a time of their own come last, as they came."""
    if it.command.at is None:
        return True, it.command.now, 0, it.number
    # An unknown action has no place in the life; it is refused wherever it stands.
    return False, it.command.at, _RANK.get(it.command.action, 0), it.number


def _appended(made: Settled, dossier: Dossier, said: Sequence[Said], terms: Terms) -> Settled:
    for it in said:
        try:
            step = take(dossier, it.asked(dossier), terms)
        except HubError as refusal:
            made.refused[it.number] = refusal, dossier
            continue
        dossier = step.after
        made.steps.append(replace(step, ministry_event=it.number))
        made.taken[it.number] = dossier.version
    return made


def _placed(
    known: Dossier, entries: Sequence[Entry], said: Sequence[Said], terms: Terms, made: Settled
) -> list[_Placed]:
    """The history with each of these where its time puts it. Raises where what others did would not fit any more."""
    numbers = {it.number for it in said}
    counted = {entry.ministry_event for entry in entries}
    line = _Line(known, terms, counted, made)
    fixed = [entry for entry in entries if entry.ministry_event not in numbers]
    for it in said:
        assert it.command.at is not None
        while fixed and fixed[0].at <= it.command.at:
            line.keep(fixed.pop(0))
        line.put(it)
    for entry in fixed:
        line.keep(entry)
    return line.placed


class _Line:
    """A history as it is put together, in the order of time."""

    def __init__(self, known: Dossier, terms: Terms, counted: Collection[int | None], made: Settled) -> None:
        self.placed: list[_Placed] = []
        self._known, self._terms, self._counted, self._made = known, terms, counted, made
        self._dossier = history.filed(known)
        self._early: list[Said] = []

    def keep(self, entry: Entry) -> None:
        """What stands. Raises `StepDoesNotFit`, `TimeGoesBack`."""
        [after] = history.replay(self._known, [entry], self._terms, since=self._dossier)
        self._place(entry, after)
        if entry.action == "settle":  # what waited for the money is taken up at once
            early, self._early = self._early, []
            for it in early:
                self.put(_at(it, self._dossier.last_at))

    def put(self, it: Said) -> None:
        """What a ministry said, if the life allows it here."""
        before = self._dossier
        after = _tried(self._known, before, it, self._terms, was_taken=it.number in self._counted)
        if isinstance(after, HubError):
            self._made.refused[it.number] = after, before
            if is_too_early(after, it.command, before):
                self._early.append(it)
            return
        self._made.refused.pop(it.number, None)
        self._place(_an_entry(it, before), after)

    def _place(self, entry: Entry, after: Dossier) -> None:
        self.placed.append(_Placed(entry, self._dossier, after))
        self._dossier = after


def _tried(known: Dossier, dossier: Dossier, it: Said, terms: Terms, *, was_taken: bool) -> Dossier | HubError:
    command = it.asked(dossier)
    try:
        after = take(dossier, command, terms).after
    except HubError as refusal:
        if not (was_taken and isinstance(refusal, _FACTS)):
            return refusal
        assert command.at is not None
        after = moved(dossier, LIFE[command.action], command, command.at, terms)
    return replace(after, charges=known.charges)


def _an_entry(it: Said, before: Dossier) -> Entry:
    command = it.asked(before)
    assert command.at is not None
    return Entry(
        version=0, action=command.action, at=command.at, reason=command.reason, actor=command.actor,
        documents=command.documents, legal_exception=command.legal_exception,
        identity_reason=command.identity_reason, ministry_event=it.number,
    )  # fmt: skip


def _corrected(
    made: Settled, known: Dossier, entries: Sequence[Entry], placed: Sequence[_Placed], now: datetime
) -> Dossier:
    """One transition that puts the ministry's steps in their order; the dossier after it."""
    was = {(entry.ministry_event, entry.action) for entry in entries}
    fresh = {it.entry.at for it in placed if (it.entry.ministry_event, it.entry.action) not in was}
    # Of the same moment as something new: brought in again behind it, for a history is put together by its times.
    again = [
        it
        for it in placed
        if it.entry.ministry_event is not None
        and it.entry.action != _MONEY
        and ((it.entry.ministry_event, it.entry.action) not in was or it.entry.at in fresh)
    ]
    stays = {it.entry.ministry_event for it in placed} - {it.entry.ministry_event for it in again}
    dropped = tuple(
        entry.ministry_event
        for entry in entries
        if entry.ministry_event is not None and entry.ministry_event not in stays
    )
    version = known.version + 1
    last = placed[-1].after if placed else history.filed(known)
    after = replace(
        last, version=version, transition_version=version, has_digitised=known.has_digitised or last.has_digitised,
    )  # fmt: skip
    outcome = Outcome(
        after,
        [],
        [correction.added(it.entry, it.before, it.after) for it in again],
        [correction.progress_row(it.entry, it.after) for it in again if it.before.status != it.after.status],
        dropped,
    )
    at = max(now, after.last_at)
    detail = {"reason": "Sự kiện của bộ, ngành đến muộn được đặt lại theo thời điểm xảy ra"}
    made.steps.append(correction.as_step(known, outcome, at, {"name": "LGSP Hub"}, detail))
    made.taken |= {it.entry.ministry_event: version for it in again if it.entry.ministry_event is not None}
    return after
