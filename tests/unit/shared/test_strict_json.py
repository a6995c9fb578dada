"""The strict decoder refuses what any parser downstream could stumble over."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import strict_json
from shared.errors import InvalidRequest

REFUSED = {
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "invalid UTF-8": b'{"a":"\xff"}',
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "NUL escaped": b'{"a":"x\\u0000y"}',
    "NUL in a key": b'{"a\\u0000":1}',
    "NUL raw": b'{"a":"\x00"}',
    "lone high surrogate": b'{"a":"\\ud800"}',
    "lone low surrogate": b'{"a":"\\udc00x"}',
    "surrogate in a key": b'{"\\uDBFF":1}',
    "NaN": b'{"a":NaN}',
    "Infinity": b"[Infinity]",
    "minus Infinity": b"[-Infinity]",
    "1e999": b"[1e999]",
    "duplicate keys": b'{"a":1,"a":2}',
    "duplicate keys by escape": b'{"a":1,"\\u0061":2}',
    "nested duplicate": b'[{"b":{"a":1,"a":1}}]',
    "depth 33": b"[" * 33 + b"]" * 33,
    "depth 100000": b"[" * 100_000,
    "objects 33 deep": b'{"a":' * 33 + b"1" + b"}" * 33,
    "5000 digits": b"[" + b"9" * 5000 + b"]",
    "beyond 64 bits": b"[9223372036854775808]",
    "trailing text": b"{} {}",
    "empty": b"",
    "comment": b"{/*x*/}",
    "single quotes": b"{'a':1}",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        strict_json.loads(body)
    assert refusal.value.status == 422


def test_accepted_at_the_edge() -> None:
    assert strict_json.loads(b"[" * 32 + b"]" * 32)
    assert strict_json.loads(b"[9223372036854775807, -9223372036854775807]")
    assert strict_json.loads('{"tên": "Nguyễn \\ud83d\\ude00 \\\\u0000"}'.encode()) == {"tên": "Nguyễn 😀 \\u0000"}


_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=20,
)


@given(_values, st.booleans())
def test_what_is_json_comes_back_equal(value: Any, ascii_only: bool) -> None:
    assert strict_json.loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
    assert strict_json.loads(strict_json.dumps(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    try:
        value = strict_json.loads(body)
    except InvalidRequest:
        return
    assert json.loads(body) == value
