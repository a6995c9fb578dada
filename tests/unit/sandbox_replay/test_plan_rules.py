"""The planner's arithmetic over made-up provinces."""

from datetime import date
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import plan, plan_money, plan_scale, plan_tables
from sandbox.plan_dates import Period
from sandbox.plan_tables import COUNTS, RATES, Published, Tables, TablesUnusable

QUARTER = Period(date(2024, 1, 1), date(2024, 3, 31))
# Everybody else runs on the same two cores: no deadline, few examples.
settings.register_profile("replay", deadline=None, max_examples=40)
few = settings.get_profile("replay")
small = st.integers(0, 400)


@st.composite
def a_published(draw: st.DrawFn, no: int) -> Published:
    resolved_on_time, resolved_late, on_time, overdue = draw(small), draw(small), draw(small), draw(small)
    total = resolved_on_time + resolved_late + on_time + overdue
    carried = draw(st.integers(0, total))
    online = draw(st.integers(0, total - carried))
    counts = dict(
        zip(
            COUNTS,
            (
                total,
                total - carried,
                online,
                carried,
                resolved_on_time + resolved_late,
                resolved_on_time,
                resolved_late,
                on_time + overdue,
                on_time,
                overdue,
            ),
            strict=True,
        )
    )
    rates = {rate: draw(st.none() | st.integers(0, 1000)) for rate in RATES}
    transactions = draw(st.tuples(small, small)) if total else (0, 0)
    amounts = [n * draw(st.integers(1, 90_000)) + (draw(small) if n else 0) for n in transactions]
    fees = {
        "online_transactions": transactions[0],
        "online_amount_vnd": amounts[0],
        "counter_transactions": transactions[1],
        "counter_amount_vnd": amounts[1],
    }
    return Published(no, f"Sở {no}", counts, rates, fees)


@st.composite
def a_province(draw: st.DrawFn) -> Tables:
    numbers = draw(st.lists(st.integers(1, 150), min_size=1, max_size=4, unique=True))
    return Tables(tuple(draw(a_published(no)) for no in sorted(numbers)), {}, True)


scales = st.fractions(Fraction(1, 1000), 1, max_denominator=1000)


@few
@given(a_province(), scales)
def test_totals_are_half_up_and_both_splits_add_up(tables: Tables, scale: Fraction) -> None:
    for published, counts in zip(tables.agencies, plan_scale.scaled(tables, scale), strict=True):
        exact = published.counts["received_total"] * scale
        assert abs(counts.received_total - exact) <= Fraction(1, 2)
        if (exact * 2).denominator == 1 and exact.denominator == 2:
            assert counts.received_total > exact
        assert counts.received_total == counts.resolved_total + counts.in_progress + counts.overdue
        assert 0 <= counts.with_register_outcome <= counts.received_in_period
        assert 0 <= counts.electronic <= counts.resolved_total


@few
@given(a_province())
def test_scale_one_changes_nothing(tables: Tables) -> None:
    for published, counts in zip(tables.agencies, plan_scale.scaled(tables, Fraction(1)), strict=True):
        assert counts.online == published.counts["received_online"]
        assert counts.carried_over == published.counts["carried_over"]
        assert counts.late == published.counts["resolved_late"]
        assert counts.overdue == published.counts["in_progress_overdue"]
        assert counts.online_amount_vnd == published.fees["online_amount_vnd"]


@few
@given(a_province(), scales)
def test_a_published_late_dossier_never_vanishes_from_the_province(tables: Tables, scale: Fraction) -> None:
    counts = plan_scale.scaled(tables, scale)
    was_late = any(
        published.counts["resolved_late"] and (kept.on_time or kept.late)
        for published, kept in zip(tables.agencies, counts, strict=True)
    )
    assert any(kept.late for kept in counts) is was_late


