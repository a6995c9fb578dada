"""Petitions: two days to refuse, five to ask, fifteen to answer, two to publish; working time, pauses apart."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dossier import petition
from dossier.deadline import VIETNAM, working_time_between
from dossier.petition import WAYS, Asked, Petition, PetitionAction
from dossier.refusal import ActionNotForRole, AlreadyRated, TransitionNotAllowed
from dossier.working_calendar import vietnam
from shared.errors import HubError, InvalidRequest

CALENDAR = vietnam()
FILED = datetime(2023, 3, 1, 9, 0, tzinfo=VIETNAM)
SAID = {"reason": "Có lý do", "text": "Đã giải quyết", "score": "satisfied"}


def filed(at: datetime = FILED) -> Petition:
    return petition.received("p1", "H08.15", None, at, CALENDAR)


def asked(action: PetitionAction, at: datetime, role: str = "desk", **members: object) -> Asked:
    needs = WAYS[action].needs
    given = ({} if needs is None else {needs: SAID[needs]}) | members
    return Asked(action, role, at, at, **given)  # type: ignore[arg-type]  # members are tested by what they do


def after(*steps: tuple[PetitionAction, str]) -> Petition:
    it = filed()
    for action, time in steps:
        it = petition.take(it, asked(action, datetime.fromisoformat(f"2023-{time}").replace(tzinfo=VIETNAM)), CALENDAR)
    return it


def test_the_limits_are_working_days() -> None:
    limits = petition.limits(filed(), CALENDAR)
    days = {
        name: (None if at is None else at.astimezone(VIETNAM).strftime("%m-%dT%H:%M")) for name, at in limits.items()
    }
    assert days == {
        "refuse_by": "03-03T09:00", "request_supplement_by": "03-08T09:00", "answer_by": "03-22T09:00",
        "publish_by": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "was_late"),
    [
        ((("refuse", "03-03T09:00"),), False),
        ((("refuse", "03-03T09:01"),), True),
        ((("request_supplement", "03-08T09:00"),), False),
        ((("request_supplement", "03-08T09:01"),), True),
        ((("answer", "03-22T09:00"),), False),
        ((("answer", "03-22T09:01"),), True),
        ((("answer", "03-10T09:00"), ("publish", "03-14T09:00")), False),
        ((("answer", "03-10T09:00"), ("publish", "03-14T09:01")), True),
        # A week of waiting for papers is given back; a second request comes when it must.
        ((("request_supplement", "03-02T09:00"), ("supplement", "03-09T09:00"), ("answer", "03-29T09:00")), False),
        ((("request_supplement", "03-02T09:00"), ("supplement", "03-09T09:00"), ("answer", "03-29T09:01")), True),
        ((("request_supplement", "03-02T09:00"), ("supplement", "03-03T09:00"), ("request_supplement", "03-15T09:00")),
         False),
    ],
)  # fmt: skip
def test_a_step_after_its_time_is_late_for_good(steps: tuple[tuple[PetitionAction, str], ...], was_late: bool) -> None:
    it = after(*steps)
    assert (it.was_late, it.is_late(it.last_at)) == (was_late, was_late)


def test_what_nobody_does_becomes_late_by_itself() -> None:
    it = filed()
    assert not it.is_late(it.answer_by)
    assert it.is_late(it.answer_by + timedelta(seconds=1))
    waiting = after(("request_supplement", "03-02T09:00"))
    assert not waiting.is_late(FILED + timedelta(days=400))
    answered = after(("answer", "03-10T09:00"))
    assert answered.is_late(FILED + timedelta(days=30))
    assert not after(("answer", "03-10T09:00"), ("publish", "03-13T09:00")).is_late(FILED + timedelta(days=400))


def test_who_may_what_and_when() -> None:
    with pytest.raises(ActionNotForRole):
        petition.take(filed(), asked("answer", FILED, role="portal"), CALENDAR)
    with pytest.raises(TransitionNotAllowed) as refused:
        petition.take(filed(), asked("publish", FILED), CALENDAR)
    assert refused.value.members["allowed"] == ["refuse", "request_supplement", "answer"]
    with pytest.raises(InvalidRequest):
        petition.take(filed(), asked("refuse", FILED, reason=None), CALENDAR)
    with pytest.raises(InvalidRequest):
        petition.take(filed(), asked("refuse", FILED, score="satisfied"), CALENDAR)
    rated = after(("answer", "03-10T09:00"), ("rate", "03-11T09:00"))
    with pytest.raises(AlreadyRated):
        petition.take(rated, asked("rate", FILED + timedelta(days=20)), CALENDAR)


@settings(deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(sorted(WAYS)), st.integers(0, 300)), max_size=12),
    start=st.integers(0, 365 * 24),
)
def test_any_life_keeps_its_rules(steps: list[tuple[PetitionAction, int]], start: int) -> None:
    moment = FILED + timedelta(hours=start)
    it = filed(moment)
    fifteen = timedelta(hours=15 * 8)
    paused = timedelta()
    for action, hours in steps:
        moment += timedelta(hours=hours)
        before = it
        try:
            it = petition.take(before, asked(action, moment), CALENDAR)
        except HubError:
            continue
        assert (it.version, it.last_at) == (before.version + 1, moment)
        assert it.was_late >= before.was_late
        assert it.answer_by >= before.answer_by  # a pause never shortens
        assert before.state not in ("refused", "published") or action == "rate"
        if (
            before.state == "supplement_requested"
            and before.asked_at is not None
            and before.asked_at < before.answer_by
        ):
            paused += working_time_between(CALENDAR, before.asked_at, moment)
        assert working_time_between(CALENDAR, it.received_at, it.answer_by) == fifteen + paused
