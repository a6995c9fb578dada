"""Sealed cookies: only ours, only for their purpose, only in their time."""

from pathlib import Path

import pytest
import time_machine

from console.cookie import Cookies, CookieTooLarge


@pytest.fixture
def cookies(tmp_path: Path) -> Cookies:
    (tmp_path / "key").write_text("ab" * 32)
    return Cookies(tmp_path / "key")


def test_what_was_sealed_is_read_again_for_its_purpose_only(cookies: Cookies) -> None:
    text = cookies.seal("session", {"token": "t"}, 60)
    assert cookies.open("session", text) == {"token": "t"}
    assert cookies.open("sign_in", text) is None


def test_a_cookie_ends(cookies: Cookies) -> None:
    with time_machine.travel("2023-03-01T08:00:00Z", tick=False) as clock:
        text = cookies.seal("session", {}, 60)
        clock.shift(61)
        assert cookies.open("session", text) is None


@pytest.mark.parametrize("change", ["", "x", "AAAA", "không phải", None])
def test_what_is_not_ours_is_nothing(cookies: Cookies, change: str | None) -> None:
    assert cookies.open("session", change) is None


def test_any_changed_character_breaks_the_seal(cookies: Cookies) -> None:
    text = cookies.seal("session", {"token": "t"}, 60)
    for place in range(0, len(text) - 4, 7):
        other = "A" if text[place] != "A" else "B"
        assert cookies.open("session", text[:place] + other + text[place + 1 :]) is None


def test_another_key_opens_nothing(cookies: Cookies, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("cd" * 32)
    assert Cookies(tmp_path / "other").open("session", cookies.seal("session", {}, 60)) is None


def test_a_cookie_the_browser_would_drop_is_an_error(cookies: Cookies) -> None:
    with pytest.raises(CookieTooLarge):
        cookies.seal("session", {"token": "t" * 4000}, 60)
