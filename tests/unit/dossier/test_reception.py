"""Papers taken in for another agency: who may do what, and when the clock starts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dossier import history
from dossier.dossier import take
from dossier.history import Entry
from dossier.record import Command, Dossier, Status
from dossier.refusal import (
    ActionNotForAgency,
    HandedOverBefore,
    NotHandedOver,
    NotReceivedForAnother,
    TransitionNotAllowed,
)
from tests.unit.dossier.test_life_table import NOW, TERMS, a_dossier

RECEIVER, COMPETENT, BOTH = ("H08.20",), ("H08.15",), ("H08",)


def taken_in(**changes: object) -> Dossier:
    return replace(a_dossier(1), receiver_code="H08.20", **changes)  # type: ignore[arg-type]


def asked(action: str, agencies: tuple[str, ...], role: str = "desk", hours: int = 0, **members: object) -> Command:
    at = NOW + timedelta(hours=hours)
    return Command(action, role, at, reason="Có lý do", agencies=agencies, **members)  # type: ignore[arg-type]


def test_the_clock_starts_when_the_competent_agency_receives() -> None:
    handed = take(taken_in(), asked("hand_over", RECEIVER, hours=1), TERMS).after
    assert (handed.status, handed.received_at, handed.due_at) == (Status.SUBMITTED, None, None)
    assert handed.handed_over_at == NOW + timedelta(hours=1)
    received = take(handed, asked("receive", COMPETENT, hours=20), TERMS).after
    assert received.received_at == NOW + timedelta(hours=20)
    assert received.due_at == TERMS.due(NOW + timedelta(hours=20))


def test_nobody_receives_what_was_not_handed_over() -> None:
    with pytest.raises(NotHandedOver):
        take(taken_in(), asked("receive", COMPETENT), TERMS)
    with pytest.raises(NotHandedOver):
        take(taken_in(), asked("receive", BOTH), TERMS)


def test_it_is_handed_over_once_and_only_where_there_is_another() -> None:
    with pytest.raises(HandedOverBefore):
        take(taken_in(handed_over_at=NOW), asked("hand_over", RECEIVER), TERMS)
    with pytest.raises(NotReceivedForAnother):
        take(a_dossier(1), asked("hand_over", COMPETENT), TERMS)
    with pytest.raises(TransitionNotAllowed) as refused:
        take(taken_in(), asked("start", COMPETENT), TERMS)
    assert "hand_over" in refused.value.members["allowed"]  # type: ignore[operator]


@pytest.mark.parametrize("role", ["desk", "post"])
def test_each_side_does_its_own(role: str) -> None:
    with pytest.raises(ActionNotForAgency):
        take(taken_in(), asked("hand_over", COMPETENT, role), TERMS)
    with pytest.raises(ActionNotForAgency):
        take(taken_in(handed_over_at=NOW), asked("receive", RECEIVER, role), TERMS)
    finished = replace(a_dossier(9), receiver_code="H08.20", handed_over_at=NOW)
    for agencies in (RECEIVER, COMPETENT, BOTH):
        assert take(finished, asked("return_result", agencies, role), TERMS).after.status is Status.RETURNED


@pytest.mark.parametrize(
    "action", ["start", "refuse", "request_supplement", "stop", "extend", "finish", "attach_result"]
)
def test_the_receiver_does_not_decide(action: str) -> None:
    dossier = replace(a_dossier(2), receiver_code="H08.20", handed_over_at=NOW)
    with pytest.raises(ActionNotForAgency):
        take(dossier, asked(action, RECEIVER), TERMS)


def test_a_history_with_a_hand_over_replays() -> None:
    handed = take(taken_in(version=1, transition_version=1), asked("hand_over", RECEIVER, hours=1), TERMS).after
    received = take(handed, asked("receive", COMPETENT, hours=2), TERMS).after
    entries = [
        Entry(2, "hand_over", NOW + timedelta(hours=1), "Có lý do"),
        Entry(3, "receive", NOW + timedelta(hours=2), "Có lý do"),
    ]
    assert history.replay(received, entries, TERMS)[-1] == received
