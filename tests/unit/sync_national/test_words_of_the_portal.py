"""Answers of the portal that are easily taken for something else."""

import subprocess
import sys

import pytest

from shared import http
from shared.errors import UpstreamInvalid
from sync_national import portal
from sync_national.words import as_kept


@pytest.mark.parametrize(
    ("words", "is_over"),
    [
        ("Phiên làm việc đã hết hạn", True),
        ("Session expired", True),
        ("Phiên bản của hồ sơ không đúng", False),
        ("Hồ sơ H08.15-230301-0001: phiên dịch viên không hợp lệ", False),
        ("Tên phiên dịch không hợp lệ", False),
    ],
)
def test_only_words_about_the_session_end_it(words: str, is_over: bool) -> None:
    assert portal._is_session_over(portal.Reply(200, -1, words, [])) is is_over


@pytest.mark.parametrize("content", [b"{}", b'{"message": "OK"}', b'{"fault": {"faultstring": "x"}}'])
def test_an_answer_without_error_code_judges_nothing(content: bytes) -> None:
    with pytest.raises(UpstreamInvalid) as caught:
        portal.reply_of(http.Answer(200, {}, content))
    assert caught.value.outcome_unknown


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Email an.nguyen@example.vn không đúng", "Email *** không đúng"),
        ("<123456789abc@example.vn>, 012345678901", "*** ***"),
        ("Số 012345678901 của H08.15-230301-0001 sai", "Số *** của H08.15-230301-0001 sai"),
        ("lỗi\x00 dữ liệu", "lỗi dữ liệu"),
    ],
)
def test_words_are_kept_without_persons_and_without_what_no_table_takes(said: str, kept: str) -> None:
    assert as_kept(said) == kept


def test_one_long_word_of_the_portal_does_not_stop_the_service() -> None:
    # In a process of its own, so that the test ends where it would not: the square of four million letters.
    judge = "from sync_national.words import as_kept; assert as_kept('a' * 4_000_000) == 'a' * 500"
    subprocess.run([sys.executable, "-c", judge], check=True, timeout=60)


@pytest.mark.parametrize("name", [["a"], {"a": 1}, 7, None])
def test_a_listed_record_without_a_name_is_nobodys(name: object) -> None:
    reply = portal.Reply(200, -1, "Sai", [{"MaHoSo": name, "error_code": -1, "message": "x"}])
    assert portal.judge(reply, {"a": "a"}).kind == "refused"