@few
@given(a_province(), scales, st.integers(0, 5))
def test_a_plan_is_the_same_twice_and_its_dossiers_make_its_tables(tables: Tables, scale: Fraction, seed: int) -> None:
    try:
        first = plan.make(tables, "H99", QUARTER, scale, seed)
    except TablesUnusable:
        assert all(counts.received_total == 0 for counts in plan_scale.scaled(tables, scale))
        return
    second = plan.make(tables, "H99", QUARTER, scale, seed)
    assert first.dossiers == second.dossiers
    fees = plan.fees_table(first)
    for counts in first.counts:
        own = [each for each in first.dossiers if each.agency_no == counts.no]
        assert len(own) == counts.received_total
        carried_and_resolved = sum(each.carried and each.is_resolved for each in own)
        assert carried_and_resolved == min(counts.carried_over, counts.resolved_total)
        amounts = [amount for each in own for amount in each.online_amounts]
        assert all(amount > 0 for amount in amounts)
        assert len(amounts) == fees[str(counts.no)]["online_transactions"]
        assert sum(amounts) == fees[str(counts.no)]["online_amount_vnd"]
        for each in own:
            if each.outcome == "in_progress" and each.carried:
                assert each.procedure is first.procedures.long


@few
@given(st.integers(1, 500), st.integers(0, 10**10), st.integers(0, 9))
def test_amounts_are_positive_and_add_up(transactions: int, spare: int, seed: int) -> None:
    amounts = plan_money.split(Random(seed), transactions + spare, transactions)
    assert len(amounts) == transactions
    assert min(amounts) > 0
    assert sum(amounts) == transactions + spare


@few
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6), st.integers(0, 10**6))
def test_largest_remainder_stays_within_one_of_each_quota(weights: list[int], total: int) -> None:
    shares = plan_scale.largest_remainder(weights, total)
    whole = sum(weights)
    if not whole:
        assert not any(shares)
        return
    assert sum(shares) == total
    for weight, share in zip(weights, shares, strict=True):
        assert abs(Fraction(weight * total, whole) - share) < 1


def test_the_largest_remainder_gets_what_is_left() -> None:
    assert plan_scale.largest_remainder((15352, 14, 729, 0), 322) == [307, 0, 15, 0]
    assert plan_scale.largest_remainder((1, 1, 1), 2) == [1, 1, 0]


def test_rates_are_rounded_half_up() -> None:
    assert plan_scale.tenths(1, 16) == 63  # 6.25 percent
    assert plan_scale.tenths(0, 0) == 0


HEADER = "no,agency," + ",".join(COUNTS + RATES)


def a_table(folder: Path, *rows: str) -> Path:
    (folder / plan_tables.DOSSIERS_FILE).write_text("\n".join((HEADER, *rows)), encoding="utf-8")
    return folder


def test_rates_left_empty_are_not_compared_and_fees_are_optional(tmp_path: Path) -> None:
    agency, total = "7,Sở A,3,2,1,1,2,2,0,1,1,0,50.0,,,100.0,", "Tổng,Cả tỉnh,3,2,1,1,2,2,0,1,1,0,,,,,"
    tables = plan_tables.read(a_table(tmp_path, agency, total))
    made = plan.make(tables, "H99", QUARTER, Fraction(1), 1)
    assert not tables.has_fees
    assert tables.totals["received_total"] == 3
    assert [counts.no for counts in made.counts] == [7]
    assert "population_db_use_rate_pct" not in plan.compared_columns(made, "7")
    assert "electronic_result_rate_pct" not in plan.compared_columns(made, "total")
    assert "digitised_component_rate_pct" in plan.compared_columns(made, "7")
    assert plan.fees_table(made)["total"]["online_transactions"] == 0


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("1,Sở A,4,2,1,1,2,2,0,1,1,0,,,,,", "received_total is 4, received_in_period + carried_over is 3"),
        ("1,Sở A,x,2,1,1,2,2,0,1,1,0,,,,,", "received_total is 'x', not a whole number"),
        ("1,Sở A,3,2,3,1,2,2,0,1,1,0,,,,,", "received_online exceeds"),
        ("1,Sở A,3,2,1,1,2,2,0,1,1,0,100.1,,,,", "above 100 percent"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused_in_one_sentence(tmp_path: Path, row: str, sentence: str) -> None:
    with pytest.raises(TablesUnusable, match=sentence.replace("+", r"\+")):
        plan_tables.read(a_table(tmp_path, row))


def test_a_period_too_short_for_late_dossiers_is_refused(tmp_path: Path) -> None:
    tables = plan_tables.read(a_table(tmp_path, "1,Sở A,3,2,1,1,2,2,0,1,1,0,,,,,"))
    with pytest.raises(TablesUnusable, match="at least 21 days"):
        plan.make(tables, "H99", Period(date(2024, 1, 1), date(2024, 1, 5)), Fraction(1), 1)
