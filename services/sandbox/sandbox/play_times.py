"""When the steps of a dossier happen, once the hub has answered its due time. Seconds since the epoch.

```
received ── asked to pay, collected at the counter ── started ── finished ── returned
            └─ within the period ─────────────────────────────┘
on time    finished between receipt (or the period's start) and the earlier of due time and period's end
late       finished between the due time and the period's end
otherwise  some are started, some are not; nothing more happens in the period
```
Every step is at least a second after the one before, so that no two progress rows are equal.
"""

from random import Random
from typing import NamedTuple

from sandbox.plan import PlannedDossier
from sandbox.plan_dates import Period

_DAY = 86_400


class DueTimeImpossible(Exception):
    """The hub's due time does not let the dossier end as planned; the message is one sentence."""


class Times(NamedTuple):
    """The moments of one dossier; None for what does not happen."""

    asked_to_pay: tuple[int, ...]
    collected: tuple[int, ...]
    started: int | None
    finished: int | None
    returned: int | None


def is_started(dossier: PlannedDossier) -> bool:
    """Half of what stays in progress is already being worked on."""
    return dossier.is_resolved or dossier.number % 2 == 0


def is_returned(dossier: PlannedDossier) -> bool:
    """Most results are handed out within the period; some wait to be fetched."""
    return dossier.is_resolved and dossier.number % 12 != 0


def times(dossier: PlannedDossier, period: Period, due_at: int) -> Times:
    """The moments of a dossier with this due time. Raises `DueTimeImpossible`."""
    random = Random(dossier.number)
    first = max(dossier.received_at, period.start)
    finished = _finished(random, dossier, period, due_at, first)
    until = finished if finished is not None else min(period.end, first + 5 * _DAY)
    # The steps before the end, in this order, at equal distances.
    asked, collected = len(dossier.online_amounts), len(dossier.counter_amounts)
    step = (until - first) // (asked + collected + 3)
    if step < 1:
        raise DueTimeImpossible(f"Dossier {dossier.number} has no time for its steps between receipt and {until}.")
    moments = [first + step * n for n in range(1, asked + collected + 2)]
    started = moments[-1] if is_started(dossier) else None
    returned = None
    if finished is not None and is_returned(dossier):
        returned = max(finished + 60, min(finished + random.randrange(600, 2 * _DAY), period.end - 1))
    return Times(tuple(moments[:asked]), tuple(moments[asked : asked + collected]), started, finished, returned)


def progress(dossier: PlannedDossier, when: Times) -> list[tuple[int, int]]:
    """The progress rows the portal must end up with: (second, status), in order."""
    rows = [(dossier.submitted_at, 1), (dossier.received_at, 2)]
    for asked in when.asked_to_pay:
        # A paid charge settles back at the payment's own time, which is the request's: the platform echoes it.
        rows += [(asked, 6), (asked, 2)]
    for moment, status in ((when.started, 4), (when.finished, 9), (when.returned, 10)):
        if moment is not None:
            rows.append((moment, status))
    return rows


def _finished(random: Random, dossier: PlannedDossier, period: Period, due_at: int, first: int) -> int | None:
    if dossier.outcome == "on_time":
        last = min(due_at, period.end - 1)
        share = random.uniform(0.3, 0.95)
        return first + int((last - first) * share)
    if dossier.outcome == "late":
        start = max(due_at, first)
        room = period.end - 1 - start
        if room < 60:
            raise DueTimeImpossible(f"Dossier {dossier.number} is due so late that it cannot end late in the period.")
        return start + random.randrange(30, min(room, 10 * _DAY))
    if (dossier.outcome == "in_progress") is not (due_at >= period.end):
        raise DueTimeImpossible(f"Dossier {dossier.number} is due at {due_at}, on the wrong side of the period's end.")
    return None
