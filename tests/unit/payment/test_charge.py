"""The rules of a charge: whatever order the facts come in, the money decides."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment import charge
from payment.charge import Fact, State
from shared.errors import InsufficientScope, InvalidRequest

NOW = datetime(2023, 3, 1, 8, 30, tzinfo=UTC)
facts = st.lists(st.sampled_from(get_args(Fact)), max_size=12)


def walk(sequence: list[Fact]) -> tuple[State, list[str]]:
    """The state and the events after these facts."""
    state, events = State.CREATED, []
    for fact in sequence:
        move = charge.after(state, fact)
        if move:
            state = move.state
            events.append(move.event)
    return state, events


@given(facts)
def test_a_confirmed_charge_is_paid_whatever_else_is_said(sequence: list[Fact]) -> None:
    state, events = walk(sequence)
    assert (state is State.PAID) is ("confirm" in sequence)
    assert events.count("payment.completed") == ("confirm" in sequence)


@given(facts)
def test_every_further_money_opens_a_review(sequence: list[Fact]) -> None:
    moneys = [fact for fact in sequence if fact in {"confirm", "other_amount"}]
    _, events = walk(sequence)
    told = [event for event in events if event in {"payment.completed", "payment.review_opened"}]
    assert len(told) == len(moneys)


@given(facts)
def test_failure_and_expiry_never_undo_a_payment(sequence: list[Fact]) -> None:
    state, _ = walk([*sequence, "confirm", "decline", "expire", "link"])
    assert state is State.PAID


def test_what_was_never_sent_does_not_expire() -> None:
    assert charge.after(State.CREATED, "expire") is None


@pytest.mark.parametrize(
    ("amount", "currency", "fact"),
    [(50_000, "VND", "confirm"), (49_999, "VND", "other_amount"), (50_000, "USD", "other_amount")],
)
def test_another_amount_is_not_the_payment_that_was_asked_for(amount: int, currency: str, fact: Fact) -> None:
    assert charge.judged(amount, currency, expected_vnd=50_000) == fact


def test_a_reference_names_the_dossier_and_is_the_charges_own() -> None:
    one = charge.reference_for("H56.14-231225-0001", "20231225083000", "a")
    assert one.startswith("dvcH56142312250001" + "20231225083000")
    assert one != charge.reference_for("H56.14-231225-0001", "20231225083000", "b")
    assert one.isalnum()


def test_given_lines_are_the_whole_amount() -> None:
    line = charge.Line(code="P1", name="Phí", kind="charge", amount_vnd=20_000)
    charge.require_lines_add_up([line, line], 40_000)
    charge.require_lines_add_up([], 40_000)
    with pytest.raises(InvalidRequest):
        charge.require_lines_add_up([line], 40_000)


def test_business_time_stays_in_reach() -> None:
    charge.require_time_in_reach(NOW + timedelta(minutes=4), NOW, may_import=False)
    charge.require_time_in_reach(NOW - timedelta(minutes=59), NOW, may_import=False)
    charge.require_time_in_reach(NOW - timedelta(days=900), NOW, may_import=True)
    with pytest.raises(InvalidRequest):
        charge.require_time_in_reach(NOW + timedelta(minutes=6), NOW, may_import=True)
    with pytest.raises(InsufficientScope):
        charge.require_time_in_reach(NOW - timedelta(minutes=61), NOW, may_import=False)
