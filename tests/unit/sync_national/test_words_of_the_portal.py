"""Answers of the portal that are easily taken for something else."""

import pytest

from shared import http
from shared.errors import UpstreamInvalid
from sync_national import portal


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
