"""When the steps of a dossier happen, given the due time that the hub answered."""

from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import play_times
from sandbox.plan import PlannedDossier
from sandbox.plan_dates import Outcome, Period
from sandbox.plan_procedures import Procedure
from sandbox.play_times import DueTimeImpossible

DAY = 86_400
PERIOD = Period(date(2023, 1, 1), date(2023, 12, 25))
PROCEDURE = Procedure("2.000488.H08", "Cấp phiếu", "H08-LV01", "Tư pháp", 10, "working_days")
moments = st.integers(PERIOD.start - 5 * DAY, PERIOD.end - DAY)
amounts = st.lists(st.integers(1, 10**7), max_size=4).map(tuple)


def a_dossier(outcome: Outcome = "on_time", number: int = 1, **members: Any) -> PlannedDossier:
    usual = PlannedDossier(
        number=number,
        agency_no=15,
        procedure=PROCEDURE,
        channel="online",
        carried=False,
        outcome=outcome,
        submitted_at=PERIOD.start + 9 * DAY,
        received_at=PERIOD.start + 10 * DAY,
        identity="match",
        digitised=True,
        electronic=True,
        online_amounts=(),
        counter_amounts=(),
    )
    return usual._replace(**members)


@settings(deadline=None, max_examples=60)
@given(moments, st.integers(3600, 60 * DAY), amounts, amounts, st.integers(0, 10_000))
def test_a_dossier_on_time_ends_before_it_is_due_and_within_the_period(
    received_at: int, limit: int, online: tuple[int, ...], counter: tuple[int, ...], number: int
) -> None:
    due_at = max(received_at, PERIOD.start) + limit
    dossier = a_dossier(received_at=received_at, online_amounts=online, counter_amounts=counter, number=number)
    when = play_times.times(dossier, PERIOD, due_at)
    assert when.finished is not None
    assert when.started is not None
    assert PERIOD.start <= when.finished <= min(due_at, PERIOD.end - 1)
    steps = [received_at, *when.asked_to_pay, *when.collected, when.started, when.finished]
    steps += [when.returned] if when.returned else []
    assert all(earlier < later for earlier, later in pairwise(steps))
    assert all(PERIOD.start <= paid < PERIOD.end for paid in (*when.asked_to_pay, *when.collected))


@settings(deadline=None, max_examples=60)
@given(st.integers(PERIOD.start + DAY, PERIOD.end - 3600), st.integers(0, 10_000))
def test_a_late_dossier_ends_after_it_is_due_and_within_the_period(due_at: int, number: int) -> None:
    received_at = PERIOD.start - DAY
    when = play_times.times(a_dossier("late", number, received_at=received_at), PERIOD, due_at)
    assert when.finished is not None
    assert due_at < when.finished < PERIOD.end


def test_progress_rows_are_the_transitions_that_change_the_status() -> None:
    dossier = a_dossier(online_amounts=(5000, 7000))
    when = play_times.times(dossier, PERIOD, PERIOD.start + 30 * DAY)
    rows = play_times.progress(dossier, when)
    assert [status for _, status in rows] == [1, 2, 6, 2, 6, 2, 4, 9, 10]
    assert len(set(rows)) == len(rows)


def test_what_stays_in_progress_never_ends() -> None:
    received_at = PERIOD.end - 2 * DAY
    for number in (0, 1):
        when = play_times.times(a_dossier("in_progress", number, received_at=received_at), PERIOD, PERIOD.end + DAY)
        assert (when.started is not None) is (number == 0)
        assert when.finished is None
        assert when.returned is None


@pytest.mark.parametrize(
    ("outcome", "due_at"),
    [
        ("late", PERIOD.end + DAY),
        ("in_progress", PERIOD.end - DAY),
        ("overdue", PERIOD.end + DAY),
        ("on_time", PERIOD.start + 10 * DAY),
    ],
)
def test_a_due_time_that_spoils_the_plan_is_refused_in_a_sentence(outcome: Outcome, due_at: int) -> None:
    with pytest.raises(DueTimeImpossible, match=r"^Dossier 1 "):
        play_times.times(a_dossier(outcome), PERIOD, due_at)
