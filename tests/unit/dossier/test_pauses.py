"""The clock of a dossier stands still while it waits for papers, money, a decision, or a newborn's number."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dossier import fact
from dossier.catalogue import ChannelLimit, Procedure
from dossier.charge import Payment
from dossier.deadline import VIETNAM, Limit, SupplementPolicy
from dossier.dossier import take
from dossier.handling import ProcedureTerms
from dossier.record import Command, Dossier, Status
from dossier.refusal import PersonalNumberAwaited, PersonalNumberNotAwaited
from dossier.working_calendar import vietnam

FEES = ({"code": "LP", "name": "Lệ phí", "kind": "fee", "amount_vnd": 50_000},)


def terms_of(policy: SupplementPolicy = "extend", limit: Limit | None = None) -> ProcedureTerms:
    procedure = Procedure(
        code="1.001193", version=1, name="Đăng ký khai sinh", field_code="H08-LV01", field_name="Hộ tịch",
        online_level="full", limits=(ChannelLimit("online", limit or Limit(5, "working_days")),), fees=(),
        components=(), results=(), agencies=("*",), supplement_policy=policy, valid_from=None,
    )  # fmt: skip
    return ProcedureTerms(vietnam(), procedure, "online")


TERMS = terms_of()


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2023-{text}").replace(tzinfo=VIETNAM)


def a_filed_dossier(**changes: Any) -> Dossier:
    filed = at("03-01T08:00")
    dossier = Dossier(
        code="H08.15-230301-0001", agency_code="H08.15", procedure_code="1.001193", procedure_version=1,
        channel="online", status=Status.SUBMITTED, version=1, transition_version=1, last_at=filed,
        submitted_at=filed, identity_outcome="match",
    )  # fmt: skip
    return replace(dossier, **changes)


def after(dossier: Dossier, *actions: tuple[str, str], terms: ProcedureTerms = TERMS) -> Dossier:
    """The dossier once these (action, time) were taken by the desk."""
    for action, time in actions:
        fees = FEES if action == "request_payment" else ()
        asked = Command(
            action, "desk", at(time), reason="Có lý do", fees=fees,
            legal_exception="có" if action == "request_supplement" else None,
        )  # fmt: skip
        dossier = take(dossier, asked, terms).after
    return dossier


RECEIVED = ("receive", "03-01T09:00")
DUE = at("03-08T09:00")


@pytest.mark.parametrize(
    ("begin", "end", "kind"),
    [("stop", "resume", "stop"), ("await_personal_number", "record_personal_number", "personal_number"),
     ("request_supplement", "supplement", "supplement")],
)  # fmt: skip
def test_what_was_left_is_left(begin: str, end: str, kind: str) -> None:
    paused = after(a_filed_dossier(), RECEIVED, (begin, "03-02T09:00"))
    assert (paused.due_at, paused.paused and paused.paused.kind) == (DUE, kind)
    running = after(paused, (end, "03-09T09:00"))
    assert (running.due_at, running.paused) == (at("03-15T09:00"), None)
    assert running.pauses[0].ended_at == at("03-09T09:00")


def test_waiting_for_money_is_a_pause() -> None:
    asked = after(a_filed_dossier(), RECEIVED, ("request_payment", "03-02T09:00"))
    payment = Payment("p1", 50_000, "counter", at("03-09T09:00"))
    settled = fact.payment_recorded(asked, payment, TERMS)[-1].after
    assert (settled.status, settled.due_at) == (Status.RECEIVED, at("03-15T09:00"))


def test_a_stop_out_of_an_unanswered_supplement_loses_no_time() -> None:
    stopped = after(a_filed_dossier(), RECEIVED, ("request_supplement", "03-02T09:00"), ("stop", "03-03T09:00"))
    assert [it.kind for it in stopped.pauses] == ["supplement", "stop"]
    assert after(stopped, ("resume", "03-09T09:00")).due_at == at("03-15T09:00")


def test_restart_is_for_supplements_only() -> None:
    terms = terms_of("restart")
    asked = after(a_filed_dossier(), RECEIVED, ("request_supplement", "03-06T09:00"), terms=terms)
    assert after(asked, ("supplement", "03-09T09:00"), terms=terms).due_at == at("03-16T09:00")
    stopped = after(a_filed_dossier(), RECEIVED, ("stop", "03-06T09:00"), terms=terms)
    assert after(stopped, ("resume", "03-09T09:00"), terms=terms).due_at == at("03-13T09:00")


def test_whoever_withdraws_while_it_waits_withdraws_in_time() -> None:
    withdrawn = after(a_filed_dossier(), RECEIVED, ("stop", "03-02T09:00"), ("withdraw", "04-03T09:00"))
    assert withdrawn.due_at is not None
    assert withdrawn.due_at > at("04-03T09:00")
    assert withdrawn.paused is None


def test_the_number_s_pause_ends_with_the_dossier_at_the_latest() -> None:
    waiting = after(a_filed_dossier(), RECEIVED, ("await_personal_number", "03-02T09:00"), ("start", "03-03T09:00"))
    finished = after(waiting, ("finish", "03-20T09:00"))
    assert (finished.paused, finished.due_at) == (None, at("03-24T09:00"))


@pytest.mark.parametrize("action", ["request_supplement", "request_payment", "stop", "await_personal_number"])
def test_two_pauses_do_not_overlap(action: str) -> None:
    waiting = after(a_filed_dossier(), RECEIVED, ("await_personal_number", "03-02T09:00"))
    with pytest.raises(PersonalNumberAwaited):
        after(waiting, (action, "03-03T09:00"))


def test_a_number_that_nobody_waits_for_is_refused() -> None:
    with pytest.raises(PersonalNumberNotAwaited):
        after(a_filed_dossier(), RECEIVED, ("record_personal_number", "03-02T09:00"))


def test_a_pause_before_the_clock_starts_moves_nothing() -> None:
    asked = after(a_filed_dossier(), ("request_supplement", "03-01T08:10"), ("supplement", "03-06T08:00"))
    received = after(asked, ("receive", "03-06T09:00"))
    assert received.due_at == at("03-13T09:00")


def test_a_late_dossier_stays_due_when_it_was() -> None:
    stopped = after(a_filed_dossier(), RECEIVED, ("stop", "03-10T09:00"))
    assert after(stopped, ("resume", "03-20T09:00")).due_at == DUE
    assert stopped.last_at - DUE > timedelta(0)
