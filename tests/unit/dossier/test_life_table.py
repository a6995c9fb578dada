"""The life of a dossier as rules: every arrow, every guard, and what holds for any sequence of actions and facts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier import charge, fact
from dossier.charge import Payment
from dossier.dossier import LIFE, allowed_actions, take
from dossier.record import Command, Dossier, Pause, Status, Step
from dossier.refusal import (
    ActionNotForRole,
    ChargeOpen,
    IdentityPending,
    IdentityReasonRequired,
    LegalExceptionRequired,
    TimeGoesBack,
    TransitionNotAllowed,
)
from shared.errors import HubError, InsufficientScope, InvalidRequest, PreconditionFailed

NOW = datetime(2023, 3, 1, 2, 0, tzinfo=UTC)
FEES = ({"code": "LP", "name": "Lệ phí", "kind": "fee", "amount_vnd": 50_000},)
DOCUMENTS = ({"name": "Giấy phép", "url": "https://kq.example/1", "sha256": "ab" * 32},)

# The table of architecture.md, written down a second time: from, to (None: stay, 0: back), roles.
EXPECTED: dict[str, tuple[set[int], int | None, set[str]]] = {
    "hand_over": ({1}, None, {"desk", "post"}),
    "receive": ({1}, 2, {"desk", "ministry", "post"}),
    "refuse": ({1}, 3, {"desk"}),
    "start": ({2}, 4, {"desk", "ministry"}),
    "request_supplement": ({1, 2, 4}, 5, {"desk", "ministry"}),
    "supplement": ({5}, 0, {"portal", "desk", "post"}),
    "request_payment": ({1, 2, 4}, 6, {"desk", "ministry"}),
    "settle": ({6}, 0, {"hub"}),
    "withdraw": ({1, 2, 4, 5, 6, 8}, 7, {"portal", "desk"}),
    "stop": ({2, 4, 5}, 8, {"desk", "ministry"}),
    "resume": ({8}, 4, {"desk", "ministry"}),
    "await_personal_number": ({2, 4}, None, {"desk", "ministry"}),
    "record_personal_number": ({2, 4}, None, {"desk", "ministry"}),
    "extend": ({2, 4}, None, {"desk"}),
    "apologise": ({2, 4}, None, {"desk"}),
    "finish": ({2, 4}, 9, {"desk", "ministry"}),
    "return_result": ({9}, 10, {"desk", "post"}),
    "attach_result": ({9, 10}, None, {"desk", "ministry"}),
}
NEEDS: dict[str, dict[str, Any]] = {
    "refuse": {"reason": "Không đủ"},
    "request_supplement": {"reason": "Thiếu"},
    "request_payment": {"fees": FEES},
    "withdraw": {"reason": "Thôi"},
    "stop": {"reason": "Chờ"},
    "resume": {"reason": "Tiếp"},
    "await_personal_number": {"reason": "Chờ số định danh"},
    "extend": {"reason": "Chờ", "new_due_at": NOW + timedelta(days=40)},
    "apologise": {"reason": "Quá tải", "new_due_at": NOW + timedelta(days=40)},
    "finish": {"documents": DOCUMENTS},
    "attach_result": {"documents": DOCUMENTS},
}


class InDays:
    """Terms without a calendar: due in ten days; a supplement adds the pause."""

    def due(self, received_at: datetime) -> datetime:
        return received_at + timedelta(days=10)

    def due_after_supplement(self, due_at: datetime, asked_at: datetime, answered_at: datetime) -> datetime:
        return due_at + (answered_at - asked_at)

    def due_after_pause(self, due_at: datetime, paused_at: datetime, resumed_at: datetime) -> datetime:
        return due_at + (resumed_at - paused_at)


TERMS = InDays()


def a_dossier(status: int = 1, **changes: Any) -> Dossier:
    back_to = Status.RECEIVED if status in (5, 6) else None
    due = NOW + timedelta(days=10) if status != 1 else None
    dossier = Dossier(
        code="H08.15-230301-0001", agency_code="H08.15", procedure_code="2.000488", procedure_version=1,
        channel="online", status=Status(status), version=3, transition_version=3, last_at=NOW, submitted_at=NOW,
        identity_outcome="match", back_to=back_to, due_at=due, received_at=None if status == 1 else NOW,
    )  # fmt: skip
    if status == 5:
        dossier = take(
            replace(dossier, status=Status.RECEIVED, back_to=None), command("request_supplement"), TERMS
        ).after
    return replace(dossier, **changes)


def ready_for(action: str, status: int) -> Dossier:
    """A dossier in `status` that the guards of the action let pass."""
    dossier = a_dossier(status)
    if action == "hand_over" and status == 1:
        return replace(dossier, receiver_code="H08.20")
    if action == "record_personal_number":
        return replace(dossier, pauses=(*dossier.pauses, Pause("personal_number", NOW)))
    return replace(dossier, due_at=NOW - timedelta(hours=1)) if action == "apologise" else dossier


def command(action: str, role: str | None = None, **members: Any) -> Command:
    if role is None:
        role = min(EXPECTED[action][2])
    return Command(action, role, NOW, **(NEEDS.get(action, {}) | members))


@pytest.mark.parametrize("action", EXPECTED)
@pytest.mark.parametrize("status", list(Status))
def test_the_table_is_the_one_of_the_architecture(action: str, status: Status) -> None:
    sources, target, _ = EXPECTED[action]
    dossier = ready_for(action, status)
    if status not in sources:
        with pytest.raises(TransitionNotAllowed) as refused:
            take(dossier, command(action), TERMS)
        assert refused.value.members["allowed"] == allowed_actions(status)
        return
    step = take(dossier, command(action), TERMS)
    expected = {None: status, 0: Status.RECEIVED}.get(target, target)
    assert step.after.status == expected
    assert step.after.version == step.after.transition_version == dossier.version + 1


def test_the_table_has_no_other_rows() -> None:
    assert set(LIFE) == set(EXPECTED)


@pytest.mark.parametrize("action", EXPECTED)
@pytest.mark.parametrize("role", ["portal", "desk", "ministry", "post", "operator", "hub", ""])
def test_only_the_named_roles_may(action: str, role: str) -> None:
    sources, _, roles = EXPECTED[action]
    dossier = ready_for(action, min(sources))
    if role in roles:
        take(dossier, command(action, role), TERMS)
    else:
        with pytest.raises(ActionNotForRole):
            take(dossier, command(action, role), TERMS)


@pytest.mark.parametrize("action", NEEDS)
def test_what_an_action_needs_is_asked_for(action: str) -> None:
    empty: dict[str, Any] = dict.fromkeys(NEEDS[action])
    members: dict[str, Any] = {name: () if name in ("fees", "documents") else None for name in empty}
    bare = command(action, **members)
    with pytest.raises(InvalidRequest):
        take(a_dossier(min(EXPECTED[action][0])), bare, TERMS)


@pytest.mark.parametrize(
    ("outcome", "reason", "refusal"),
    [
        ("pending", None, IdentityPending), ("pending", "quen biết", IdentityPending),
        ("mismatch", None, IdentityReasonRequired), ("no_information", None, IdentityReasonRequired),
        ("insufficient_basis", None, IdentityReasonRequired), ("mismatch", "đã đối chiếu bản gốc", None),
        ("match", None, None), ("not_required", None, None),
    ],
)  # fmt: skip
def test_the_end_needs_an_identity(outcome: str, reason: str | None, refusal: type[HubError] | None) -> None:
    dossier = a_dossier(4, identity_outcome=outcome)
    if refusal is None:
        step = take(dossier, command("finish", identity_reason=reason), TERMS)
        assert (step.after.finished_at, step.after.has_electronic_result) == (NOW, True)
    else:
        with pytest.raises(refusal):
            take(dossier, command("finish", identity_reason=reason), TERMS)


def test_the_end_needs_every_charge_paid() -> None:
    dossier = take(a_dossier(4), command("request_payment"), TERMS).after
    with pytest.raises(ChargeOpen):
        take(dossier, command("finish"), TERMS)
    payment = Payment("p1", 50_000, "online", NOW + timedelta(hours=1), dossier.version)
    steps = fact.payment_recorded(dossier, payment, TERMS)
    assert [step.event for step in steps] == ["payment_recorded", "settled"]
    settled = steps[-1].after
    assert (settled.status, settled.last_at) == (Status.IN_PROCESS, NOW + timedelta(hours=1))
    assert take(settled, replace(command("finish"), now=NOW + timedelta(hours=2)), TERMS).after.status == 9


def test_money_from_before_the_last_action_settles_at_the_last_action() -> None:
    dossier = take(a_dossier(2), command("request_payment"), TERMS).after
    payment = Payment("p1", 50_000, "online", NOW - timedelta(hours=1), dossier.version)
    assert fact.payment_recorded(dossier, payment, TERMS)[-1].at == NOW


def test_a_second_supplement_needs_a_legal_exception() -> None:
    dossier = take(a_dossier(5), command("supplement"), TERMS).after
    with pytest.raises(LegalExceptionRequired):
        take(dossier, command("request_supplement"), TERMS)
    step = take(dossier, command("request_supplement", legal_exception="NĐ 61/2018"), TERMS)
    assert len(step.after.supplements) == 2


def test_times() -> None:
    dossier = a_dossier(1)
    with pytest.raises(TimeGoesBack):
        take(dossier, command("receive", at=NOW - timedelta(seconds=1)), TERMS)
    with pytest.raises(InvalidRequest):
        take(dossier, command("receive", at=NOW + timedelta(minutes=5, seconds=1)), TERMS)
    late = replace(command("receive", at=NOW), now=NOW + timedelta(hours=2))
    with pytest.raises(InsufficientScope):
        take(dossier, late, TERMS)
    assert take(dossier, replace(late, may_import=True), TERMS).after.received_at == NOW
    assert take(dossier, command("receive", at=NOW + timedelta(minutes=5)), TERMS).at == NOW + timedelta(minutes=5)


def test_expected_version_knows_facts_from_actions() -> None:
    dossier = replace(a_dossier(1), version=5, transition_version=3)
    for version in (3, 4, 5):
        assert take(dossier, command("receive", expected_version=version), TERMS).after.version == 6
    for version in (2, 6):
        with pytest.raises(PreconditionFailed):
            take(dossier, command("receive", expected_version=version), TERMS)


moments = st.integers(min_value=0, max_value=10_000).map(lambda s: NOW + timedelta(seconds=s))
payments = st.builds(
    Payment,
    payment_id=st.sampled_from(["p1", "p2", "p3"]),
    amount_vnd=st.sampled_from([10_000, 50_000, 120_000]),
    method=st.sampled_from(["online", "counter"]),
    at=moments,
    request_version=st.one_of(st.none(), st.integers(min_value=3, max_value=9)),
)
facts = st.one_of(
    payments.map(lambda it: ("payment", it)),
    st.tuples(st.just("link"), st.sampled_from(["p1", "p2"])),
    st.tuples(st.just("failed"), st.sampled_from(["p1", "p2"])),
    st.tuples(st.just("identity"), st.sampled_from(["match", "mismatch"])),
)
actions = st.sampled_from(sorted(EXPECTED)).map(lambda name: ("action", name))


def _steps(dossier: Dossier, kind: str, it: Any, number: int) -> list[Step]:
    if kind == "payment":
        return fact.payment_recorded(dossier, it, TERMS)
    if kind == "link":
        return fact.link_ready(dossier, it, "https://pay.example", 50_000, NOW)
    if kind == "failed":
        return fact.payment_outcome(dossier, it, None, "failed", NOW)
    if kind == "identity":
        return fact.identity_recorded(dossier, f"v{number}", it, [], NOW + timedelta(seconds=number))
    asked = command(it, "hub" if it == "settle" else "desk", legal_exception="có" if "supp" in it else None)
    if it == "supplement":
        asked = replace(asked, legal_exception=None)
    try:
        return [take(dossier, replace(asked, now=dossier.last_at), TERMS)]
    except HubError:
        return []


@given(st.lists(st.one_of(actions, facts), max_size=25))
def test_whatever_happens_versions_rise_by_one_and_nothing_contradicts(told: list[tuple[str, Any]]) -> None:
    dossier = a_dossier(1, identity_outcome="pending")
    for number, (kind, it) in enumerate(told):
        for step in _steps(dossier, kind, it, number):
            after = step.after
            assert after.version == dossier.version + 1
            assert after.last_at >= dossier.last_at
            assert step.from_status == dossier.status
            assert step.is_transition or after.status == dossier.status
            dossier = after
        assert (dossier.back_to is not None) == (dossier.status in (5, 6))
        assert (dossier.received_at is None) == (dossier.due_at is None)
        assert charge.due_vnd(dossier.charges) >= 0
        if dossier.status == Status.PAYMENT_REQUESTED:
            assert any(it.is_open for it in dossier.charges)
        if dossier.status in (9, 10):
            assert dossier.finished_at is not None
            assert dossier.identity_outcome != "pending"


@given(st.lists(payments, max_size=8))
def test_a_payment_told_twice_counts_once(told: list[Payment]) -> None:
    dossier = take(a_dossier(2), command("request_payment"), TERMS).after
    once = twice = dossier
    for payment in told:
        for step in fact.payment_recorded(once, payment, TERMS):
            once = step.after
        for _ in range(2):
            for step in fact.payment_recorded(twice, payment, TERMS):
                twice = step.after
    assert once == twice
    known = {payment.payment_id: payment for payment in reversed(told)}
    assert charge.paid_vnd(once.charges) == sum(payment.amount_vnd for payment in known.values())
