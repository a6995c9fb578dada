"""What ministries pushed and is not applied, and how far one event has come, as rows. Rules and words only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console import wording

STATES = {
    "stored": "Đã lưu",
    "published": "Đã phát hành",
    "applied": "Đã áp dụng",
    "synced": "Cổng đã nhận",
    "past": "Không còn gì để làm",
    "waiting": "Đang chờ",
    "unmatched": "Chưa có hồ sơ",
    "unmapped": "Chưa hiểu được",
    "refused": "Không áp dụng được",
    "parked": "Lỗi của bản tin hoặc của trục",
    "unknown": "Chưa rõ",
}
TONES = {
    "applied": "good", "synced": "good", "past": "off", "waiting": "wait", "unmatched": "wait", "unmapped": "bad",
    "refused": "bad", "parked": "bad",
}  # fmt: skip
OPEN = {
    "unmatched": "hồ sơ chưa có trên trục",
    "unmapped": "loại sự kiện hoặc giá trị chưa được khai báo",
    "refused": "quy trình của hồ sơ không cho phép",
    "waiting": "chờ danh tính hoặc thanh toán",
}
"""The states of events that are not applied, with what each means."""
TO_DO = {
    "unmatched": "Trục tự áp dụng khi hồ sơ đến. Nếu mã sai, đề nghị bộ, ngành gửi lại.",
    "unmapped": "Bổ sung từ điển của bộ, ngành; sự kiện được áp dụng lại ngay sau đó.",
    "refused": "Trục thử lại khi hồ sơ có bước mới. Nếu bước này sai, báo bộ, ngành.",
    "waiting": "Không cần làm gì: trục tự áp dụng khi có kết quả.",
    "parked": "Báo đơn vị vận hành trục.",
}
_REASONS = {
    "unknown_dossier": "Không có hồ sơ mang mã này",
    "unknown_type": "Loại sự kiện chưa có trong từ điển",
    "unmapped_value": "Một giá trị chưa có trong từ điển",
    "invalid_request": "Nội dung không đúng quy ước",
    "transition_not_allowed": "Hồ sơ đang ở bước không cho phép việc này",
    "agency_not_permitted": "Bộ, ngành này không phụ trách đơn vị của hồ sơ",
    "result_is_a_filed_paper": "Kết quả gửi về là giấy tờ người dân đã nộp",
    "says_nothing_here": "Sự kiện này không đòi hỏi việc gì",
    "time_goes_back": "Thời điểm đứng trước bước đã ghi",
    "action_not_for_role": "Bộ, ngành không được làm bước này",
    "action_not_for_agency": "Bước này thuộc đơn vị kia của hồ sơ",
    "identity_pending": "Danh tính người nộp còn đang được xác thực",
    "identity_reason_required": "Danh tính chưa khớp: cần nêu lý do",
    "charge_open": "Còn khoản phí, lệ phí chưa nộp",
    "legal_exception_required": "Yêu cầu bổ sung lần hai cần căn cứ pháp lý",
    "personal_number_awaited": "Hồ sơ đang chờ số định danh",
    "personal_number_not_awaited": "Hồ sơ không chờ số định danh",
    "extension_not_allowed": "Không được gia hạn",
    "not_late": "Hồ sơ chưa quá hạn",
    "step_does_not_fit": "Bước này không có trong quy trình tại thời điểm đó",
    "hub_fault": "Trục lỗi khi xử lý",
}
_STEPS = (
    ("accepted_at", "Tiếp nhận"),
    ("stored_at", "Lưu"),
    ("published_at", "Phát hành"),
    ("taken_at", "Đọc vào hồ sơ"),
    ("applied_at", "Áp dụng"),
    ("synced_at", "Cổng quốc gia nhận"),
)
NAMES: Sequence[str] = tuple(name for _, name in _STEPS)
"""The columns of the matrix."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How many events stand open in one way."""

    ministry: str
    type: str
    state: str
    tone: str
    why: str
    count: int
    since: str


@dataclass(frozen=True, slots=True)
class Row:
    """One event: where it stands, why, what to do; `steps` are the times of `NAMES`."""

    ministry: str
    source: str
    id: str
    type: str
    dossier_code: str | None
    state: str
    tone: str
    owner: str
    why: str
    detail: str
    to_do: str
    happened_at: str
    steps: Sequence[str]


def totals(counts: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Open events by state."""
    found = dict.fromkeys(OPEN, 0)
    for it in counts:
        found[it["state"]] = found.get(it["state"], 0) + it["count"]
    return found


def kinds(counts: Iterable[Mapping[str, Any]]) -> list[Kind]:
    """The counts, the most first."""
    return [
        Kind(
            f"{it['client_id']} {it['source']}",
            it["type"],
            STATES.get(it["state"], it["state"]),
            TONES.get(it["state"], ""),
            _why(it["reason"])[0],
            it["count"],
            wording.moment(it["oldest_at"]),
        )
        for it in counts
    ]


def rows(items: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The events of a list or of a matrix."""
    return [_row(it) for it in items]


def _row(it: Mapping[str, Any]) -> Row:
    why, detail = _why(it["reason"])
    unknown = it.get("unknown", ())
    return Row(
        ministry=it["client_id"],
        source=it["source"],
        id=it["id"],
        type=it["type"],
        dossier_code=it["dossier_code"],
        state=STATES.get(it["state"], it["state"]),
        tone=TONES.get(it["state"], ""),
        owner=wording.word(wording.OWNERS, it["owner"]) if it["owner"] else "",
        why=why,
        detail=detail,
        to_do=TO_DO.get(it["state"], ""),
        happened_at=wording.moment(it["happened_at"]),
        steps=["không rõ" if name in unknown else wording.moment(it.get(name)) for name, _ in _STEPS],
    )


def _why(reason: str | None) -> tuple[str, str]:
    """Words for a reason, and what it says of the place."""
    if not reason:
        return "", ""
    code, _, detail = reason.partition(": ")
    return _REASONS.get(code, code), detail
