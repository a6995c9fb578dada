"""Due times: examples from the calendar of 2023, and the algebra they must obey."""

import time
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.deadline import (
    VIETNAM,
    DeadlineOutOfCalendar,
    Limit,
    SupplementPolicy,
    Unit,
    WorkingCalendar,
    clock_start,
    due_after_pause,
    due_after_supplement,
    due_at,
    hours_ahead,
    used_time,
    working_time_between,
)
from dossier.working_calendar import vietnam

CALENDAR = vietnam()
moments = st.datetimes(datetime(2022, 1, 1), datetime(2026, 12, 31), timezones=st.just(VIETNAM))  # noqa: DTZ001
units: st.SearchStrategy[Unit] = st.sampled_from(["hours", "working_days", "calendar_days"])
limits = st.builds(Limit, st.integers(0, 120), units)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=VIETNAM)


@pytest.mark.parametrize(
    ("received", "starts"),
    [
        ("2023-03-01T08:30", "2023-03-01T08:30"),  # in working time
        ("2023-03-01T15:00", "2023-03-01T15:00"),  # the last minute of the day's hand-over
        ("2023-03-01T15:00:01", "2023-03-02T07:00"),
        ("2023-03-01T06:10", "2023-03-01T07:00"),
        ("2023-03-01T12:00", "2023-03-01T13:30"),
        ("2023-03-03T16:00", "2023-03-06T07:00"),  # Friday afternoon
        ("2023-03-04T09:00", "2023-03-06T07:00"),  # Saturday
        ("2023-01-20T09:00", "2023-01-27T07:00"),  # Tết
        ("2024-05-04T09:00", "2024-05-04T09:00"),  # a Saturday worked for 29 April
        ("2026-01-10T09:00", "2026-01-10T09:00"),  # a swap of the overlay
        ("2026-01-02T09:00", "2026-01-05T07:00"),
    ],
)
def test_clock_starts_when_the_offices_take_over(received: str, starts: str) -> None:
    assert clock_start(CALENDAR, at(received)) == at(starts)


@pytest.mark.parametrize(
    ("start", "value", "unit", "due"),
    [
        ("2023-03-01T08:30", 8, "hours", "2023-03-02T08:30"),
        ("2023-03-01T07:00", 8, "hours", "2023-03-01T17:00"),
        ("2023-03-01T10:30", 1, "hours", "2023-03-01T11:30"),
        ("2023-03-01T10:30", 2, "hours", "2023-03-01T14:30"),
        ("2023-03-01T09:00", 5, "working_days", "2023-03-08T09:00"),
        ("2023-03-02T07:00", 1, "working_days", "2023-03-02T17:00"),
        ("2023-01-19T09:00", 1, "working_days", "2023-01-27T09:00"),  # over Tết
        ("2023-03-01T09:00", 30, "calendar_days", "2023-03-31T17:00"),
        ("2023-03-01T09:00", 3, "calendar_days", "2023-03-06T17:00"),  # ends on a Saturday
        ("2023-04-28T09:00", 1, "calendar_days", "2023-05-04T17:00"),  # ends on the Hùng Kings' day
    ],
)
def test_due_time_uses_up_the_limit(start: str, value: int, unit: Unit, due: str) -> None:
    assert due_at(CALENDAR, at(start), Limit(value, unit)) == at(due)


@given(moments, moments, limits)
def test_who_starts_later_is_due_no_earlier(a: datetime, b: datetime, limit: Limit) -> None:
    first, second = sorted((clock_start(CALENDAR, a), clock_start(CALENDAR, b)))
    assert due_at(CALENDAR, first, limit) <= due_at(CALENDAR, second, limit)


@given(moments, moments)
def test_clock_start_keeps_the_order_of_reception(a: datetime, b: datetime) -> None:
    first, second = sorted((a, b))
    assert clock_start(CALENDAR, first) <= clock_start(CALENDAR, second)
    assert clock_start(CALENDAR, first) >= first


@given(moments, st.integers(0, 120), units)
def test_longer_limit_is_due_no_earlier(received: datetime, value: int, unit: Unit) -> None:
    start = clock_start(CALENDAR, received)
    assert due_at(CALENDAR, start, Limit(value, unit)) <= due_at(CALENDAR, start, Limit(value + 1, unit))


@given(moments, st.integers(1, 400))
def test_working_time_until_due_is_the_limit(received: datetime, hours: int) -> None:
    start = clock_start(CALENDAR, received)
    due = due_at(CALENDAR, start, Limit(hours, "hours"))
    assert working_time_between(CALENDAR, start, due) == timedelta(hours=hours)
    assert working_time_between(CALENDAR, start, due - timedelta(microseconds=1)) < timedelta(hours=hours)


@given(moments, st.integers(1, 60))
def test_a_working_day_is_eight_hours(received: datetime, days: int) -> None:
    start = clock_start(CALENDAR, received)
    assert due_at(CALENDAR, start, Limit(days, "working_days")) == due_at(CALENDAR, start, Limit(8 * days, "hours"))


@given(moments, limits)
def test_due_time_is_in_working_time_and_never_on_a_holiday(received: datetime, limit: Limit) -> None:
    start = clock_start(CALENDAR, received)
    due = due_at(CALENDAR, start, limit).astimezone(VIETNAM)
    assert due >= start
    assert CALENDAR.is_working_day(due.date())
    assert due.date() in CALENDAR.extra_working_days or due.date() not in CALENDAR.holidays
    clock = due.strftime("%H:%M:%S.%f")
    assert "07:00" <= clock <= "11:30:00.000000" or "13:30" <= clock <= "17:00:00.000000"


