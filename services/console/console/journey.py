"""One dossier's way through the hub: every hop of every system in order of time. Rules only.

The order is the hub's own time (when it learned of the hop), so that a cause stands before its effect also where the
business time is coarse (a payment's has no fractions of a second) or long past (imported years); the business time
is told where it differs.

Sources: the exchange log (gateway), the transitions (dossier), facts about identity and payments (the read model,
which holds no personal data), the pushes with request and answer (sync-national).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from console import wording

Kind = Literal["exchange", "transition", "identity", "payment", "push"]
KINDS: dict[Kind, str] = {
    "exchange": "Trao đổi",
    "transition": "Hồ sơ",
    "identity": "Danh tính",
    "payment": "Thanh toán",
    "push": "Đồng bộ",
}
_ORDER: tuple[Kind, ...] = ("exchange", "transition", "identity", "payment", "push")
_NOTABLE = timedelta(minutes=1)
_READS = frozenset({"GET", "HEAD"})
_Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hop:
    """One thing that happened. `at` is the hub's time; `facts` are label and value, `contents` label and text."""

    at: datetime
    kind: Kind
    title: str
    tone: str = ""
    badge: str = ""
    facts: Sequence[tuple[str, str]] = ()
    contents: Sequence[tuple[str, str]] = ()
    is_read: bool = False
    number: int = field(default=0, compare=False)

    @property
    def kind_name(self) -> str:
        """The kind in Vietnamese."""
        return KINDS[self.kind]


def in_order(*sources: Iterable[Hop]) -> list[Hop]:
    """All hops by time; at the same moment the exchange comes before what it caused."""
    every = [hop for source in sources for hop in source]
    return sorted(every, key=lambda hop: (hop.at, _ORDER.index(hop.kind), hop.number))


def exchanges(records: Iterable[_Document]) -> list[Hop]:
    """What the gateway let in about this dossier."""
    return [_exchange(record) for record in records]


def _exchange(record: _Document) -> Hop:
    status = int(record["status"])
    facts = [
        ("Bên gọi", str(record.get("client_id") or "công khai")),
        ("Vai trò", str(record.get("role") or wording.NOTHING)),
        ("Mã trao đổi", str(record["id"])),
    ]
    if record.get("purpose"):
        facts.append(("Mục đích", str(record["purpose"])))
    return Hop(
        at=_moment(record["received_at"]),
        kind="exchange",
        title=f"{record['method']} {record.get('route') or record['path']}",
        tone="good" if status < 400 else "bad",
        badge=f"HTTP {status}",
        facts=facts,
        is_read=record["method"] in _READS,
    )


def transitions(history: Iterable[_Document]) -> list[Hop]:
    """What was done with the dossier."""
    return [_transition(step, number) for number, step in enumerate(history)]


def _transition(step: _Document, number: int) -> Hop:
    status = _STATUS_CODES.get(step["to"])
    actor = step.get("actor") or {}
    facts = [("Người thực hiện", ", ".join(str(actor[name]) for name in ("name", "title", "unit") if actor.get(name)))]
    facts.append(("Lý do", str(step.get("reason") or "")))
    before, after = step.get("due_before"), step.get("due_after")
    if after and after != before:
        facts.append(("Hạn trả kết quả", wording.moment(after)))
    at, happened_at = _moment(step.get("recorded_at") or step["at"]), _moment(step["at"])
    facts += _earlier(happened_at, at)
    return Hop(
        at=at,
        kind="transition",
        title=wording.word(wording.ACTIONS, step["action"]),
        tone=wording.STATUS_TONES.get(status or 0, ""),
        badge=wording.word(wording.STATUSES, status),
        facts=[(label, value) for label, value in facts if value],
        number=number,
    )


_STATUS_CODES = {
    "submitted": 1, "received": 2, "not_accepted": 3, "in_process": 4, "supplement_requested": 5,
    "payment_requested": 6, "withdrawn": 7, "stopped": 8, "processed": 9, "returned": 10,
}  # fmt: skip


