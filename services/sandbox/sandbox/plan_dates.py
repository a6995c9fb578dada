"""When a planned dossier is filed and received. Everything later hangs on the due time that the hub answers.

```
on time, in progress   due after the period ends: received within the procedure's shortest limit before that
late, overdue          due before the period ends: received its longest limit, holidays included, before that
carried over           received shortly before the period, due within it
```
Moments are whole seconds since the epoch; days are Vietnam's.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Literal

from sandbox.plan_procedures import Procedure, Procedures
from sandbox.plan_tables import TablesUnusable
from shared.clock import VIETNAM

Outcome = Literal["on_time", "late", "in_progress", "overdue"]

_DAY = 86_400
_HOUR = 3_600
_OPENS, _CLOSES = 7 * _HOUR + 900, 16 * _HOUR + 2_700  # the counter: 07:15 to 16:45
_OFFSET = 7 * _HOUR  # Vietnam, without summer time since 1975
_CARRIED_AT_MOST = 10 * _DAY
SHORTEST_PERIOD_DAYS = 21
"""A late dossier needs time to become late in, Tết included."""


@dataclass(frozen=True, slots=True)
class Period:
    """The days from `first` to `last`, both included."""

    first: date
    last: date

    @property
    def start(self) -> int:
        """The first second of the period."""
        return _midnight(self.first)

    @property
    def end(self) -> int:
        """The first second after the period."""
        return _midnight(self.last + timedelta(days=1))

    def require_playable(self) -> None:
        """Raises `TablesUnusable` when the period is too short for late dossiers."""
        if (self.last - self.first).days + 1 < SHORTEST_PERIOD_DAYS:
            raise TablesUnusable(f"A period must have at least {SHORTEST_PERIOD_DAYS} days.")


@dataclass(frozen=True, slots=True)
class Aim:
    """What a dossier is to become."""

    agency_no: int
    carried: bool
    outcome: Outcome


def choose(random: Random, period: Period, procedures: Procedures, aim: Aim) -> tuple[Procedure, int]:
    """A procedure of the agency and a moment of receipt that make this outcome possible."""
    own, carried, outcome = procedures.of_agency[aim.agency_no], aim.carried, aim.outcome
    if outcome in ("late", "overdue"):
        fitting = [each for each in own if _seconds(each.at_most) < (period.end - period.start) // 2]
        procedure = random.choice(fitting or [procedures.short])
        if carried:
            return procedure, _carried(random, period, procedure)
        latest = max(period.end - _seconds(procedure.at_most), period.start + _DAY)
        return procedure, _moment(random, period.start, latest)
    if carried and outcome == "in_progress":
        return procedures.long, _carried(random, period, procedures.long)
    if carried or outcome == "in_progress":
        fitting = [each for each in own if each.at_least >= timedelta(days=2)]
        procedure = random.choice(fitting or [procedures.middling])
        if carried:
            return procedure, _carried(random, period, procedure)
        earliest = max(period.start, period.end - _seconds(procedure.at_least))
        return procedure, _moment(random, earliest + _HOUR, period.end - 7 * _HOUR)
    return random.choice(own), _moment(random, period.start, period.end - 7 * _HOUR)


def submitted(random: Random, received_at: int, channel: str) -> int:
    """Filing comes before receipt: minutes at the counter, up to a day online."""
    if channel == "counter":
        return received_at - random.randrange(60, 900)
    return received_at - random.randrange(300, 16 * _HOUR)


def _carried(random: Random, period: Period, procedure: Procedure) -> int:
    window = min(_CARRIED_AT_MOST, max(_seconds(procedure.at_least) // 2, _DAY))
    return _moment(random, period.start - window, period.start - 7 * _HOUR)


def _moment(random: Random, earliest: int, latest: int) -> int:
    """A second in the range: while the counter is open, on a weekday where the range has one."""
    first = _day(earliest)
    days = _day(latest) - first + 1
    for tries in range(24):
        day = first + random.randrange(days)
        moment = day * _DAY - _OFFSET + random.randrange(_OPENS, _CLOSES)
        # 1970-01-01 was a Thursday. After a dozen tries any day will do, a weekend's range has no weekday.
        if earliest <= moment < latest and ((day + 3) % 7 < 5 or tries >= 12):
            return moment
    return random.randrange(earliest, max(latest, earliest + 1))


def _day(moment: int) -> int:
    """Days since 1970-01-01 on Vietnam's calendar."""
    return (moment + _OFFSET) // _DAY


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), VIETNAM).timestamp())


def _seconds(length: timedelta) -> int:
    return int(length.total_seconds())