@given(moments, moments, moments)
def test_working_time_adds_up(a: datetime, b: datetime, c: datetime) -> None:
    whole = working_time_between(CALENDAR, a, c)
    assert whole == working_time_between(CALENDAR, a, b) + working_time_between(CALENDAR, b, c)


@given(moments, limits, st.integers(0, 2000), st.integers(0, 2000))
def test_pause_leaves_what_was_left(received: datetime, limit: Limit, worked_hours: int, paused: int) -> None:
    start = clock_start(CALENDAR, received)
    due = due_at(CALENDAR, start, limit)
    paused_at = start + timedelta(hours=worked_hours)
    resumed_at = paused_at + timedelta(hours=paused)
    moved = due_after_pause(CALENDAR, due, paused_at, resumed_at, limit.unit)
    assert moved >= due
    if paused_at >= due:
        assert moved == due
    elif limit.unit != "calendar_days":
        left = working_time_between(CALENDAR, paused_at, due)
        assert left == working_time_between(CALENDAR, resumed_at, moved)


@given(moments, st.integers(1, 60), units, st.lists(st.integers(1, 300), max_size=8))
def test_what_is_due_less_what_is_used_is_left(received: datetime, value: int, unit: Unit, hours: list[int]) -> None:
    """Work and pauses take turns; at any time limit = used outside the pauses + left until due."""
    start = clock_start(CALENDAR, received)
    due = due_at(CALENDAR, start, Limit(value, unit))
    limit, now = working_time_between(CALENDAR, start, due), start
    pauses: list[tuple[datetime, datetime | None]] = []
    for worked, paused in zip(hours[::2], hours[1::2], strict=False):
        began = now + timedelta(hours=worked)
        now = began + timedelta(hours=paused)
        if began >= due:
            break
        before, due = due, due_after_pause(CALENDAR, due, began, now, unit)
        assert due >= before
        pauses.append((began, now))
        used = used_time(CALENDAR, start, now, pauses)
        assert used_time(CALENDAR, start, now, [*pauses[:-1], (began, None)]) == used
        if unit != "calendar_days":
            assert limit - used == working_time_between(CALENDAR, now, due)
    assert CALENDAR.is_working_day(due.astimezone(VIETNAM).date())


@given(moments, limits, st.integers(0, 500), st.integers(0, 500), st.sampled_from(["extend", "restart"]))
def test_a_supplement_never_shortens(
    received: datetime, limit: Limit, worked: int, paused: int, policy: SupplementPolicy
) -> None:
    start = clock_start(CALENDAR, received)
    due, asked = due_at(CALENDAR, start, limit), start + timedelta(hours=worked)
    answered = asked + timedelta(hours=paused)
    assert due_after_supplement(CALENDAR, policy, limit, due, asked_at=asked, answered_at=answered) >= due


def test_an_extended_time_survives_a_restart() -> None:
    due = at("2023-06-30T17:00")
    limit = Limit(5, "working_days")
    moved = due_after_supplement(
        CALENDAR, "restart", limit, due, asked_at=at("2023-03-02T10:00"), answered_at=at("2023-03-10T16:00")
    )
    assert moved == due


def test_nothing_is_used_before_the_clock_starts() -> None:
    start = at("2023-03-02T07:00")
    assert used_time(CALENDAR, start, at("2023-03-01T16:00"), []) == timedelta(0)
    pauses = [(at("2023-03-01T08:00"), at("2023-03-01T10:00"))]
    assert used_time(CALENDAR, start, at("2023-03-02T09:00"), pauses) == timedelta(hours=2)


def test_hours_ahead_are_working_hours() -> None:
    assert hours_ahead(CALENDAR, at("2023-03-03T16:00"), 8) == at("2023-03-06T16:00")
    assert hours_ahead(CALENDAR, at("2023-03-04T10:00"), 1) == at("2023-03-06T08:00")


def test_restart_counts_the_whole_limit_again() -> None:
    limit = Limit(5, "working_days")
    due = due_after_supplement(
        CALENDAR,
        "restart",
        limit,
        at("2023-03-08T09:00"),
        asked_at=at("2023-03-02T10:00"),
        answered_at=at("2023-03-10T16:00"),
    )
    assert due == at("2023-03-17T17:00")


def test_extend_pauses_the_clock() -> None:
    limit = Limit(5, "working_days")
    due = due_after_supplement(
        CALENDAR,
        "extend",
        limit,
        at("2023-03-08T09:00"),
        asked_at=at("2023-03-02T09:00"),
        answered_at=at("2023-03-09T09:00"),
    )
    assert due == at("2023-03-15T09:00")


def test_a_day_outside_the_calendar_is_refused_by_name() -> None:
    for moment in (datetime(1980, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)):
        with pytest.raises(DeadlineOutOfCalendar):
            clock_start(CALENDAR, moment)
    with pytest.raises(DeadlineOutOfCalendar):
        due_at(CALENDAR, datetime(2060, 12, 1, tzinfo=UTC), Limit(9999, "working_days"))


def test_ten_thousand_due_times_take_less_than_a_second() -> None:
    start = at("2023-03-01T09:00")
    limits = [Limit(20, "working_days"), Limit(12, "hours"), Limit(30, "calendar_days")]
    began = time.process_time()  # of the processor: what else runs on the machine is no fault of ours
    for number in range(10_000):
        due_at(CALENDAR, clock_start(CALENDAR, start + timedelta(minutes=37 * number)), limits[number % 3])
    assert time.process_time() - began < 1


def test_a_calendar_without_holidays_works_every_weekday() -> None:
    calendar = WorkingCalendar(frozenset(), frozenset({date(2023, 3, 4)}))
    assert calendar.is_working_day(date(2023, 1, 23))
    assert calendar.is_working_day(date(2023, 3, 4))
    assert not calendar.is_working_day(date(2023, 3, 5))
