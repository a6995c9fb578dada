"""Late here, late for the nation, or both: one case per row of the two rules."""

from datetime import timedelta

import pytest

from dossier import verdict
from dossier.record import Dossier
from tests.unit.dossier.test_pauses import RECEIVED, a_filed_dossier, after, at

# Received on 1 March 2023 at 09:00 with five working days: due on 8 March at 09:00.
ASKED, ANSWERED = ("request_supplement", "03-02T09:00"), ("supplement", "03-09T09:00")  # then due on 15 March


def judged(dossier: Dossier, when: str) -> tuple[str | None, str | None, str]:
    """Here, for the nation, and why the nation says so."""
    both = verdict.verdicts(dossier, at(when))
    assert both.differ == (both.local.outcome != both.national.outcome)
    return both.local.outcome, both.national.outcome, both.national.reason


@pytest.mark.parametrize(
    ("actions", "when", "expected"),
    [
        ([], "06-01T09:00", (None, None, "not_received")),
        ([RECEIVED], "03-08T09:00", ("on_time", "on_time", "within_due_time")),
        ([RECEIVED], "03-08T09:01", ("late", "late", "after_due_time")),
        ([RECEIVED, ("finish", "03-08T09:00")], "06-01T09:00", ("on_time", "on_time", "within_due_time")),
        ([RECEIVED, ("finish", "03-08T09:01")], "06-01T09:00", ("late", "late", "after_due_time")),
        ([RECEIVED, ("withdraw", "03-08T10:00")], "06-01T09:00", ("late", "late", "after_due_time")),
        # One unanswered supplement ends at its request; a stop ends where it stopped.
        ([RECEIVED, ASKED], "06-01T09:00", ("on_time", "on_time", "supplement_unanswered")),
        ([RECEIVED, ("stop", "03-02T09:00")], "06-01T09:00", ("on_time", "on_time", "within_due_time")),
        ([RECEIVED, ("request_supplement", "03-09T09:00")], "06-01T09:00", ("late", "late", "after_due_time")),
        # The nation subtracts the supplement's week once more from an appointment that has moved already.
        ([RECEIVED, ASKED, ANSWERED, ("finish", "03-20T09:00")], "06-01T09:00",
         ("late", "on_time", "supplement_time_subtracted")),
        ([RECEIVED, ASKED, ANSWERED, ("finish", "03-22T09:01")], "06-01T09:00", ("late", "late", "after_due_time")),
        # A second request is lawful here, with its exception; the nation counts it as late.
        ([RECEIVED, ASKED, ANSWERED, ("request_supplement", "03-10T09:00"), ("supplement", "03-13T09:00"),
          ("finish", "03-14T09:00")], "06-01T09:00", ("on_time", "late", "more_than_one_supplement")),
        # The nation knows no pause for money or a personal number.
        ([RECEIVED, ("request_payment", "03-02T09:00")], "03-09T09:00", ("on_time", "late", "other_pauses_count")),
        ([RECEIVED, ("await_personal_number", "03-02T09:00")], "03-09T09:00",
         ("on_time", "late", "other_pauses_count")),
    ],
)  # fmt: skip
def test_both_verdicts(actions: list[tuple[str, str]], when: str, expected: tuple[str | None, str | None, str]) -> None:
    assert judged(after(a_filed_dossier(), *actions), when) == expected


def test_every_reason_has_words() -> None:
    assert set(verdict.WORDS) == set(verdict.Reason.__args__)  # type: ignore[attr-defined]


def test_what_nothing_can_change_is_final() -> None:
    open_ = after(a_filed_dossier(), RECEIVED)
    assert not verdict.verdicts(open_, at("03-09T09:00")).local.is_final
    finished = after(open_, ("finish", "03-09T09:00"))
    assert verdict.verdicts(finished, at("03-09T10:00")).local.is_final
    twice = after(open_, ASKED, ANSWERED, ("request_supplement", "03-10T09:00"))
    assert verdict.verdicts(twice, at("03-10T10:00")).national.is_final


def test_late_begins_a_moment_after_the_due_time() -> None:
    dossier = after(a_filed_dossier(), RECEIVED)
    due = verdict.late_at(dossier)
    assert due == dossier.due_at == verdict.national_late_at(dossier)
    assert due is not None
    assert verdict.verdicts(dossier, due).local.outcome == "on_time"
    assert verdict.verdicts(dossier, due + timedelta(microseconds=1)).local.outcome == "late"
