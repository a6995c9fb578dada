"""Row 22: the strict decoder and the CloudEvents reader, against inputs that were made to get through.

Push tier: some thousand inputs; `--security-long`: more than 100,000.
"""

import json
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway import cloud_event
from gateway.cloud_event import Pushed, UnsupportedEvents
from shared import events, strict_json
from shared.errors import InvalidRequest

pytestmark = pytest.mark.timeout(3600)

_NASTY = [
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e-999", "9" * 5000, "-" + "9" * 19, "9223372036854775807",
    "9223372036854775808", "0.1e400", "-0", "-0.0", "01", "1.", ".5", "+1", "0x10", "1_000", '"\\u0000"', '"\\ud800"',
    '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\x00"', '"\\x41"', '"\t"', '"a\\', "'a'", "undefined", "True", "nul",
    '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '{"\\u0000":1}', '{"\\udfff":1}', '{"__proto__":{}}', "{,}", "[1,]", "{}{}",
    "/**/1", "#", "\ufeff1", "\u2028", "[" * 31 + "]" * 31, "[" * 32 + "]" * 32, '{"a":' * 33 + "1" + "}" * 33,
    "[" * 40, '{"a":' * 40, "\u00a01", "\v1", "1 2", "",
]  # fmt: skip
_characters = st.characters(exclude_categories=[])
_texts = st.text(_characters, max_size=8).map(lambda text: json.dumps(text, ensure_ascii=True))
_raw = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(lambda text: f'"{text}"')
_numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
_atoms = st.sampled_from(_NASTY) | _texts | _raw | _numbers | st.sampled_from(["true", "false", "null", "{}", "[]"])
_documents = st.recursive(
    _atoms,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda parts: "[" + ",".join(parts) + "]")
        | st.lists(st.tuples(_texts | _raw, inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{name}:{value}" for name, value in pairs) + "}"
        )
    ),
    max_leaves=8,
)
_ENCODINGS = ["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1258", "utf-7"]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Something like JSON: nasty atoms in right frames, in some encoding, then bent in a place or two."""
    text = draw(_documents)
    encoding = draw(st.sampled_from(_ENCODINGS))
    halves = encoding.startswith("utf-") and encoding != "utf-7" and draw(st.booleans())
    body = text.encode(encoding, "surrogatepass" if halves else "replace")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=3)) + body[at + draw(st.integers(0, 2)) :]
    return body


def many(count: int) -> Callable[[Any], Any]:
    """How many inputs a run has; none is kept or shrunk: what fails is in the message."""
    return settings(
        max_examples=count,
        phases=[Phase.generate, Phase.shrink],
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def runs(is_long: bool, times: int) -> range:
    """The long tier repeats the push tier's run: Hypothesis remembers a run's inputs and slows with them."""
    return range(times if is_long else 1)


def sound(value: Any, depth: int = 1) -> bool:
    """What every system behind can hold: PostgreSQL's jsonb, 64-bit integers, the partners' parsers."""
    if isinstance(value, str):
        return "\x00" not in value and value.encode("utf-8", "replace").decode() == value
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int):
        return abs(value) < 2**63
    if isinstance(value, float):
        return math.isfinite(value)
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    return depth <= strict_json.MAX_DEPTH and all(sound(each, depth + 1) for each in inner)


def test_whatever_is_read_is_sound_and_means_the_same_to_every_reader(is_long: bool) -> None:
    read = 0

    @many(1_000)
    @given(bodies())
    def every(body: bytes) -> None:
        nonlocal read
        try:
            value = strict_json.loads(body)
        except InvalidRequest:
            return
        read += 1
        assert sound(value)
        assert value == orjson.loads(body) == json.loads(body)
        assert strict_json.loads(strict_json.dumps(value)) == value

    for _ in runs(is_long, 70):
        every()
    assert read > 50, "the inputs are not all refused"


def test_no_refusal_tells_what_was_sent(is_long: bool) -> None:
    @many(300)
    @given(bodies(), st.integers(0, 40))
    def every(body: bytes, at: int) -> None:
        marked = body[:at] + b"DauHieuRieng" + body[at:]
        told = ""
        try:
            strict_json.loads(marked)
        except InvalidRequest as refusal:
            told = refusal.message + str(refusal.errors)
        assert "RIENG" not in told.upper()

    for _ in runs(is_long, 17):
        every()


_attributes = st.sampled_from(
    [
        "id",
        "source",
        "type",
        "subject",
        "time",
        "specversion",
        "datacontenttype",
        "sequence",
        "traceparent",
        "myext",
        "Bad",
    ]
)
_attribute_values = (
    st.sampled_from(
        ["1.0", "a", "/bo", "2026-03-01T08:00:00+07:00", "2026-03-01T08:00:00", "24:00", "", "x" * 600, "A12"]
    )
    | st.text(max_size=5)
    | st.integers()
    | st.booleans()
    | st.none()
    | st.floats()
)
_payloads = st.none() | st.dictionaries(st.sampled_from(["dossier_code", "at"]), st.text(max_size=5) | st.integers())
_GOOD = {"specversion": "1.0", "id": "1", "source": "/bo", "type": "t"}
_envelopes = st.tuples(
    st.dictionaries(_attributes, _attribute_values, max_size=4), _payloads | st.just([1]) | st.just("x"), st.booleans()
).map(lambda parts: _GOOD | parts[0] | ({"data": parts[1]} if parts[2] else {}))


def taken(decoded: list[Pushed | InvalidRequest]) -> int:
    """Every event of an answer is refused with its reason, or can be stored, carried and read again."""
    good = 0
    for event in decoded:
        if isinstance(event, InvalidRequest):
            assert event.errors or event.message
            continue
        good += 1
        for text in (event.id, event.source, event.type, event.key):
            assert text
            assert not any(ord(letter) < 32 for letter in (event.id + event.source + event.type))
            assert len(text) <= 500
        assert "\x00" not in event.value
        assert len(event.value.encode()) <= events.MAX_BYTES
        kept = strict_json.loads(event.value.encode())
        assert (kept["id"], kept["source"], kept["type"]) == (event.id, event.source, event.type)
        if isinstance(kept.get("data"), dict | None):
            read = events.decode(event.value.encode(), {"hub-client": "bo"})
            assert (read.id, read.source, read.type) == (event.id, event.source, event.type)
    return good


def test_a_structured_event_is_refused_or_can_be_read_by_every_service(is_long: bool) -> None:
    good = 0

    @many(400)
    @given(_envelopes.map(lambda envelope: json.dumps(envelope).encode()) | bodies())
    def every(body: bytes) -> None:
        nonlocal good
        with suppress(InvalidRequest):
            good += taken(cloud_event.decode(cloud_event.STRUCTURED, [], body))

    for _ in runs(is_long, 50):
        every()
    assert good > 10


def test_a_batch_is_judged_event_by_event(is_long: bool) -> None:
    good = 0

    @many(250)
    @given(st.lists(_envelopes | st.just(5) | st.just([]), max_size=5), bodies(), st.booleans())
    def every(envelopes: list[Any], bent: bytes, is_bent: bool) -> None:
        nonlocal good
        body = bent if is_bent else json.dumps(envelopes).encode()
        try:
            decoded = cloud_event.decode(cloud_event.BATCH, [], body)
        except InvalidRequest:
            return
        assert is_bent or len(decoded) == len(envelopes)
        good += taken(decoded)

    for _ in runs(is_long, 40):
        every()
    assert good > 10


_header_values = st.sampled_from(
    [
        b"1.0",
        b"a",
        b"/bo/%C4%91",
        b"%00",
        b"%0d%0a",
        b"%ff",
        b"%",
        b"%u0000",
        b"\xc4\x91",
        b"\xff",
        b"2026-03-01T08:00:00Z",
        b"",
    ]
) | st.binary(max_size=6)
_header_names = st.sampled_from(
    [b"ce-id", b"ce-source", b"ce-type", b"ce-specversion", b"ce-time", b"ce-x", b"ce-", b"ce-\xff"]
)
_GOOD_HEADERS = [(b"ce-specversion", b"1.0"), (b"ce-id", b"1"), (b"ce-source", b"/bo"), (b"ce-type", b"t")]


def test_a_binary_event_is_refused_or_can_be_read_by_every_service(is_long: bool) -> None:
    good = 0

    @many(400)
    @given(
        st.sampled_from(
            ["application/json", "application/json; charset=utf-8", "text/plain", "", "application/x+json"]
        ),
        st.lists(st.tuples(_header_names, _header_values), max_size=4),
        st.sampled_from([b"{}", b"", b"[1]", b'"x"', b'{"dossier_code":"A"}']) | bodies(),
    )
    def every(content_type: str, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        nonlocal good
        given_names = {name for name, _ in headers}
        sent = [pair for pair in _GOOD_HEADERS if pair[0] not in given_names] + headers
        with suppress(InvalidRequest, UnsupportedEvents):
            good += taken(cloud_event.decode(content_type, sent, body))

    for _ in runs(is_long, 50):
        every()
    assert good > 20


def test_an_attribute_given_twice_is_refused() -> None:
    """Whoever reads the first and whoever reads the last would see two events."""
    headers = [*_GOOD_HEADERS, (b"ce-id", b"2")]
    (event,) = cloud_event.decode("application/json", headers, b"{}")
    assert isinstance(event, InvalidRequest)


@pytest.mark.parametrize("value", ["a\x00b", "a\nb", "\x1b[31m", "a\x7f"])
def test_control_characters_are_no_part_of_an_attribute(value: str) -> None:
    """CloudEvents 1.0 §3.1.1; PostgreSQL refuses NUL in a text, which would be our own fault."""
    escaped = "".join(f"%{ord(letter):02x}" for letter in value).encode()
    for name in (b"ce-id", b"ce-source", b"ce-type", b"ce-subject", b"ce-other"):
        headers = [pair for pair in _GOOD_HEADERS if pair[0] != name] + [(name, escaped)]
        (event,) = cloud_event.decode("application/json", headers, b"{}")
        assert isinstance(event, InvalidRequest), name
