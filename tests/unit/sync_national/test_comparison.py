"""When two records differ, and how two long lists are walked at once."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sync_national.comparison import Merge, Ours, Theirs, agency_of, compare

OURS = Ours("H08.15-260302-0001", "H08.15", "9", "20260310100000", "20260309160000", "1", 4, "synced")


def theirs(**changes: Any) -> Theirs:
    """What the portal shows of `OURS`, with changes."""
    return Theirs(OURS.code, "9", "20260310100000", "20260309160000", "1", 4)._replace(**changes)


def test_equal_records_do_not_differ() -> None:
    assert compare(OURS, theirs()) == ()


def test_what_they_do_not_tell_is_not_compared() -> None:
    assert compare(OURS, Theirs(OURS.code)) == ()


def test_each_kind_has_its_own_name() -> None:
    assert compare(OURS, theirs(status="4")) == ("status_differs",)
    assert compare(OURS, theirs(due="20260311100000")) == ("time_differs",)
    assert compare(OURS, theirs(ended="")) == ("time_differs",)
    assert compare(OURS, theirs(payment="0")) == ("payment_differs",)
    assert compare(OURS, theirs(progress=3)) == ("progress_differs",)
    assert compare(OURS, theirs(others=("TenTTHC",))) == ("record_differs",)
    assert compare(OURS._replace(verdict="on_time"), theirs(verdict="late")) == ("verdict_differs",)
    assert compare(OURS, theirs(status="4", payment="3")) == ("status_differs", "payment_differs")


def test_a_time_is_compared_as_precisely_as_they_tell_it() -> None:
    assert compare(OURS, theirs(due="20260310", ended="202603091600")) == ()
    assert compare(OURS, theirs(due="20260311")) == ("time_differs",)
    assert compare(OURS._replace(ended=""), theirs(ended="20260309")) == ("time_differs",)


def test_rows_of_theirs_beyond_ours_are_no_difference() -> None:
    assert compare(OURS, theirs(progress=5)) == ()


def test_a_verdict_is_compared_only_where_both_sides_tell_theirs() -> None:
    assert compare(OURS, theirs(verdict="late")) == ()
    assert compare(OURS._replace(verdict="late"), theirs()) == ()
    assert compare(OURS._replace(verdict="late"), theirs(verdict="late")) == ()


def test_a_payment_nobody_told_us_of_is_not_compared() -> None:
    assert compare(OURS._replace(payment=None), theirs(payment="3")) == ()


def test_agency_stands_before_the_day() -> None:
    assert agency_of("H08.15.02-260302-0001") == "H08.15.02"
    assert agency_of("000.00.14.H56-230301-00001") == "000.00.14.H56"
    assert agency_of("sai") == ""


def a_dossier(number: int, **changes: Any) -> Ours:
    """One of ours by number."""
    return OURS._replace(code=f"H08.15-260302-{number:04d}", **changes)


def test_what_only_one_side_has_is_missing_on_the_other() -> None:
    merge = Merge(iter([theirs(code=a_dossier(n).code) for n in (0, 2, 4, 5)]))
    found = merge.take([a_dossier(n) for n in (1, 2, 3)]) + merge.rest(10)
    assert [(it.code[-1], it.kinds) for it in found] == [
        ("0", ("missing_here",)),
        ("1", ("missing_there",)),
        ("3", ("missing_there",)),
        ("4", ("missing_here",)),
        ("5", ("missing_here",)),
    ]
    assert merge.figures["compared"] == 6
    assert merge.figures["equal"] == 1


def test_on_the_way_and_changed_since_are_counted_apart() -> None:
    merge = Merge(iter([theirs(code=a_dossier(1).code, status="4"), theirs(code=a_dossier(2).code, status="4")]))
    ours = [a_dossier(1, is_on_the_way=True), a_dossier(2, has_changed_since=True), a_dossier(3, is_on_the_way=True)]
    assert merge.take(ours) == []
    assert (merge.figures["on_the_way"], merge.figures["changed_since"], merge.figures["compared"]) == (2, 1, 0)


def test_a_dossier_outside_the_period_is_missed_by_nobody_but_compared_when_it_is_there() -> None:
    merge = Merge(iter([theirs(code=a_dossier(2).code, status="4")]))
    found = merge.take([a_dossier(1, is_asked_for=False), a_dossier(2, is_asked_for=False)])
    assert [it.kinds for it in found] == [("status_differs",)]
    assert merge.figures["not_asked_for"] == 1


def test_lines_about_other_agencies_are_passed_over() -> None:
    lines = [Theirs("H08.01-260302-0001"), Theirs("H08.15-260302-0001"), Theirs("khác")]
    merge = Merge(iter(lines), agencies=("H08.15",))
    assert [it.code for it in merge.rest(10)] == ["H08.15-260302-0001"]
    assert merge.figures["not_asked_for"] == 2


NUMBERS = st.sets(st.integers(0, 60))


@given(ours=NUMBERS, there=NUMBERS, unlike=NUMBERS, piece=st.integers(1, 7), stop=st.integers(0, 10))
def test_walking_in_pieces_and_going_on_after_a_stop_finds_what_sets_would(
    ours: set[int], there: set[int], unlike: set[int], piece: int, stop: int
) -> None:
    mine = [a_dossier(n) for n in sorted(ours)]
    shown = [theirs(code=a_dossier(n).code, status="4" if n in unlike else "9") for n in sorted(there)]
    merge = Merge(iter(shown))
    found, position = [], ""
    for number, start in enumerate(range(0, len(mine), piece)):
        if number == stop:  # another copy takes over where this one stopped
            merge = Merge(iter(shown), after=position, figures=dict(merge.figures))
        part = [it for it in mine[start : start + piece] if it.code > position]
        found += merge.take(part)
        position = part[-1].code
    while more := merge.rest(piece):
        found += more
    by_code = {int(it.code[-4:]): it.kinds for it in found}
    assert len(by_code) == len(found)
    assert by_code == {
        **dict.fromkeys(ours - there, ("missing_there",)),
        **dict.fromkeys(there - ours, ("missing_here",)),
        **dict.fromkeys(ours & there & unlike, ("status_differs",)),
    }
    assert merge.figures["compared"] == len(ours | there)
    assert merge.figures["equal"] == len((ours & there) - unlike)
