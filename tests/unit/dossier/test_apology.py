"""Who is about to be late, or is, writes why and promises a new time (Decree 61/2018, art. 19.9)."""

from datetime import timedelta

import pytest

from dossier import verdict
from dossier.dossier import take
from dossier.record import Command, Dossier
from dossier.refusal import NotLate
from shared.errors import InvalidRequest
from tests.unit.dossier.test_pauses import DUE, RECEIVED, TERMS, a_filed_dossier, after, at

LETTER = {"name": "Thư xin lỗi", "number": "12/XL"}
PROMISED = DUE + timedelta(days=7)


def asked(action: str, when: str, **members: object) -> Command:
    given = {"reason": "Quá tải", "new_due_at": PROMISED, "apology": LETTER, **members}
    return Command(action, "desk", at(when), **given)  # type: ignore[arg-type]  # members are tested by what they do


def received() -> Dossier:
    return after(a_filed_dossier(), RECEIVED)


def test_an_extension_takes_the_letter_along() -> None:
    step = take(received(), asked("extend", "03-06T09:00"), TERMS)
    assert step.after.due_at == PROMISED
    (apology,) = step.after.apologies
    assert (apology["promised_at"], apology["letter"]) == (PROMISED.isoformat(), LETTER)
    assert step.apology == {"promised_at": PROMISED.isoformat(), "letter": LETTER}


def test_an_extension_without_a_letter_is_no_apology() -> None:
    step = take(received(), asked("extend", "03-06T09:00", apology=None), TERMS)
    assert (step.after.apologies, step.apology) == ((), None)


def test_who_is_late_apologises_and_stays_late() -> None:
    dossier = received()
    for number in (1, 2):
        dossier = take(dossier, asked("apologise", "03-09T09:00"), TERMS).after
        assert len(dossier.apologies) == number
    assert (dossier.due_at, verdict.late_at(dossier)) == (DUE, DUE)
    assert verdict.verdicts(dossier, at("03-09T10:00")).local.outcome == "late"


def test_who_is_not_late_does_not() -> None:
    with pytest.raises(NotLate):
        take(received(), asked("apologise", "03-08T09:00"), TERMS)
    waiting = after(a_filed_dossier(), RECEIVED, ("await_personal_number", "03-02T09:00"))
    with pytest.raises(NotLate):
        take(waiting, asked("apologise", "04-08T09:00"), TERMS)


def test_a_promise_lies_ahead() -> None:
    with pytest.raises(InvalidRequest):
        take(received(), asked("apologise", "03-20T09:00"), TERMS)


def test_a_letter_belongs_to_a_promise() -> None:
    with pytest.raises(InvalidRequest):
        take(received(), asked("start", "03-06T09:00", new_due_at=None), TERMS)
