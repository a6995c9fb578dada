"""The exchange log's chain: any change, gap, swap or cut shows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import (
    Exchange,
    Flaw,
    Record,
    Walk,
    agency_of,
    code_at_end,
    codes_digest,
    codes_in,
    link,
    opening_digest,
)

START = datetime(2026, 3, 1, 1, 30, tzinfo=UTC)
OPENING = opening_digest("c", 1, START, bytes(32))


def an_exchange(number: int = 1, **changes: Any) -> Exchange:
    values: dict[str, Any] = {
        "id": f"018f0000-0000-7000-8000-{number:012d}",
        "kind": "exchange",
        "client_id": "portal",
        "subject": "portal",
        "role": "portal",
        "method": "GET",
        "route": "/v1/dossiers/{code}",
        "path": "/v1/dossiers/H08-230301-0001",
        "status": 200,
        "upstream_status": None,
        "purpose": None,
        "received_at": START + timedelta(seconds=number),
        "answered_at": START + timedelta(seconds=number, milliseconds=5),
        "request_sha256": None,
        "response_sha256": b"\x01" * 32,
        "dossier_codes": ("H08-230301-0001",),
    }
    return Exchange(**values | changes)


def a_chain(length: int) -> list[Record]:
    records: list[Record] = []
    previous = OPENING
    for seq in range(1, length + 1):
        records.append(link("c", seq, previous, START, an_exchange(seq)))
        previous = records[-1].digest
    return records


def row_of(record: Record) -> dict[str, Any]:
    exchange = record.exchange
    names = (
        "id",
        "kind",
        "client_id",
        "subject",
        "role",
        "method",
        "route",
        "path",
        "status",
        "upstream_status",
        "purpose",
        "received_at",
        "answered_at",
        "request_sha256",
        "response_sha256",
    )
    return {name: getattr(exchange, name) for name in names} | {
        "chain": record.chain,
        "seq": record.seq,
        "previous": record.previous,
        "digest": record.digest,
        "recorded_at": record.recorded_at,
        "dossier_code": record.exchange.dossier_code,
        "dossier_count": len(exchange.dossier_codes),
        "dossiers_sha256": record.exchange.dossiers_sha256,
    }


def walked(rows: list[dict[str, Any]], head_seq: int, head_digest: bytes) -> Flaw | None:
    walk = Walk("c", OPENING)
    for row in rows:
        flaw = walk.step(dict(row), None)
        if flaw:
            return flaw
    return walk.end(head_seq, head_digest)


def test_an_untouched_chain_is_sound() -> None:
    records = a_chain(5)
    assert walked([row_of(record) for record in records], 5, records[-1].digest) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", 404),
        ("client_id", "desk"),
        ("path", "/v1/dossiers/H08-230301-0002"),
        ("purpose", "khác"),
        ("received_at", START),
        ("recorded_at", START + timedelta(microseconds=1)),
        ("response_sha256", b"\x02" * 32),
        ("dossier_code", None),
        ("kind", "recovered"),
        ("id", "018f0000-0000-7000-8000-000000000009"),
    ],
)
def test_a_changed_field_names_its_record(name: str, value: Any) -> None:
    records = a_chain(5)
    rows = [row_of(record) for record in records]
    rows[2][name] = value
    flaw = walked(rows, 5, records[-1].digest)
    assert flaw is not None
    assert (flaw.seq, flaw.reason) == (3, "was changed")


@given(st.integers(1, 8), st.data())
def test_a_deleted_record_is_missed(length: int, data: st.DataObject) -> None:
    records = a_chain(length)
    gone = data.draw(st.integers(0, length - 1))
    rows = [row_of(record) for index, record in enumerate(records) if index != gone]
    flaw = walked(rows, length, records[-1].digest)
    assert flaw is not None
    assert flaw.seq == gone + 1


@given(st.integers(2, 8), st.data())
def test_swapped_contents_show_even_with_their_numbers_exchanged(length: int, data: st.DataObject) -> None:
    records = a_chain(length)
    first = data.draw(st.integers(0, length - 2))
    rows = [row_of(record) for record in records]
    one, other = rows[first], rows[first + 1]
    rows[first], rows[first + 1] = {**other, "seq": one["seq"]}, {**one, "seq": other["seq"]}
    flaw = walked(rows, length, records[-1].digest)
    assert flaw is not None
    assert flaw.seq == first + 1


def test_a_cut_tail_no_longer_reaches_the_head() -> None:
    records = a_chain(5)
    flaw = walked([row_of(record) for record in records[:3]], 5, records[-1].digest)
    assert flaw is not None
    assert (flaw.seq, "tail" in flaw.reason) == (4, True)


def test_a_list_of_dossiers_is_covered_by_its_digest() -> None:
    record = link("c", 1, OPENING, START, an_exchange(dossier_codes=("H08-230301-0001", "H08-230301-0002")))
    assert record.exchange.dossier_code is None
    right = codes_digest(["H08-230301-0002", "H08-230301-0001"])
    assert Walk("c", OPENING).step(row_of(record), right) is None
    assert Walk("c", OPENING).step(row_of(record), codes_digest(["H08-230301-0001"])) is not None
    assert Walk("c", OPENING).step(row_of(record), None) is not None


def test_codes_are_found_in_batch_answers_and_error_codes_are_not() -> None:
    answer = (
        b'{"index":0,"status":201,"code":"H08.15-230301-0001"}\n'
        b'{"index":1,"status":422,"problem":{"code":"invalid_request"}}\n'
        b'{"index":2,"status":201,"code":"H08.15-230301-10000"}\n'
    )
    assert codes_in(answer) == ("H08.15-230301-0001", "H08.15-230301-10000")
    assert code_at_end("/v1/dossiers/H08.15-230301-0001") == ("H08.15-230301-0001",)
    assert code_at_end("/v1/clients/portal-1") == ()
    assert agency_of("H08.15-230301-0001") == "H08.15"
    assert agency_of("x") is None
