"""Due times in the province's working time. Plain arithmetic on a precomputed calendar.

Working time is 07:00-11:30 and 13:30-17:00, Vietnamese time, Monday to Friday without public holidays, plus
the Saturdays that a yearly government decision swaps for a day off: eight hours a day.

How a limit is counted (working days as the one-stop shops do, Decree 61/2018/NĐ-CP; calendar days by the
Civil Code 2015, art. 147-148):

    hours           working hours: 8 hours from Monday 09:00 end on Tuesday 09:00
    working_days    eight working hours each: 5 days from Monday 09:00 end next Monday 09:00
    calendar_days   the day itself does not count, the last one ends with its working time (17:00); a last day
                    off moves to the next working day. Ending with the day keeps "who starts later is due no
                    earlier" true.

Every due time is the earliest instant at which the limit is used up: 17:00 and not 07:00 of the next day.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from shared.errors import InvalidRequest

Unit = Literal["hours", "working_days", "calendar_days"]
SupplementPolicy = Literal["extend", "restart"]

Interval = tuple[datetime, datetime | None]
"""From, to; None: it has not ended."""

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
OPENS, NOON_STOP, NOON_START, CLOSES = time(7, 0), time(11, 30), time(13, 30), time(17, 0)
HAND_OVER = time(15, 0)  # what is received later is taken over on the next working day
FIRST_DAY, LAST_DAY = date(1990, 1, 1), date(2060, 12, 31)

_SECOND = 1_000_000  # everything below counts microseconds, so that nothing is rounded
_OPENS = OPENS.hour * 3600 * _SECOND
_NOON_STOP = (NOON_STOP.hour * 3600 + NOON_STOP.minute * 60) * _SECOND
_NOON_START = (NOON_START.hour * 3600 + NOON_START.minute * 60) * _SECOND
_CLOSES = CLOSES.hour * 3600 * _SECOND
_MORNING = _NOON_STOP - _OPENS
_DAY = _MORNING + _CLOSES - _NOON_START
_HOUR = 3600 * _SECOND


class DeadlineOutOfCalendar(InvalidRequest):
    """A day before 1990 or after 2060: the calendar has no working days there."""

    code = "deadline_out_of_calendar"
    title = "The date lies outside the working calendar"


@dataclass(frozen=True, slots=True)
class Limit:
    """A processing time: `value` in `unit`."""

    value: int
    unit: Unit


@dataclass(frozen=True)
class WorkingCalendar:
    """Which days are worked. `extra_working_days` are, though a weekend or a holiday."""

    holidays: frozenset[date]
    extra_working_days: frozenset[date] = frozenset()
    # The ordinals of the working days; and for each day since FIRST_DAY: is it worked, how many are before.
    _days: list[int] = field(init=False, repr=False, compare=False)
    _works: bytearray = field(init=False, repr=False, compare=False)
    _before: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        first, last = FIRST_DAY.toordinal(), LAST_DAY.toordinal()
        off, extra = _ordinals(self.holidays), _ordinals(self.extra_working_days)
        # date.toordinal() of a Monday is 1 modulo 7.
        works = bytearray(day in extra or ((day - 1) % 7 < 5 and day not in off) for day in range(first, last + 1))
        before, count = [0] * len(works), 0
        for index, worked in enumerate(works):
            before[index] = count
            count += worked
        object.__setattr__(self, "_works", works)
        object.__setattr__(self, "_before", before)
        object.__setattr__(self, "_days", [first + index for index, worked in enumerate(works) if worked])

    def is_working_day(self, day: date) -> bool:
        """Whether the offices are open that day."""
        return bool(self._works[_index(day.toordinal())])

    def position(self, instant: datetime) -> int:
        """Working microseconds from FIRST_DAY to `instant`."""
        local = instant.astimezone(VIETNAM)
        index = _index(local.toordinal())
        worked = _worked(_time_of_day(local)) if self._works[index] else 0
        return self._before[index] * _DAY + worked

    def instant(self, position: int) -> datetime:
        """The earliest instant at `position`: the end of a working day, not the start of the next."""
        whole, rest = divmod(position, _DAY)
        if rest == 0 and whole > 0:
            whole, rest = whole - 1, _DAY
        if whole >= len(self._days):
            raise DeadlineOutOfCalendar
        since_midnight = rest + (_OPENS if rest <= _MORNING else _NOON_START - _MORNING)
        return _local(self._days[whole], since_midnight)

    def next_working_day(self, ordinal: int) -> int:
        """`ordinal` itself when worked, else the first worked day after it."""
        at = bisect_left(self._days, ordinal)
        if at == len(self._days):
            raise DeadlineOutOfCalendar
        return self._days[at]


def clock_start(calendar: WorkingCalendar, received_at: datetime) -> datetime:
    """When the clock starts: at the reception in working hours, else when the offices open next.

    What is received after 15:00 of a working day is handed over, and counts, from the start of the next one
    (Decree 61/2018/NĐ-CP).
    """
    local = received_at.astimezone(VIETNAM)
    ordinal, clock = local.toordinal(), local.time()
    if not calendar._works[_index(ordinal)] or clock > HAND_OVER:
        return _local(calendar.next_working_day(ordinal + 1), _OPENS)
    if clock < OPENS:
        return _local(ordinal, _OPENS)
    if NOON_STOP < clock < NOON_START:
        return _local(ordinal, _NOON_START)
    return received_at.astimezone(UTC)


def due_at(calendar: WorkingCalendar, start: datetime, limit: Limit) -> datetime:
    """When a dossier whose clock starts at `start` is due. Never before `start`; UTC."""
    if limit.unit == "calendar_days":
        return _due_on(calendar, start, limit.value)
    length = limit.value * (_HOUR if limit.unit == "hours" else _DAY)
    if length == 0:
        return start.astimezone(UTC)
    return calendar.instant(calendar.position(start) + length)


def working_time_between(calendar: WorkingCalendar, a: datetime, b: datetime) -> timedelta:
    """Working time from `a` to `b`; negative when `b` is the earlier."""
    return timedelta(microseconds=calendar.position(b) - calendar.position(a))


def due_after_pause(
    calendar: WorkingCalendar, due: datetime, paused_at: datetime, resumed_at: datetime, unit: Unit
) -> datetime:
    """The due time after a pause: what was left of the limit when it began is left when it ends.

    Days left are counted in calendar days where the limit is. A dossier already late stays due when it was.
    """
    if paused_at >= due or resumed_at <= paused_at:
        return due
    if unit == "calendar_days":
        days = due.astimezone(VIETNAM).toordinal() - paused_at.astimezone(VIETNAM).toordinal()
        return max(due, _due_on(calendar, resumed_at, days))
    left = calendar.position(due) - calendar.position(paused_at)
    return max(due, calendar.instant(calendar.position(resumed_at) + left))


def due_after_supplement(
    calendar: WorkingCalendar,
    policy: SupplementPolicy,
    limit: Limit,
    due: datetime,
    *,
    asked_at: datetime,
    answered_at: datetime,
) -> datetime:
    """The due time once a supplement came: `extend` pauses the clock, `restart` counts the limit anew.

    Never earlier than before: a dossier whose time was extended keeps that time.
    """
    if policy == "restart":
        return max(due, due_at(calendar, clock_start(calendar, answered_at), limit))
    return due_after_pause(calendar, due, asked_at, answered_at, limit.unit)


def used_time(calendar: WorkingCalendar, start: datetime, until: datetime, pauses: Iterable[Interval]) -> timedelta:
    """Working time from `start` to `until` outside the pauses (which do not overlap); nothing before `start`.

    A pause without an end lasts until `until`.
    """
    first, last = calendar.position(start), calendar.position(until)
    used = max(0, last - first)
    for began, ended in pauses:
        within = max(first, calendar.position(began)), min(last, last if ended is None else calendar.position(ended))
        used -= max(0, within[1] - within[0])
    return timedelta(microseconds=used)


def hours_ahead(calendar: WorkingCalendar, now: datetime, hours: int) -> datetime:
    """The instant `hours` working hours from now; outside working time they begin when the offices open."""
    return calendar.instant(calendar.position(now) + hours * _HOUR)


def _due_on(calendar: WorkingCalendar, start: datetime, days: int) -> datetime:
    """The close of the working day `days` calendar days after `start`, or of the next one worked."""
    local = start.astimezone(VIETNAM)
    last = calendar.next_working_day(local.toordinal() + days)
    return max(start.astimezone(UTC), _local(last, _CLOSES))


def _ordinals(days: Iterable[date]) -> frozenset[int]:
    return frozenset(day.toordinal() for day in days)


def _index(ordinal: int) -> int:
    first = FIRST_DAY.toordinal()
    if not first <= ordinal <= LAST_DAY.toordinal():
        raise DeadlineOutOfCalendar
    return ordinal - first


def _time_of_day(local: datetime) -> int:
    return (local.hour * 3600 + local.minute * 60 + local.second) * _SECOND + local.microsecond


def _worked(since_midnight: int) -> int:
    """Working microseconds of a working day until `since_midnight`."""
    if since_midnight <= _NOON_START:
        return max(0, min(since_midnight, _NOON_STOP) - _OPENS)
    return _MORNING + min(since_midnight, _CLOSES) - _NOON_START


def _local(ordinal: int, since_midnight: int) -> datetime:
    midnight = datetime.combine(date.fromordinal(ordinal), time(0), tzinfo=VIETNAM)
    return (midnight + timedelta(microseconds=since_midnight)).astimezone(UTC)
