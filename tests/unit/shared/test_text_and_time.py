"""Vietnamese text and wire dates."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import clock, vietnamese


def test_both_places_of_the_tone_are_one_word() -> None:
    for one, other in [("hoà", "hòa"), ("Hoà Bình", "Hòa Bình"), ("thuỷ", "thủy"), ("khoẻ", "khỏe")]:
        assert vietnamese.normal(one) == vietnamese.normal(other)
    assert vietnamese.normal("quý") == "quý"
    assert vietnamese.normal("hoàn toàn") == "hoàn toàn"


def test_search_folds_accents_and_d() -> None:
    assert vietnamese.fold("  Đặng  Thị Ngọc Ánh ") == "dang thi ngoc anh"
    assert vietnamese.unaccented("Nguyễn Đức") == "Nguyen Duc"


def test_wire_dates_are_local() -> None:
    moment = datetime(2023, 3, 1, 1, 30, tzinfo=UTC)
    assert clock.to_wire(moment) == "20230301083000"
    assert clock.from_wire("20230301083000") == moment
    assert clock.to_wire(None) == ""
    assert clock.from_wire("") is None
    assert clock.local_date(datetime(2023, 3, 1, 17, 0, tzinfo=UTC)).day == 2


@pytest.mark.parametrize(
    "text",
    ["2023", "20231301083000", "2023030108300x", "２０２３０３０１０８３０００", "20230301 83000", "00010101000000"],
)
def test_what_is_no_wire_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        clock.from_wire(text)


@given(st.integers(946_684_800, 4_102_444_800), st.integers(0, 999_999))
def test_wire_dates_come_back_to_the_second(seconds: int, microsecond: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=microsecond)
    assert clock.from_wire(clock.to_wire(moment)) == moment.replace(microsecond=0)
