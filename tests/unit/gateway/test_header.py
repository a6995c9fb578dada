"""What of a request's headers goes on."""

import pytest

from gateway import header
from gateway.header import UnsupportedMediaType
from shared.errors import BadRequest


@pytest.mark.parametrize(
    "name",
    [
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-user-id",
        b"x-user-agencies",
        b"hub-exchange-id",
        b"hub-client",
        b"hub-agencies",
        b"forwarded",
        b"x-real-ip",
        b"connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"upgrade",
        b"proxy-authorization",
        b"x_user_id",
        b"hub_exchange_id",
        b"host",
        b"accept-encoding",
        b"transfer-encoding",
        b"x-http-method-override",
    ],
)
def test_what_services_believe_cannot_come_from_outside(name: bytes) -> None:
    assert header.incoming([(name, b"close")]).kept == []


def test_the_callers_own_words_go_on() -> None:
    kept = header.incoming(
        [(b"authorization", b"Bearer x"), (b"hub-purpose", "xác minh".encode()), (b"accept", b"*/*")]
    )
    assert kept.kept == [("authorization", "Bearer x"), ("hub-purpose", "xác minh"), ("accept", "*/*")]
    assert kept.purpose == "xác minh"


@pytest.mark.parametrize("value", [b" ", "\u00a0".encode(), b"%01", b"%E2%80%8B%20", "\u3000\u200b".encode()])
def test_a_purpose_that_the_log_cannot_say_is_none_to_services(value: bytes) -> None:
    found = header.incoming([(b"hub-purpose", value)])
    assert (found.purpose, found.kept) == (None, [])


def test_two_purposes_are_refused() -> None:
    """The service would read the first and the log keep the last."""
    with pytest.raises(BadRequest):
        header.incoming([(b"hub-purpose", b"xac minh"), (b"hub-purpose", b"khac")])
    found = header.incoming([(b"hub-purpose", b""), (b"hub-purpose", b"xac minh")])
    assert (found.purpose, found.kept) == ("xac minh", [("hub-purpose", "xac minh")])


def test_headers_named_by_connection_stay_behind() -> None:
    found = header.incoming([(b"x-secret", b"1"), (b"connection", b"close, X-Secret"), (b"accept", b"*/*")])
    assert found.kept == [("accept", "*/*")]


@pytest.mark.parametrize("length", [b"+5", b"-1", b"5_0", b" 5", b"", b"9" * 16, b"0x10"])
def test_a_length_is_digits(length: bytes) -> None:
    with pytest.raises(BadRequest):
        header.incoming([(b"content-length", length)])


def test_compressed_bodies_are_refused() -> None:
    with pytest.raises(UnsupportedMediaType):
        header.incoming([(b"content-encoding", b"gzip")])


def test_two_authorizations_are_refused() -> None:
    with pytest.raises(BadRequest):
        header.incoming([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")])


def test_a_valid_trace_goes_on_with_a_span_of_ours() -> None:
    theirs = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    ours = header.traced(theirs)
    assert ours.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert ours != theirs.decode()
    assert header.traced(b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01") != ours
    assert header.traced(b"junk\r\n").startswith("00-")


def test_a_purpose_is_kept_readable_and_harmless() -> None:
    assert header.purpose_text("xac%20minh%0d%0aX: y") == "xac minhX: y"
    assert header.purpose_text("\u202eabc\x1b[31m") == "abc[31m"
    assert header.purpose_text("%00") is None
