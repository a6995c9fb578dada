"""The one JSON decoder in front of every body and message, stricter than any library's own.

Refused: anything but UTF-8, a byte order mark, NUL, lone surrogates, NaN and infinities, duplicate keys,
nesting beyond 32, integers beyond 64 bits (`faults.md` row 22). PostgreSQL and the partners' parsers would
each stumble over some of them later, when the citizen has already been told "received".
"""

import json
import math
from typing import Any, NoReturn

import orjson

from shared.errors import FieldError, InvalidRequest

MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1
_BOM = b"\xef\xbb\xbf"


def loads(body: bytes) -> Any:
    """Decode one JSON text. Raises `InvalidRequest` naming the fault, never the content."""
    if body.startswith(_BOM):
        _refuse("a byte order mark is not allowed")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        _refuse("the body is not UTF-8")
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        _refuse(f"nesting is deeper than {MAX_DEPTH}")
    except ValueError as fault:
        _refuse(fault.msg if isinstance(fault, json.JSONDecodeError) else str(fault))
    # A body with few brackets cannot nest too deep, one without an escape cannot hide NUL or half a surrogate
    # pair: the walk over the whole value is needed for the few others only.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH or b"\\u" in body or "\x00" in text:
        _walk(value, 1)
    return value


def dumps(value: Any) -> bytes:
    """Encode as compact UTF-8; aware datetimes become RFC 3339."""
    return orjson.dumps(value)


def canonical(value: Any) -> bytes:
    """Encode with sorted keys: equal values give equal bytes, for digests."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _walk(value: Any, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            _refuse(f"nesting is deeper than {MAX_DEPTH}")
        if isinstance(value, dict):
            for key, member in value.items():
                _check_text(key)
                _walk(member, depth + 1)
        else:
            for member in value:
                _walk(member, depth + 1)


def _check_text(text: str) -> None:
    if "\x00" in text:
        _refuse("NUL is not allowed in a string")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        _refuse("a lone surrogate is not allowed in a string")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return members


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(number := int(digits)) > MAX_INTEGER:
        raise ValueError("an integer is beyond 64 bits")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is not finite")
    return number


def _constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _refuse(reason: str) -> NoReturn:
    raise InvalidRequest("The body is not acceptable JSON", errors=[FieldError("", reason)])


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