def identity(hops: Iterable[_Document]) -> list[Hop]:
    """Answers of the population database, from the read model."""
    found = []
    for hop in hops:
        if hop["topic"] == "lgsp.identity":
            outcome = hop["detail"].get("outcome", "pending")
            fields = ", ".join(hop["detail"].get("mismatched_fields") or [])
            found.append(
                Hop(
                    at=hop["published_at"] or hop["at"],
                    kind="identity",
                    title="Xác thực với CSDL quốc gia về dân cư",
                    tone=wording.OUTCOME_TONES.get(outcome, ""),
                    badge=wording.word(wording.OUTCOMES, outcome),
                    facts=[("Trường không khớp", fields)] if fields else [],
                )
            )
    return found


_PAYMENT_TITLES = {
    "payment.link_ready": ("Đã có liên kết thanh toán", "wait"),
    "payment.completed": ("Đã nộp tiền", "good"),
    "payment.failed": ("Thanh toán không thành công", "bad"),
    "payment.expired": ("Liên kết thanh toán hết hạn", "bad"),
    "payment.review_opened": ("Cần đối soát", "wait"),
    "payment.refunded": ("Đã hoàn trả", "off"),
}


def payments(hops: Iterable[_Document]) -> list[Hop]:
    """What happened to the dossier's charges, from the read model."""
    found = []
    for hop in hops:
        if hop["topic"] == "lgsp.payment":
            title, tone = _PAYMENT_TITLES.get(hop["type"], (hop["type"], ""))
            detail = hop["detail"]
            facts = [("Mã giao dịch", str(detail.get("payment_id", wording.NOTHING)))]
            if detail.get("method"):
                facts.append(("Hình thức", wording.word(wording.PAYMENT_METHODS, detail["method"])))
            amount = detail.get("amount_vnd")
            badge = f"{wording.number(amount)} đồng" if amount is not None else ""
            at = hop["published_at"] or hop["at"]
            facts += _earlier(hop["at"], at)
            found.append(Hop(at=at, kind="payment", title=title, tone=tone, badge=badge, facts=facts))
    return found


# What sync-national calls the end of a visit.
_PUSHES = {
    "accepted": ("Đã nhận", "good"),
    "refused": ("Bị từ chối", "bad"),
    "unreachable": ("Không kết nối được", "wait"),
    "lost": ("Mất câu trả lời", "wait"),
    "unclear": ("Câu trả lời không rõ", "wait"),
    "untellable": ("Không thể biết kết quả", "wait"),
    "broken": ("Không lập được bản ghi", "bad"),
}


def pushes(sync: _Document | None) -> list[Hop]:
    """Every visit to the national portal, with what was sent and what came back."""
    return [_push(attempt) for attempt in (sync or {}).get("attempts", ())]


def _push(attempt: _Document) -> Hop:
    facts = [
        ("Phiên bản", str(attempt.get("version", wording.NOTHING))),
        ("Dòng tiến độ đến số", str(attempt.get("progress_number", wording.NOTHING))),
    ]
    if attempt.get("reason"):
        facts.append(("Lý do", str(attempt["reason"])))
    contents = []
    if attempt.get("request"):
        contents.append(("Nội dung đã gửi", _pretty(attempt["request"])))
    for number, exchange in enumerate(attempt.get("exchanges", ()), start=1):
        contents.append((f"Lượt gọi {number}: {exchange.get('service', '')}", _pretty(exchange)))
    badge, tone = _PUSHES.get(attempt["outcome"], (str(attempt["outcome"]), ""))
    return Hop(
        at=_moment(attempt["at"]),
        kind="push",
        title=f"Đẩy lên Cổng Dịch vụ công quốc gia, lần {attempt['number']}",
        tone=tone,
        badge=badge,
        facts=facts,
        contents=contents,
        number=int(attempt["number"]),
    )


def _earlier(happened_at: datetime, at: datetime) -> list[tuple[str, str]]:
    return [("Thực hiện lúc", wording.moment(happened_at))] if abs(at - happened_at) > _NOTABLE else []


def _pretty(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2)


def _moment(text: str | datetime) -> datetime:
    return datetime.fromisoformat(text) if isinstance(text, str) else text
