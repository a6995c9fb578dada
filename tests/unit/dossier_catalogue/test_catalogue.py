"""Validity, channels, agency codes; and that the seed is whole."""

from dataclasses import replace
from datetime import date

import pytest
from pydantic import TypeAdapter, ValidationError

from dossier import cataloguing
from dossier.catalogue import Agency, ChannelLimit, Procedure, canonical_agency_code, in_force, snapshot
from dossier.catalogue_api import AgencyCode, AnyAgencyCode
from dossier.cataloguing import Catalogue
from dossier.deadline import Limit


def an_agency(code: str = "H08.15", **changes: object) -> Agency:
    whole = Agency(code, "Sở Tư pháp", "department", "H08", None, None, None, ())
    return replace(whole, **changes)  # type: ignore[arg-type]


def a_procedure(**changes: object) -> Procedure:
    return replace(cataloguing.seeded_procedures()[0], version=1, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("000.00.15.H08", "H08.15"),
        ("000.00.00.G17", "G17"),
        ("000.05.15.H08", "H08.15.05"),
        ("003.05.15.H08", "H08.15.05.003"),
        ("H08.15", "H08.15"),
        ("nonsense", "nonsense"),
    ],
)
def test_former_agency_codes_are_turned_round(old: str, new: str) -> None:
    assert canonical_agency_code(old) == new


@pytest.mark.parametrize("code", ["H\u0660\u0668.15", "H08.\u0967\u096b"])
def test_codes_have_the_digits_that_the_portal_knows(code: str) -> None:
    """A pattern's `\\d` takes those of all scripts."""
    for kind in (AgencyCode, AnyAgencyCode):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(code)
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
