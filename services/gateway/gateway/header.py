"""Which headers cross the gateway, and what it adds. Rules only; names are lower-case bytes as ASGI gives them."""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

from shared.errors import BadRequest, HubError

_HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
"""RFC 9110 §7.6.1: they belong to one connection."""

_NEVER_IN = _HOP_BY_HOP | {
    b"host",
    b"content-length",
    b"expect",
    b"accept-encoding",
    b"forwarded",
    b"x-real-ip",
    b"traceparent",
    b"x-http-method-override",
    b"x-original-url",
    b"x-rewrite-url",
}
_NEVER_OUT = _HOP_BY_HOP | {b"server", b"date", b"hub-exchange-id", b"hub-dossier-code", b"hub-purpose"}
_FORGED = (b"x-forwarded-", b"x-user-", b"hub-")
"""What services take from the gateway only. `Hub-Purpose` is the caller's own word."""

_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")
_random_bits = random.getrandbits
"""Trace ids need to differ, not to be secret: no system call for them."""
_NO_TRACE = b"0" * 32
PURPOSE_CHARACTERS = 500


class UnsupportedMediaType(HubError):
    """Bodies come as they are: a compressed one could unfold to anything."""

    status, code, title = 415, "unsupported_media_type", "Compressed request bodies are not accepted"


@dataclass(slots=True)
class Incoming:
    """A request's headers, sorted out in one pass."""

    kept: list[tuple[str, str]] = field(default_factory=list)
    authorization: bytes | None = None
    content_length: int | None = None
    is_chunked: bool = False
    purpose: str | None = None
    """As the log keeps it. A service is told of one purpose, or of none, like the log."""
    traceparent: bytes = b""


def incoming(headers: Iterable[tuple[bytes, bytes]]) -> Incoming:
    """What goes on to a service, and what the gateway itself reads. Raises `BadRequest` for malformed ones."""
    found = Incoming()
    listed: set[str] = set()
    for name, value in headers:
        if name == b"authorization":
            if found.authorization is not None:
                raise BadRequest("Authorization is given twice")
            found.authorization = value
        elif name == b"content-length":
            found.content_length = _length(value)
        elif name == b"transfer-encoding":
            found.is_chunked = True
        elif name == b"hub-purpose":
            _take_purpose(found, _text(value))
            continue
        elif name == b"traceparent":
            found.traceparent = value
        elif name == b"connection":
            listed = {token.strip().lower() for token in _text(value).split(",")}
        elif name == b"content-encoding" and value.lower() not in (b"", b"identity"):
            raise UnsupportedMediaType
        kept = _name_inside(name)
        if kept is not None:
            found.kept.append((kept, _text(value)))
    if listed - {"keep-alive", "close"}:
        found.kept = [pair for pair in found.kept if pair[0] not in listed]
    return found


def _take_purpose(found: Incoming, text: str) -> None:
    """Of several a service would read the first; and what the log cannot say is no purpose to a service either."""
    if found.purpose is not None:
        raise BadRequest("Hub-Purpose is given twice")
    found.purpose = purpose_text(text)
    if found.purpose is not None:
        found.kept.append(("hub-purpose", text))


@lru_cache(maxsize=512)
def _name_inside(name: bytes) -> str | None:
    """What a header is called behind the gateway; None when it stays outside."""
    forged = name.startswith(_FORGED) and name != b"hub-purpose"
    return None if name in _NEVER_IN or b"_" in name or forged else name.decode("ascii")


@lru_cache(maxsize=512)
def _name_outside(name: bytes) -> bytes | None:
    """What a service's header is called for the caller; None when it stays inside."""
    lowered = name.lower()
    return None if lowered in _NEVER_OUT else lowered


def _length(value: bytes) -> int:
    # int() alone would take "+5", " 5" and "5_0".
    if not value.isdigit() or len(value) > 15:
        raise BadRequest("Content-Length is not a number")
    return int(value)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadRequest("A header is not UTF-8") from None


def outgoing(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """A service's answer headers as the caller gets them."""
    return [(outside, value) for name, value in headers if (outside := _name_outside(name)) is not None]


def traced(traceparent: bytes) -> str:
    """The `traceparent` of our hop (W3C Trace Context): the caller's trace if valid, else a new one."""
    known = _TRACEPARENT.fullmatch(traceparent)
    if known and known[1] != _NO_TRACE:
        return f"00-{known[1].decode()}-{_random_bits(64):016x}-{known[2].decode()}"
    return f"00-{_random_bits(128):032x}-{_random_bits(64):016x}-01"


def purpose_text(purpose: str | None) -> str | None:
    """A purpose as the log keeps it: percent-encoding undone, control characters gone."""
    if purpose is None:
        return None
    text = unquote(purpose) if "%" in purpose else purpose
    return "".join(letter for letter in text if letter.isprintable()).strip()[:PURPOSE_CHARACTERS] or None
