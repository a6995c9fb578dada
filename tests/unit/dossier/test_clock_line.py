"""The line of working time: its parts, and where either rule says late. What always holds is in `test_life_machine`."""

from dossier.clock_line import ClockLine
from dossier.record import Dossier
from tests.unit.dossier.test_pauses import RECEIVED, TERMS, a_filed_dossier, after, at, terms_of


def line_of(dossier: Dossier, when: str) -> ClockLine:
    found = TERMS.line(dossier, at(when))
    assert found is not None
    return found


def hours(line: ClockLine) -> list[tuple[str, float]]:
    return [(it.kind, it.length.total_seconds() / 3600) for it in line.parts]


def test_nights_and_pauses_take_their_working_time_only() -> None:
    dossier = after(a_filed_dossier(), RECEIVED, ("request_supplement", "03-02T09:00"), ("supplement", "03-03T09:00"))
    line = line_of(dossier, "03-06T09:00")
    assert hours(line) == [("work", 8), ("supplement", 8), ("work", 8)]
    assert [(it.counts_here, it.counts_nationally) for it in line.parts] == [(True, True), (False, False), (True, True)]
    assert line.due is not None
    assert line.due.total_seconds() / 3600 == 48  # 40 and the pause
    # The nation adds the supplement's day, by the clock on the wall, to an appointment that has moved already.
    assert (line.national_due_at, line.national_due) == (at("03-10T09:00"), line.due + line.parts[1].length)


def test_a_standing_clock_shows_what_would_be_left() -> None:
    stopped = after(a_filed_dossier(), RECEIVED, ("stop", "03-02T09:00"))
    line = line_of(stopped, "03-06T09:00")
    assert hours(line) == [("work", 8), ("stop", 16)]
    assert line.due is not None
    assert line.due - line.length == TERMS.left(stopped, at("03-06T09:00"))
    # A stop is no pause for the nation: its appointment stays.
    assert (line.national_due_at, line.national_due) == (at("03-08T09:00"), line.due - line.parts[1].length)


def test_what_was_counted_before_a_restart_counts_no_more() -> None:
    terms = terms_of("restart")
    steps = (RECEIVED, ("request_supplement", "03-02T09:00"), ("supplement", "03-03T16:00"))
    line = terms.line(after(a_filed_dossier(), *steps, terms=terms), at("03-06T09:00"))
    assert line is not None
    # Handed in after 15:00: counted from the next morning on.
    assert [(it.kind, it.counts_here) for it in line.parts] == [
        ("work", False), ("supplement", False), ("work", False), ("work", True),
    ]  # fmt: skip


def test_the_line_ends_with_the_dossier_and_begins_with_its_reception() -> None:
    assert TERMS.line(a_filed_dossier(), at("03-06T09:00")) is None
    finished = after(a_filed_dossier(), RECEIVED, ("finish", "03-02T09:00"))
    assert line_of(finished, "03-06T09:00") == line_of(finished, "06-01T09:00")
