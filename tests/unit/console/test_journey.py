"""One dossier's way: order, words, and what is told of each hop."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from console import journey, overview, wording
from console.signing_in import inside

EXCHANGE = {
    "id": "x1", "method": "POST", "route": "/v1/dossiers", "path": "/v1/dossiers", "status": 201, "client_id": "desk",
    "role": "desk", "purpose": None, "received_at": "2023-03-01T08:30:00.100+00:00",
}  # fmt: skip
SUBMIT = {
    "action": "submit", "from": None, "to": "submitted", "actor": None, "reason": None, "due_before": None,
    "due_after": None, "at": "2023-03-01T08:30:00.100+00:00", "recorded_at": "2023-03-01T08:30:00.100+00:00",
}  # fmt: skip
ATTEMPT: dict[str, Any] = {
    "number": 1, "at": "2023-03-01T08:30:02+00:00", "version": 2, "progress_number": 1, "outcome": "refused",
    "reason": "Hồ sơ không hợp lệ", "request": {"MaHoSo": "H08"},
    "exchanges": [{"service": "DongBoHoSoMC", "error_code": "-5"}],
}  # fmt: skip


def a_hop(topic: str, kind: str, **detail: Any) -> dict[str, Any]:
    at = datetime(2023, 3, 1, 8, 30, 0, tzinfo=UTC)
    later = datetime(2023, 3, 1, 8, 30, 1, tzinfo=UTC)
    return {"topic": topic, "type": kind, "version": None, "at": at, "published_at": later, "detail": detail}


def test_hops_stand_in_the_hubs_time_and_the_exchange_before_what_it_caused() -> None:
    seen = [
        a_hop("lgsp.identity", "identity.verified", outcome="mismatch", mismatched_fields=["full_name"]),
        a_hop("lgsp.payment", "payment.completed", payment_id="p", method="online", amount_vnd=200_000),
    ]
    hops = journey.in_order(
        journey.pushes({"attempts": [ATTEMPT]}),
        journey.payments(seen),
        journey.identity(seen),
        journey.transitions([SUBMIT]),
        journey.exchanges([EXCHANGE]),
    )
    assert [hop.kind for hop in hops] == ["exchange", "transition", "identity", "payment", "push"]
    assert [hop.badge for hop in hops] == [
        "HTTP 201", "Mới đăng ký", "Không khớp CSDL dân cư", "200.000 đồng", "Bị từ chối",
    ]  # fmt: skip
    assert "DongBoHoSoMC" in hops[4].contents[1][0]


def test_business_time_is_told_where_it_differs() -> None:
    imported = {**SUBMIT, "at": "2022-12-30T08:00:00+07:00"}
    (hop,) = journey.transitions([imported])
    assert ("Thực hiện lúc", "08:00:00 30/12/2022") in hop.facts
    assert hop.at == datetime.fromisoformat(SUBMIT["recorded_at"] or "")
    (same,) = journey.transitions([SUBMIT])
    assert not same.facts


def test_reads_are_told_apart() -> None:
    assert [hop.is_read for hop in journey.exchanges([EXCHANGE, {**EXCHANGE, "method": "GET"}])] == [False, True]


def test_every_code_has_a_word() -> None:
    assert set(wording.STATUSES) == set(range(1, 11)) == set(wording.STATUS_TONES)
    assert set(wording.SYNC_STATES) == set(overview.STATES) == set(wording.SYNC_TONES)


@pytest.mark.parametrize(
    ("value", "text"), [(96047, "96.047"), (66.2, "66,2"), (0, "0"), (14_206_183_957, "14.206.183.957"), (None, "–")]
)
def test_numbers_as_vietnam_writes_them(value: float | None, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.4, "0 giây"), (59, "59 giây"), (60, "1 phút"), (3725, "1 giờ 2 phút"), (180_000, "2 ngày 2 giờ")],
)
def test_ages(seconds: float | None, text: str) -> None:
    assert wording.age(seconds) == text


def test_a_hundred_per_cent_is_said_only_of_all() -> None:
    assert wording.share(wording.share_pct(999_999, 1_000_000)) == "99,9"
    assert wording.share(wording.share_pct(5, 5)) == "100"


def test_parts_of_the_bar_lie_side_by_side_and_fill_it() -> None:
    parts = overview.slices({"synced": 1, "pending": 1, "parked": 1}, 3)
    shown = [part for part in parts if part.count]
    assert shown[0].start == 0
    assert all(abs(a.start + a.width - b.start) < 0.01 for a, b in itertools.pairwise(shown))
    assert abs(sum(part.width for part in parts) - 100) < 0.01


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [
        ("/console/sync", "/console/sync"),
        ("/console?x=1", "/console?x=1"),
        ("https://evil.example", "/console"),
        ("//evil.example/console", "/console"),
        ("/consolewards", "/console"),
        ("/console/\\evil", "/console"),
        ("/console/\nx", "/console"),
    ],
)
def test_sign_in_leads_back_into_the_console_only(asked: str, leads_to: str) -> None:
    assert inside(asked) == leads_to
