"""A corrected history leads where the right one would have led, and four eyes see to it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier import correction, history, verdict
from dossier.correction import Correction, Person, Retimed
from dossier.deadline import Limit, SupplementPolicy
from dossier.dossier import take
from dossier.handling import ProcedureTerms
from dossier.history import Entry
from dossier.record import Command, Dossier
from dossier.refusal import IdentityPending, SamePerson, StepDoesNotFit, TimeGoesBack
from shared.errors import InvalidRequest
from tests.unit.dossier.test_pauses import FEES, a_filed_dossier, at, terms_of

LIVES = (
    ("receive", "start", "finish"),
    ("receive", "start", "request_supplement", "supplement", "finish", "return_result"),
    ("request_supplement", "supplement", "receive", "stop", "resume", "finish"),
    ("receive", "await_personal_number", "record_personal_number", "start", "finish", "attach_result"),
    ("receive", "request_payment", "settle", "start", "withdraw"),
)
NOW = at("12-01T09:00")
ASKER = Person("desk", "desk", "Trần Văn Bình")


def lived(actions: tuple[str, ...], times: list[datetime], terms: ProcedureTerms) -> tuple[Dossier, list[Entry]]:
    """The dossier after these actions at these times, and its history."""
    dossier, entries = a_filed_dossier(), []
    for action, moment in zip(actions, times, strict=True):
        if action == "settle":
            dossier = replace(dossier, charges=tuple(replace(it, state="paid") for it in dossier.charges))
        asked = Command(
            action, "hub" if action == "settle" else "portal" if action == "supplement" else "desk", moment,
            at=moment, reason="Có lý do", fees=FEES if action == "request_payment" else (), may_import=True,
            documents=({"name": "Giấy phép"},) if action == "attach_result" else (),
        )  # fmt: skip
        step = take(dossier, asked, terms)
        dossier = step.after
        entries.append(Entry(dossier.version, action, moment, step.reason, documents=step.documents, fees=step.fees))
    return dossier, entries


def equal(made: Dossier, right: Dossier) -> bool:
    """The same but for the versions, which count what was recorded, and the charges, which are facts."""
    plain: dict[str, Any] = {"version": 0, "transition_version": 0, "charges": ()}
    return replace(made, **plain) == replace(right, **plain)


@given(
    life=st.sampled_from(LIVES),
    hours=st.lists(st.integers(2, 90), min_size=6, max_size=6),
    data=st.data(),
    days=st.integers(1, 12),
    policy=st.sampled_from(["extend", "restart"]),
)
def test_a_wrong_time_put_right_leads_where_the_right_one_leads(
    life: tuple[str, ...], hours: list[int], data: st.DataObject, days: int, policy: SupplementPolicy
) -> None:
    terms = terms_of(policy, Limit(days, "working_days"))
    right, moment = [], a_filed_dossier().last_at
    for gap, _ in zip(hours, life, strict=False):
        moment += timedelta(hours=gap)
        right.append(moment)
    index = data.draw(st.integers(0, len(life) - 1))
    before = right[index - 1] if index else a_filed_dossier().last_at
    after = right[index + 1] if index + 1 < len(life) else right[index] + timedelta(hours=50)
    wrong = [*right]
    wrong[index] = data.draw(st.datetimes(before.replace(tzinfo=None), after.replace(tzinfo=None))).replace(
        tzinfo=before.tzinfo
    )
    known, entries = lived(life, wrong, terms)
    made = correction.outcome(known, entries, Correction((Retimed(entries[index].version, right[index]),)), terms, NOW)
    expected, _ = lived(life, right, terms)
    assert equal(made.after, expected)
    assert (made.after.version, made.after.transition_version) == (known.version + 1, known.version + 1)
    assert verdict.verdicts(made.after, NOW) == verdict.verdicts(expected, NOW)
    assert made.times == [{"version": entries[index].version, "before": wrong[index], "at": right[index]}]


@given(hours=st.lists(st.integers(2, 90), min_size=4, max_size=4))
def test_a_step_never_ticked_is_added_where_it_was(hours: list[int]) -> None:
    terms, moment, times = terms_of(), a_filed_dossier().last_at, []
    for gap in hours:
        moment += timedelta(hours=gap)
        times.append(moment)
    life = ("receive", "request_supplement", "supplement", "finish")
    expected, _ = lived(life, times, terms)
    known, entries = lived(("receive", "finish"), [times[0], times[3]], terms)
    added = tuple(Entry(0, action, times[place], "Có lý do") for action, place in ((life[1], 1), (life[2], 2)))
    made = correction.outcome(known, entries, Correction(steps=added), terms, NOW)
    assert equal(made.after, expected)
    assert [it["action"] for it in made.steps] == ["request_supplement", "supplement"]
    assert [it["to_status"] for it in made.progress] == [5, 2]


def test_two_corrections_of_one_time_leave_the_last() -> None:
    terms = terms_of()
    known, entries = lived(("receive", "finish"), [at("03-02T09:00"), at("03-06T09:00")], terms)
    first = Correction((Retimed(2, at("03-03T09:00")),))
    second = Correction((Retimed(2, at("03-04T09:00")),))
    once = correction.outcome(known, entries, first, terms, NOW)
    corrected = correction.corrected(entries, first, once.after.version)
    twice = correction.outcome(once.after, corrected, second, terms, NOW)
    assert twice.after.received_at == at("03-04T09:00")
    assert twice.times == [{"version": 2, "before": at("03-03T09:00"), "at": at("03-04T09:00")}]


def test_what_the_life_does_not_allow_is_refused() -> None:
    terms = terms_of()
    known, entries = lived(("receive", "finish"), [at("03-02T09:00"), at("03-06T09:00")], terms)

    def refused(error: type[Exception], wanted: Correction, dossier: Dossier = known) -> None:
        with pytest.raises(error):
            correction.outcome(dossier, entries, wanted, terms, NOW)

    refused(TimeGoesBack, Correction((Retimed(2, at("03-07T09:00")),)))
    refused(InvalidRequest, Correction((Retimed(99, at("03-03T09:00")),)))
    refused(InvalidRequest, Correction((Retimed(2, NOW + timedelta(minutes=1)),)))
    refused(InvalidRequest, Correction(steps=(Entry(0, "settle", at("03-03T09:00")),)))
    refused(StepDoesNotFit, Correction(steps=(Entry(0, "resume", at("03-03T09:00"), "Có lý do"),)))
    without_reason = Entry(0, "request_supplement", at("03-03T09:00")), Entry(0, "supplement", at("03-04T09:00"))
    refused(InvalidRequest, Correction(steps=without_reason))
    received, entries = lived(("receive",), [at("03-02T09:00")], terms)
    late = Correction(steps=(Entry(0, "finish", at("03-06T09:00"), "Xong"),))
    refused(IdentityPending, late, replace(received, identity_outcome="pending"))


@pytest.mark.parametrize(
    ("approver", "is_another"),
    [
        (Person("desk", "desk", "Lê Thị Chi"), True),
        (Person("desk", "desk", "tran van  binh"), False),
        (Person("other", "other", "TRẦN VĂN BÌNH"), False),
    ],
)
def test_nobody_approves_what_he_asked_for(approver: Person, is_another: bool) -> None:
    if is_another:
        correction.require_another(ASKER, approver)
        return
    with pytest.raises(SamePerson):
        correction.require_another(ASKER, approver)


def test_one_sign_in_is_one_person_whatever_the_name() -> None:
    with pytest.raises(SamePerson):
        correction.require_another(Person("c", "an@x", "Một"), Person("c", "an@x", "Hai"))


def test_a_history_without_corrections_replays_to_what_is_known() -> None:
    terms = terms_of()
    known, entries = lived(("receive", "start"), [at("03-02T09:00"), at("03-03T09:00")], terms)
    assert history.replay(known, entries, terms)[-1] == known
