"""Failures of one cause get one fingerprint, failures of two causes two."""

import pytest

from sync_national.incident import fingerprint, normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hồ sơ H08.15-260302-0001 sai NgayHenTra", "Hồ sơ H08.01.02-230301-12345 sai  NgayHenTra"),
        ("Trùng số biên nhận 12345", "Trùng số biên nhận 777"),
        ("Sai thời điểm 2026-03-02 08:30:00", "Sai thời điểm 2026-04-11 17:00:01"),
        ('Mã thủ tục "2.000488" không có', 'Mã thủ tục "1.001234" không có'),
        ("Thủ tục hoà giải", "Thủ tục hòa giải"),
        ("CỔNG KHÔNG TRẢ LỜI", "Cổng không trả lời"),
    ],
)
def test_what_differs_from_dossier_to_dossier_is_left_out(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cổng báo lỗi (HTTP 500)", "Cổng báo lỗi (HTTP 503)"),
        ("error_code -5", "error_code -6"),
        ("Thiếu mã thủ tục", "Thiếu mã cơ quan"),
    ],
)
def test_what_says_what_happened_stays(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_a_cause_is_words_owner_and_destination_together() -> None:
    causes = [("dvcqg", "partner", "x"), ("dvcqg", "hub", "x"), ("other", "partner", "x"), ("dvcqg", "partner", "y")]
    assert len({fingerprint(*cause) for cause in causes}) == 4


def test_no_message_is_endless() -> None:
    assert len(normalised("dài " * 1000)) <= 300
