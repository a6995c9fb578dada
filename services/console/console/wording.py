"""How the console says things in Vietnamese: statuses as the national portal names them (wire §1.6), numbers, times."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
NOTHING = "–"

STATUSES = {
    1: "Mới đăng ký",
    2: "Được tiếp nhận",
    3: "Không được tiếp nhận",
    4: "Đang xử lý",
    5: "Yêu cầu bổ sung giấy tờ",
    6: "Yêu cầu thực hiện nghĩa vụ tài chính",
    7: "Công dân yêu cầu rút hồ sơ",
    8: "Dừng xử lý",
    9: "Đã xử lý xong",
    10: "Đã trả kết quả",
}
# The tone only repeats what the text says.
STATUS_TONES = {
    1: "new",
    2: "work",
    3: "bad",
    4: "work",
    5: "wait",
    6: "wait",
    7: "off",
    8: "off",
    9: "good",
    10: "good",
}

ACTIONS = {
    "submit": "Nộp hồ sơ",
    "receive": "Tiếp nhận hồ sơ",
    "refuse": "Từ chối tiếp nhận",
    "start": "Bắt đầu xử lý",
    "request_supplement": "Yêu cầu bổ sung",
    "supplement": "Bổ sung hồ sơ",
    "request_payment": "Yêu cầu nộp phí, lệ phí",
    "settle": "Hoàn thành nghĩa vụ tài chính",
    "withdraw": "Rút hồ sơ",
    "stop": "Dừng xử lý",
    "resume": "Tiếp tục xử lý",
    "extend": "Gia hạn",
    "finish": "Xử lý xong",
    "return_result": "Trả kết quả",
    "hand_over": "Chuyển hồ sơ cho cơ quan giải quyết",
    "attach_result": "Bổ sung kết quả",
    "apologise": "Xin lỗi và hẹn lại ngày trả",
    "await_personal_number": "Chờ cấp số định danh",
    "record_personal_number": "Ghi nhận số định danh",
    "correct": "Đính chính",
}
SYNC_STATES = {
    "synced": "Đã đồng bộ",
    "pending": "Chờ đẩy",
    "in_flight": "Đang đẩy",
    "unknown": "Chưa rõ kết quả",
    "failed": "Lỗi, sẽ thử lại",
    "parked": "Cần xử lý",
    "held": "Tạm giữ",
}
SYNC_TONES = {
    "synced": "good", "pending": "new", "in_flight": "work", "unknown": "wait", "failed": "bad", "parked": "bad",
    "held": "off",
}  # fmt: skip
BREAKERS = {"closed": "Thông", "half_open": "Đang thử lại", "open": "Ngắt"}
BREAKER_TONES = {"closed": "good", "half_open": "wait", "open": "bad"}
OUTCOMES = {
    "pending": "Đang chờ xác thực",
    "not_required": "Không cần xác thực",
    "match": "Khớp CSDL dân cư",
    "mismatch": "Không khớp CSDL dân cư",
    "no_information": "Không có thông tin",
    "insufficient_basis": "Chưa đủ cơ sở kết luận",
}
OUTCOME_TONES = {"match": "good", "mismatch": "bad", "no_information": "wait", "insufficient_basis": "wait"}
CHANNELS = {"counter": "Trực tiếp", "online": "Trực tuyến", "post": "Bưu chính công ích"}
PAYMENT_METHODS = {"online": "Trực tuyến", "counter": "Tại quầy"}
PAYMENT_STATES = {
    "none": "Không phải nộp",
    "due": "Chờ nộp",
    "created": "Đã lập",
    "initiated": "Đã gửi, chưa rõ kết quả",
    "pending": "Chờ nộp",
    "paid": "Đã nộp",
    "failed": "Không thành công",
    "expired": "Hết hạn",
    "review": "Cần đối soát",
    "refund_requested": "Yêu cầu hoàn trả",
    "refunded": "Đã hoàn trả",
}
PAYMENT_TONES = {"paid": "good", "failed": "bad", "expired": "bad", "review": "wait", "refunded": "off"}
DESTINATIONS = {"dvcqg": "Cổng Dịch vụ công quốc gia"}
RECONCILIATION_SOURCES = {"portal": "Tra cứu từng hồ sơ trên Cổng", "file": "Tệp xuất từ Cổng"}
RECONCILIATION_STATES = {
    "waiting": "Đang chờ",
    "running": "Đang so sánh",
    "done": "Đã xong",
    "failed": "Không đọc được",
}
RECONCILIATION_TONES = {"waiting": "new", "running": "work", "done": "good", "failed": "bad"}
DIFFERENCES = {
    "missing_there": "Cổng không có",
    "missing_here": "Tỉnh không có",
    "status_differs": "Khác trạng thái",
    "time_differs": "Khác hạn trả hoặc ngày kết thúc",
    "verdict_differs": "Khác đánh giá đúng hạn",
    "payment_differs": "Khác hình thức thanh toán",
    "progress_differs": "Cổng thiếu dòng tiến độ",
    "record_differs": "Khác nội dung khác của hồ sơ",
}
_SIDE = {
    "status": "trạng thái",
    "due": "hạn trả",
    "ended": "kết thúc",
    "payment": "thanh toán trực tuyến",
    "progress": "dòng tiến độ",
    "verdict": "đánh giá",
    "others": "khác ở",
}
_VERDICTS = {"on_time": "đúng hạn", "late": "quá hạn"}
OWNERS = {"partner": "Bên kết nối", "hub": "Trục tích hợp", "poison": "Bản tin hỏng"}


def number(value: int | float | None) -> str:
    """96047 → 96.047; 66.2 → 66,2"""
    if value is None:
        return NOTHING
    return f"{value:,}".translate(str.maketrans(",.", ".,"))


def moment(value: datetime | str | None) -> str:
    """14:05:09 01/03/2023, Vietnamese time"""
    if not value:
        return NOTHING
    parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
    return parsed.astimezone(VIETNAM).strftime("%H:%M:%S %d/%m/%Y")


def day(value: date | None) -> str:
    """01/03/2023"""
    return NOTHING if value is None else value.strftime("%d/%m/%Y")


def period(first: str | None, last: str | None) -> str:
    """Từ … đến … of two dates as the API writes them; either may be open."""
    days = [(word_, date.fromisoformat(it)) for word_, it in (("từ", first), ("đến", last)) if it]
    return " ".join(f"{word_} {day(it)}" for word_, it in days) or "tất cả hồ sơ"


def side(shown: dict[str, Any] | None) -> str:
    """One side of a difference in a line: what it tells, in the order of importance."""
    if shown is None:
        return "không có"
    parts = [f"{name} {_told(key, shown[key])}" for key, name in _SIDE.items() if shown.get(key) not in (None, "", [])]
    return "; ".join(parts) or NOTHING


def _told(key: str, value: Any) -> str:
    if key == "status" and str(value).isdigit():
        return f"{value} ({word(STATUSES, int(value))})"
    if key in ("due", "ended"):
        return wire_moment(str(value))
    if key == "verdict":
        return word(_VERDICTS, value)
    return ", ".join(value) if isinstance(value, list) else str(value)


def wire_moment(digits: str) -> str:
    """20230315170000 → 17:00:00 15/03/2023; 20230315 → 15/03/2023 (wire §1.4: local time)"""
    if not digits.isdigit() or len(digits) not in (8, 12, 14):
        return digits
    on = f"{digits[6:8]}/{digits[4:6]}/{digits[:4]}"
    clock = ":".join(digits[place : place + 2] for place in range(8, len(digits), 2))
    return f"{clock} {on}" if clock else on


def age(seconds: float | None) -> str:
    """How long ago: the two largest units."""
    if seconds is None:
        return NOTHING
    whole = int(seconds)
    for size, name, smaller, smaller_name in (
        (86_400, "ngày", 3_600, "giờ"),
        (3_600, "giờ", 60, "phút"),
        (60, "phút", 1, "giây"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} giây"


def share(value: float) -> str:
    """100 % and not 100,0 %; 99,9 % otherwise."""
    return number(int(value) if value == int(value) else value)


def share_pct(part: int, whole: int) -> float:
    """For bars and headlines; rounded down, so that 100 is said only of all."""
    return 100.0 if whole == 0 else part * 1000 // whole / 10


def word(table: dict[Any, str], code: Any) -> str:
    """The Vietnamese word, or the code itself where there is none."""
    return NOTHING if code is None else table.get(code, str(code))
