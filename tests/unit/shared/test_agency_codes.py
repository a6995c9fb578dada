"""Both forms of a code are one agency."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.agency_codes import agencies_within, canonical, covers, dossier_ranges, old_form

GROUPS = st.tuples(
    st.integers(0, 99).map("{:02d}".format), st.integers(0, 99).map("{:02d}".format),
    st.integers(0, 999).map("{:03d}".format),
)  # fmt: skip
TOPS = st.from_regex(r"[A-Z][0-9]{2}", fullmatch=True)


@given(top=TOPS, groups=GROUPS, depth=st.integers(0, 3))
def test_there_and_back_is_the_same(top: str, groups: tuple[str, str, str], depth: int) -> None:
    code = ".".join([top, *groups[:depth]])
    old = old_form(code)
    if old is None:  # ends in zeros, which the former form cannot tell from nothing
        assert not code.split(".")[-1].strip("0")
        return
    assert (canonical(old), old_form(canonical(old))) == (code, old)


@given(code=st.text(max_size=30) | st.from_regex(r"[A-Z]\d\d(\.\d{1,5}){0,5}", fullmatch=True))
def test_the_canonical_form_of_a_canonical_form_is_itself(code: str) -> None:
    assert canonical(canonical(code)) == canonical(code)


def test_the_forms_of_the_regulation() -> None:
    assert (old_form("H56.14"), canonical("000.00.14.H56")) == ("000.00.14.H56", "H56.14")
    assert (old_form("H56"), old_form("H56.1"), old_form("H56.14.01.001.02")) == ("000.00.00.H56", None, None)


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
    assert canonical(old) == new


@pytest.mark.parametrize(
    ("asked", "own", "found"),
    [
        (None, ("*",), None),
        ("H08.15", ("*",), ["H08.15"]),
        ("H08.15", ("H08",), ["H08.15"]),
        ("H08", ("H08.15", "H08.15.02", "H09"), ["H08.15"]),
        (None, ("H08.16", "H08.15"), ["H08.15", "H08.16"]),
        ("H08.01", ("H08.15",), []),
        ("H08.1", ("H08.15",), []),
    ],
)
def test_what_is_asked_for_ends_where_the_callers_agencies_end(
    asked: str | None, own: Sequence[str], found: list[str] | None
) -> None:
    assert agencies_within(asked, own) == found
    ranges = None if found is None else [(f"{it}-", f"{it}/") for it in found]
    assert dossier_ranges(asked, own) == ranges


@pytest.mark.parametrize(
    ("own", "agency", "is_covered"),
    [
        (["H08"], "H08.15", True),
        (["H08"], "H08", True),
        (["H08"], "H081.15", False),
        (["H09", "H08.15"], "H08", False),
        (["*"], "H99", True),
        ([], "H08", False),
        ([""], "H08", False),
    ],
)
def test_who_has_an_agency_has_all_below_it(own: list[str], agency: str, is_covered: bool) -> None:
    assert covers(own, agency) is is_covered
