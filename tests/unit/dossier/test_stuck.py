"""Everything that can be stuck has a limit and something that frees it."""

import pytest

from dossier import stuck
from dossier.dossier import LIFE
from dossier.record import Status

WHERE = {
    "result_not_finished": {1, 2, 4, 5, 6, 8},
    "paid_not_received": {1},
    "identity_pending": {1, 2, 4, 5, 6, 8},
    "finished_not_returned": {9},
    "supplement_unanswered": {5},
    "no_transition": {1, 2, 4, 6, 8},
    "refused_by_supplement": {7},
}


def test_every_kind_is_known() -> None:
    assert set(stuck.KINDS) == set(stuck.AFTER) == set(WHERE)


@pytest.mark.parametrize("kind", stuck.KINDS)
def test_what_frees_it_is_said_in_words_and_an_action_is_one_of_its_life(kind: stuck.StuckKind) -> None:
    for status in WHERE[kind]:
        frees = stuck.frees(kind, Status(status))
        assert frees.words.endswith(".")
        if frees.kind == "transition":
            assert frees.name in LIFE
            if kind != "result_not_finished":  # what it waits for comes first
                assert status in LIFE[frees.name].sources
