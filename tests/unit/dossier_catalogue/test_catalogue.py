"""Validity, channels, agency codes; and that the seed is whole."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dossier import cataloguing
from dossier.catalogue import Agency, ChannelLimit, Procedure, in_force, is_found, snapshot
from dossier.catalogue_bodies import AgencyCode
from dossier.cataloguing import Catalogue
from dossier.deadline import Limit


def an_agency(code: str = "H08.15", **changes: object) -> Agency:
    whole = Agency(code, "Sở Tư pháp", "department", "H08", None, None, None, ())
    return replace(whole, **changes)  # type: ignore[arg-type]


def a_procedure(**changes: object) -> Procedure:
    return replace(cataloguing.seeded_procedures()[0], version=1, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", ["H\u0660\u0668.15", "H08.\u0967\u096b"])
def test_codes_have_the_digits_that_the_portal_knows(code: str) -> None:
    """A pattern's `\\d` takes those of all scripts."""
    with pytest.raises(ValidationError):
        TypeAdapter(AgencyCode).validate_python(code)
    assert TypeAdapter(AgencyCode).validate_python("H08.15") == "H08.15"


def test_agency_is_valid_from_its_first_day_to_its_last() -> None:
    it = an_agency(valid_from=date(2016, 1, 1), valid_to=date(2025, 6, 30))
    assert [it.is_valid_on(day) for day in (date(2015, 12, 31), date(2016, 1, 1), date(2025, 6, 30))] == [
        False,
        True,
        True,
    ]
    assert not it.is_valid_on(date(2025, 7, 1))


def test_agency_is_found_by_alias_and_former_code() -> None:
    known = snapshot(1, [an_agency(aliases=("STP",))], [])
    day = date(2023, 1, 1)
    for code in ("H08.15", "STP", "000.00.15.H08"):
        found = known.agency(code, day)
        assert found is not None
        assert found.code == "H08.15"
    assert known.agency("H08.16", day) is None


def test_version_in_force_is_the_newest_of_the_latest_valid_from() -> None:
    always = a_procedure()
    later = replace(always, version=2, valid_from=date(2024, 1, 1))
    correction = replace(always, version=3, valid_from=date(2020, 1, 1))
    versions = [always, later, correction]
    assert in_force(versions, date(2019, 1, 1)) == always
    assert in_force(versions, date(2023, 1, 1)) == correction
    assert in_force(versions, date(2024, 1, 1)) == later
    assert in_force([later], date(2023, 12, 31)) is None


def test_channel_without_a_limit_takes_the_first() -> None:
    online, counter = Limit(5, "working_days"), Limit(7, "working_days")
    it = a_procedure(limits=(ChannelLimit("online", online), ChannelLimit("counter", counter)))
    assert (it.limit("online"), it.limit("counter"), it.limit("post")) == (online, counter, online)


def test_procedure_is_performed_by_named_agencies_and_what_belongs_to_them() -> None:
    assert a_procedure(agencies=("*",)).is_performed_by("H08.15")
    assert a_procedure(agencies=("H08",)).is_performed_by("H08.15")
    assert not a_procedure(agencies=("H08.1",)).is_performed_by("H08.15")


def test_seed_has_eighteen_agencies_and_seventy_eight_procedures() -> None:
    agencies, procedures = cataloguing.seeded_agencies(), cataloguing.seeded_procedures()
    assert [it.code for it in agencies] == ["H08"] + [f"H08.{number:02d}" for number in range(1, 19)]
    assert len({it.code for it in procedures}) == len(procedures) == 78
    assert {it.limit("online").unit for it in procedures} == {"hours", "working_days", "calendar_days"}
    by_code = {it.code: it for it in procedures}
    assert by_code["2.000488"].fees[0].amount_vnd == 200_000
    assert by_code["2.000635"].limit("counter") == Limit(8, "hours")


