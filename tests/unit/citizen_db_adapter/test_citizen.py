"""The rules of identity."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citizen_db_adapter import citizen
from citizen_db_adapter.citizen import Outcome, Person, PurposeNotPermitted, Record

AN = Person("052190000123", "Nguyễn Thị An", "1990-04-12")


def a_record(full_name: str = "NGUYỄN THỊ AN", date_of_birth: str = "1990-04-12") -> Record:
    return Record("052190000123", full_name, date_of_birth, {})


@pytest.mark.parametrize(
    ("records", "outcome", "fields"),
    [
        ([], Outcome.NO_INFORMATION, ()),
        ([a_record()], Outcome.MATCH, ()),
        ([a_record("Nguyễn  thị an ")], Outcome.MATCH, ()),
        ([a_record("Nguyễn Thị Ân")], Outcome.MISMATCH, ("full_name",)),
        ([a_record(date_of_birth="1991-04-12")], Outcome.MISMATCH, ("date_of_birth",)),
        ([a_record("Trần Bình", "1991")], Outcome.MISMATCH, ("full_name", "date_of_birth")),
        ([a_record(), a_record()], Outcome.INSUFFICIENT_BASIS, ()),
    ],
)
def test_what_037_says_is_one_of_four_outcomes(
    records: list[Record], outcome: Outcome, fields: tuple[str, ...]
) -> None:
    assert citizen.judge(AN, records) == citizen.Finding(outcome, fields)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("Nguyễn Đức Ánh", "NGUYEN DUC ANH", True),
        ("Nguyễn Đức Ánh", "NGUYỄN ĐỨC ÁNH", True),
        ("Nguyễn Đức Ánh", "NGUYỄN ĐỨC ANH", False),
        ("Nguyen Van A", "Nguyen Van B", False),
    ],
)
def test_accents_count_unless_one_side_has_none(left: str, right: str, same: bool) -> None:
    assert citizen.same_name(left, right) is same
    assert citizen.same_name(right, left) is same


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("1990-04-12", "1990", True),
        ("1990-04-12", "1990-04-12", True),
        ("1990-04-12", "1990-04-13", False),
        ("1991", "1990-04-12", False),
        (None, "1990", True),
        ("1990", "", True),
    ],
)
def test_birth_dates_are_compared_as_far_as_both_are_known(left: str | None, right: str | None, same: bool) -> None:
    assert citizen.same_birth(left, right) is same
    assert citizen.same_birth(right, left) is same


@given(st.text(max_size=60))
def test_a_name_is_always_itself(name: str) -> None:
    assert citizen.same_name(name, f"  {name} ")


@pytest.mark.parametrize(
    ("person", "can"),
    [
        (AN, True),
        (Person("052190000", "A", None), True),
        (Person("", "A", None), False),
        (Person("05219000012x", "A", None), False),
        (Person("٠٥٢١٩٠٠٠٠١٢٣", "A", None), False),
        (Person("052190000123", " ", None), False),
        (Person("052190000123", "A" * 101, None), False),
    ],
)
def test_only_people_the_wire_can_name_are_asked_about(person: Person, can: bool) -> None:
    assert citizen.can_be_asked(person) is can


@pytest.mark.parametrize("status", [3, 7, 9, 10])
def test_a_closed_dossier_permits_no_lookup(status: int) -> None:
    with pytest.raises(PurposeNotPermitted):
        citizen.require_purpose("Tiếp nhận", status)


@pytest.mark.parametrize("status", [1, 2, 4, 5, 6, 8])
def test_an_open_dossier_permits_one_with_a_purpose(status: int) -> None:
    citizen.require_purpose("Tiếp nhận", status)
    with pytest.raises(PurposeNotPermitted):
        citizen.require_purpose(" ", status)
