"""CloudEvents as they come in."""

import json
from typing import Any

import pytest

from gateway import cloud_event
from gateway.cloud_event import Pushed, UnsupportedEvents
from shared.errors import InvalidRequest

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "/bo/tai-chinh",
    "type": "vn.gov.ministry.dossier.progressed.v1",
    "time": "2026-03-01T08:00:00+07:00",
    "data": {"dossier_code": "H08.15-230301-0001", "action": "finish"},
    "myextension": "kept",
}


def decoded(event: Any) -> Pushed | InvalidRequest:
    return cloud_event.decode(cloud_event.STRUCTURED, [], json.dumps(event).encode())[0]


def test_a_structured_event_is_kept_untouched() -> None:
    event = decoded(EVENT)
    assert isinstance(event, Pushed)
    assert json.loads(event.value) == EVENT
    assert (event.key, event.dossier_code) == ("H08.15-230301-0001", "H08.15-230301-0001")


@pytest.mark.parametrize(
    ("data", "subject", "key"), [({"dossier_code": 5}, "s", "s"), (None, "s", "s"), ([1], None, "1"), ({}, None, "1")]
)
def test_the_key_is_the_dossier_else_the_subject_else_the_id(data: Any, subject: str | None, key: str) -> None:
    event = {**EVENT, "data": data} | ({"subject": subject} if subject else {})
    kept = decoded(event)
    assert isinstance(kept, Pushed)
    assert kept.key == key


def test_binary_mode_takes_attributes_from_headers() -> None:
    headers = [
        (b"ce-specversion", b"1.0"),
        (b"ce-id", b"7"),
        (b"ce-source", b"/bo/%C4%91%E1%BA%A5t"),
        (b"ce-type", b"t"),
        (b"other", b"x"),
    ]
    event = cloud_event.decode("application/json", headers, b'{"dossier_code":"A"}')[0]
    assert isinstance(event, Pushed)
    assert (event.id, event.source, event.key) == ("7", "/bo/đất", "A")
    assert json.loads(event.value)["data"] == {"dossier_code": "A"}


def test_a_batch_is_judged_event_by_event() -> None:
    body = json.dumps([EVENT, {**EVENT, "id": ""}, 5]).encode()
    kinds = [type(event) for event in cloud_event.decode(cloud_event.BATCH + "; charset=utf-8", [], body)]
    assert kinds == [Pushed, InvalidRequest, InvalidRequest]


@pytest.mark.parametrize("size", [0, 501])
def test_a_batch_has_one_to_500_events(size: int) -> None:
    with pytest.raises(InvalidRequest):
        cloud_event.decode(cloud_event.BATCH, [], json.dumps([EVENT] * size).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"id": None},
        {"id": ""},
        {"id": 5},
        {"source": ""},
        {"type": None},
        {"time": "yesterday"},
        {"time": "2026-03-01T08:00:00"},
        {"time": "0001-01-01T00:00:00+07:00"},
        {"time": "9999-12-31T23:59:59-07:00"},
        {"time": "1989-12-31T23:59:59Z"},
        {"time": "2060-01-01T00:00:00Z"},
        {"Upper": "x"},
        {"ext": {"a": 1}},
        {"ext": None},
        {"data_base64": "AA=="},
        {"datacontenttype": "text/xml"},
        {"id": "x" * 256},
        {"subject": "x" * 256},
        {"source": "\U0001f4c4" * 500, "id": "x"},
        {"data": "x" * 900_000},
    ],
)
def test_what_is_no_event_is_rejected(change: dict[str, Any]) -> None:
    assert isinstance(decoded({**EVENT, **change}), InvalidRequest)


@pytest.mark.parametrize("body", [b"{", b'{"id":1,"id":2}', b"\xef\xbb\xbf{}", b"\xff", b'"\\ud800"'])
def test_malformed_json_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        cloud_event.decode(cloud_event.STRUCTURED, [], body)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/xml", "application/json"])
def test_other_bodies_are_no_events(content_type: str) -> None:
    with pytest.raises(UnsupportedEvents):
        cloud_event.decode(content_type, [(b"content-type", content_type.encode())], b"{}")