def test_own_change_is_seen_at_once() -> None:
    catalogue = Catalogue()
    catalogue.apply(an_agency())
    catalogue.apply(a_procedure(code="9.000001"))
    assert catalogue.agency("H08.15", date(2023, 1, 1)) == an_agency()
    assert catalogue.procedure("9.000001", date(2023, 1, 1)) is not None
    catalogue.apply(an_agency(valid_to=date(2022, 12, 31)))
    assert catalogue.agency("H08.15", date(2023, 1, 1)) is None
    assert catalogue.name_of_agency("H08.15") == "Sở Tư pháp"


TODAY = date(2026, 1, 1)
ENDED = date(2025, 6, 30)


def retired(code: str, successor: str | None) -> Agency:
    return an_agency(code, valid_to=ENDED, successor=successor)


@given(links=st.dictionaries(st.integers(0, 8), st.integers(0, 9), max_size=9))
def test_whatever_succeeds_whom_the_end_is_valid_or_nobody(links: dict[int, int]) -> None:
    """Successions in any shape, circles too."""
    agencies = [retired(f"H08.{it}", f"H08.{links[it]}" if it in links else None) for it in range(9)]
    known = snapshot(1, [*agencies, an_agency("H08.9")], [])
    for it in agencies:
        found = known.agency(it.code, TODAY)
        assert found is None or found.code == "H08.9"
        before = known.agency(it.code, ENDED)
        assert before is not None
        assert before.code == it.code  # of its own time it is itself
        assert known.successions(TODAY).get(it.code) == (found and found.code)
        assert known.successions(ENDED) == {}


@pytest.mark.parametrize("ended", ["H08.15", "H21.01", "H21.05.02"])
def test_a_successor_performs_what_it_succeeded_in(ended: str) -> None:
    """Also what ended in an agency above it."""
    known = Catalogue()
    for it in (retired(ended, "H21.05"), an_agency("H21.05")):
        known.apply(it)
    procedure = a_procedure(agencies=(ended,))
    assert known.is_performed_by(procedure, {"H21.05"}, TODAY)
    assert not known.is_performed_by(procedure, {"H21.05"}, ENDED)
    assert not known.is_performed_by(procedure, {"H21.06"}, TODAY)


def test_an_agency_that_has_not_begun_has_no_successor_yet() -> None:
    known = snapshot(1, [an_agency(valid_from=date(2027, 1, 1), successor="H21.05"), an_agency("H21.05")], [])
    assert known.agency("H08.15", TODAY) is None


def test_the_mergers_are_whole() -> None:
    provinces = {it.code: it for it in cataloguing.merged_provinces()}
    ended = [it for it in provinces.values() if it.valid_to is not None]
    assert (len(provinces), len(ended)) == (63, 29)
    for it in ended:
        assert it.valid_to == ENDED
        assert provinces[str(it.successor)].valid_to is None
    assert provinces["H08"].successor == "H21"


@pytest.mark.parametrize(
    ("text", "is_there"),
    [
        ("cap phieu", True), ("PHIẾU lý", True), ("lich phieu cap", True), ("đất đai", False), ("dat dai dang", True),
        ("phieu phieux", False), ("", True), ("2.0004", True), ("hoà", True), ("hòa", True), ("ieu", False),
    ],
)  # fmt: skip
def test_search_takes_beginnings_of_words_in_any_order_without_accents(text: str, is_there: bool) -> None:
    names = ("Cấp Phiếu lý lịch tư pháp, Hòa Bình", "2.000488") if text != "dat dai dang" else ("Đăng ký đất đai",)
    assert is_found(text, *names) is is_there


def test_a_procedure_that_has_ended_is_in_force_no_more_until_a_new_version_begins() -> None:
    until_june = a_procedure(valid_to=date(2025, 6, 30))
    again = replace(a_procedure(), version=2, valid_from=date(2026, 1, 1))
    assert in_force([until_june, again], date(2025, 6, 30)) == until_june
    assert in_force([until_june, again], date(2025, 7, 1)) is None
    assert in_force([until_june, again], date(2026, 1, 1)) == again
