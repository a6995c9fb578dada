"""The tables of the province's year, as it published them; and the algebra of counts and rates."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.report import (
    DOSSIER_COLUMNS,
    FEE_COLUMNS,
    VIETNAM,
    Counts,
    Fees,
    Period,
    PeriodInvalid,
    dossier_row,
    dossier_table,
    fee_table,
    number_of,
    rate_pct,
    total,
)

small = st.integers(0, 1000)


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    received = draw(small)
    carried = draw(small)
    resolved = draw(st.integers(0, received + carried))
    late = draw(st.integers(0, resolved))
    overdue = draw(st.integers(0, received + carried - resolved))
    paying = draw(small)
    return Counts(
        received_in_period=received,
        received_online=draw(st.integers(0, received)),
        carried_over=carried,
        resolved_on_time=resolved - late,
        resolved_late=late,
        in_progress_on_time=received + carried - resolved - overdue,
        in_progress_overdue=overdue,
        population_db_used=draw(st.integers(0, received)),
        digitised=draw(st.integers(0, received)),
        electronic_results=draw(st.integers(0, resolved)),
        online_paying_dossiers=draw(st.integers(0, paying)),
        paying_dossiers=paying,
    )


@pytest.mark.parametrize(
    ("part", "whole", "rate"),
    [
        (63629, 96047, 66.2),  # Bình Định 2023
        (1, 2000, 0.1),  # 0.05 goes up
        (1, 2001, 0.0),
        (1, 3, 33.3),
        (2, 3, 66.7),
        (0, 0, 0.0),
        (5, 5, 100.0),
    ],
)
def test_rates_are_rounded_half_up_to_one_decimal(part: int, whole: int, rate: float) -> None:
    assert rate_pct(part, whole) == rate


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_rate_is_within_half_a_tenth_of_the_truth(part: int, whole: int) -> None:
    part = min(part, whole)
    error = Decimal(str(rate_pct(part, whole))) - Decimal(100 * part) / whole
    assert Decimal("-0.05") < error <= Decimal("0.05")


@given(counts())
def test_received_is_resolved_and_in_progress(it: Counts) -> None:
    row = dossier_row(1, "Sở Tư pháp", it)
    assert row["received_total"] == row["resolved_total"] + row["in_progress_total"]
    assert row["received_total"] == row["received_in_period"] + row["carried_over"]
    assert tuple(row) == DOSSIER_COLUMNS
    assert all(0.0 <= row[name] <= 100.0 for name in row if name.endswith("_pct"))


@given(st.lists(counts(), max_size=6))
def test_total_adds_up_every_count(several: list[Counts]) -> None:
    codes = {f"H08.{number:02d}": it for number, it in enumerate(several, start=1)}
    rows, bottom = dossier_table(codes, {})
    for name in DOSSIER_COLUMNS[2:]:
        if not name.endswith("_pct"):
            assert bottom[name] == sum(row[name] for row in rows)
    assert total(several, Counts()) == total(reversed(several), Counts())


def test_agencies_stand_in_order_of_their_numbers_with_those_that_had_nothing_to_do() -> None:
    names = {"H08": "Tỉnh Bình Định", "H08.02": "Sở Công Thương", "H08.10": "Sở Nội vụ", "H08.9": "Sở Ngoại vụ"}
    rows, bottom = dossier_table({"H08.10": Counts(received_in_period=1, in_progress_on_time=1)}, names)
    assert [(row["no"], row["agency"], row["received_total"]) for row in rows] == [
        (2, "Sở Công Thương", 0),
        (9, "Sở Ngoại vụ", 0),
        (10, "Sở Nội vụ", 1),
    ]
    assert (bottom["no"], bottom["agency"], bottom["received_total"]) == ("Σ", "Tổng số", 1)


def test_fees_have_the_columns_of_appendix_2() -> None:
    rows, bottom = fee_table({"H08.15": Fees(2, 400_000, 1, 8_000)}, {})
    assert tuple(rows[0]) == FEE_COLUMNS
    assert rows[0] == {
        "no": 15,
        "agency": "H08.15",
        "online_transactions": 2,
        "online_amount_vnd": 400_000,
        "counter_transactions": 1,
        "counter_amount_vnd": 8_000,
    }
    assert (bottom["no"], bottom["agency"], bottom["online_amount_vnd"]) == ("", "Tổng cộng", 400_000)


def test_period_is_whole_days_in_vietnam() -> None:
    period = Period(date(2023, 1, 1), date(2023, 12, 25))
    assert period.start == datetime(2023, 1, 1, tzinfo=VIETNAM)
    assert period.end == datetime(2023, 12, 26, tzinfo=VIETNAM)
    assert period.end - timedelta(microseconds=1) < period.end


@pytest.mark.parametrize("days", [(date(2023, 2, 1), date(2023, 1, 1)), (date.min, date.max)])
def test_impossible_periods_are_refused(days: tuple[date, date]) -> None:
    with pytest.raises(PeriodInvalid):
        Period(*days)


def test_numbers_of_codes() -> None:
    assert (number_of("H08.15"), number_of("H08"), number_of("H08.15.02")) == (15, None, None)
