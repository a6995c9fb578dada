"""How the console names what operators do: incidents, holds, replays, refusals, stuck dossiers, what comes next."""

from typing import Any

from console.wording import OWNERS

INCIDENT_STATES = {"open": "Đang mở", "resolved": "Đã xử lý"}
INCIDENT_TONES = {"open": "bad", "resolved": "good"}
OWNER_TONES = {"partner": "wait", "hub": "bad", "poison": "off"}
OWNER_MEANINGS = {
    "partner": "Cổng từ chối hoặc không trả lời",
    "hub": "Trục lập sai bản ghi hoặc có lỗi",
    "poison": "Bản tin không bao giờ xử lý được",
}
MAINTENANCE_STATES = {"planned": "Sắp tới", "running": "Đang diễn ra", "over": "Đã xong", "cancelled": "Đã hủy"}
MAINTENANCE_TONES = {"planned": "new", "running": "wait", "over": "off", "cancelled": "off"}
REPLAY_STATES = {
    "planned": "Chờ xác nhận",
    "expired": "Quá hạn xác nhận",
    "running": "Đang đẩy lại",
    "done": "Đã xong",
    "cancelled": "Đã hủy",
}
REPLAY_TONES = {"planned": "new", "expired": "off", "running": "work", "done": "good", "cancelled": "off"}
REPLAY_KINDS = {"retry": "Đẩy lại", "repair": "Sửa sai lệch"}
REPLAY_OUTCOMES = {
    "retried": "Đã cho đẩy lại",
    "already_level": "Đã khớp từ trước, không đẩy nữa",
    "in_hand": "Đang được đẩy",
    "answer_awaited": "Đang chờ biết kết quả lần đẩy trước",
    "gone": "Không còn",
    "left": "Chưa đến lượt",
}
RETRYABLE = {"failed": "Lỗi, sẽ thử lại", "parked": "Cần xử lý", "unknown": "Không thể biết kết quả"}

REFUSALS = {
    "agency_not_permitted": "Việc này liên quan đến đơn vị mà tài khoản của bạn không phụ trách.",
    "insufficient_scope": "Tài khoản của bạn chỉ được xem, không được thao tác đồng bộ.",
    "incident_resolved": "Sự cố này đã được người khác xử lý, hoặc đã tự hết. Trang dưới đây là tình trạng mới nhất.",
    "maintenance_over": "Lịch bảo trì này đã xong hoặc đã bị hủy.",
    "plan_not_open": "Danh sách này đã được xác nhận hoặc hủy, hoặc đã quá hạn. Dưới đây là tình trạng mới nhất.",
    "count_differs": "Số hồ sơ trong danh sách khác số đã hiển thị. Hãy xem lại rồi xác nhận.",
    "no_read_service": "Đích không có dịch vụ tra cứu: hãy đối soát bằng tệp.",
    "not_repairable": "Không sửa được: lần đối soát chưa xong, đã được duyệt sửa, hoặc không có gì để đẩy lại.",
    "nothing_to_retry": "Không có gì để đẩy lại: hồ sơ đã khớp hoặc đang được đẩy.",
    "outcome_unknown": "Lần đẩy trước có thể vẫn đang chạy ở phía Cổng; trục sẽ tự hỏi lại. Hãy thử lại sau ít phút.",
    "idempotency_key_reused": "Biểu mẫu này đã được gửi với nội dung khác. Hãy kiểm tra tình trạng rồi gửi lại.",
    "request_in_progress": "Yêu cầu này đang được thực hiện. Hãy tải lại trang sau vài giây.",
    "payload_too_large": "Tệp quá lớn: tối đa 256 MB.",
    "unsupported_media_type": "Tệp không phải CSV hoặc XLSX.",
}
_FIELDS = {
    "agency": "mã đơn vị",
    "starts_at": "thời điểm bắt đầu (không quá 400 ngày tới)",
    "ends_at": "thời điểm kết thúc (sau lúc bắt đầu, chưa qua, dài nhất 31 ngày)",
    "reason": "lý do",
    "per_second": "số hồ sơ mỗi giây",
    "state": "trạng thái",
    "owner": "trách nhiệm",
    "codes": "danh sách mã hồ sơ",
    "from": "từ ngày",
    "to": "đến ngày",
    "layout": "mẫu tệp",
    "as_of": "thời điểm Cổng lập tệp",
    "count": "số hồ sơ",
    "file": "tệp",
}

STUCK = {
    "result_not_finished": "Đã có kết quả, chưa kết thúc",
    "paid_not_received": "Đã nộp tiền, chưa tiếp nhận",
    "identity_pending": "Chờ xác thực danh tính quá lâu",
    "finished_not_returned": "Đã xong, chưa trả kết quả",
    "supplement_unanswered": "Yêu cầu bổ sung chưa được đáp ứng",
    "no_transition": "Không có bước xử lý nào quá lâu",
    "refused_by_supplement": "Rút ngay sau yêu cầu bổ sung rồi nộp lại",
}
STATUS_NAMES = {
    "submitted": "Mới đăng ký",
    "received": "Được tiếp nhận",
    "not_accepted": "Không được tiếp nhận",
    "in_process": "Đang xử lý",
    "supplement_requested": "Yêu cầu bổ sung giấy tờ",
    "payment_requested": "Yêu cầu thực hiện nghĩa vụ tài chính",
    "withdrawn": "Công dân yêu cầu rút hồ sơ",
    "stopped": "Dừng xử lý",
    "processed": "Đã xử lý xong",
    "returned": "Đã trả kết quả",
}
VERDICTS = {"on_time": "Đúng hạn", "late": "Quá hạn"}
VERDICT_TONES = {"on_time": "good", "late": "bad"}
PARTS = {
    "work": "Thời gian xử lý",
    "supplement": "Chờ bổ sung giấy tờ",
    "payment": "Chờ nộp phí, lệ phí",
    "stop": "Dừng xử lý",
    "personal_number": "Chờ cấp số định danh",
}
ROLES = {
    "desk": "cán bộ một cửa",
    "ministry": "hệ thống bộ, ngành",
    "portal": "người nộp qua Cổng tỉnh",
    "operator": "người vận hành",
    "post": "nhân viên bưu chính công ích",
}
BLOCKS = {
    "identity_pending": "còn chờ xác thực danh tính",
    "identity_reason_required": "phải nêu lý do vì danh tính chưa khớp",
    "charge_open": "còn khoản phí, lệ phí chưa nộp",
    "legal_exception_required": "đã yêu cầu bổ sung một lần: lần nữa phải nêu căn cứ pháp lý",
    "extension_not_allowed": "chỉ gia hạn một lần, trước hạn ít nhất một ngày",
    "not_late": "hồ sơ chưa quá hạn",
    "personal_number_awaited": "đang chờ cấp số định danh",
    "personal_number_not_awaited": "không chờ số định danh",
}
CONDITIONS = frozenset({"identity_reason_required", "legal_exception_required"})
"""Not in the way: whoever acts has to say something besides."""
IMPERTINENT = frozenset({"personal_number_not_awaited", "not_late"})
"""What nobody would want to do now."""
STEPS_BY_STATUS = {
    "received": "Bắt đầu xử lý ngay, hoặc gia hạn kèm lý do.",
    "in_process": "Kết thúc xử lý trước hạn, hoặc gia hạn kèm lý do.",
    "submitted": "Tiếp nhận hồ sơ.",
    "supplement_requested": "Nhắc người nộp bổ sung giấy tờ.",
    "payment_requested": "Nhắc người nộp thanh toán.",
    "stopped": "Tiếp tục xử lý, hoặc kết thúc.",
}
STEPS_BY_REASON = {
    "more_than_one_supplement": "Không sửa được: giải trình với đơn vị giám sát; từ nay chỉ yêu cầu bổ sung một lần.",
    "other_pauses_count": "Kết thúc sớm nhất có thể; giải trình thời gian tạm dừng với đơn vị giám sát.",
    "supplement_time_subtracted": "Tại tỉnh đã quá hạn: gửi thư xin lỗi, hẹn lại ngày trả và kết thúc sớm.",
    "supplement_unanswered": "Nhắc người nộp bổ sung; tại tỉnh đã quá hạn: gửi thư xin lỗi.",
}


def said(message: str) -> str:
    """An incident's words as a sentence."""
    return message[:1].upper() + message[1:] or "Không có lời báo"


def refusal(reason: str, pointers: tuple[str, ...] = ()) -> str:
    """Why the hub did not do what a form asked for."""
    if reason in REFUSALS:
        return REFUSALS[reason]
    told = list(dict.fromkeys(name for it in pointers if (name := _field(it))))
    return f"Hãy kiểm tra lại: {', '.join(told)}." if told else "Yêu cầu không hợp lệ; hãy kiểm tra lại các ô đã nhập."


def _field(pointer: str) -> str:
    """The field that a pointer is about: `/filter/codes/3` is codes, `query:as_of` is as_of."""
    parts = reversed(pointer.replace("query:", "/").split("/"))
    return next((_FIELDS[part] for part in parts if part in _FIELDS), "")


def fits(wanted: dict[str, Any], agency_names: Any) -> list[tuple[str, str]]:
    """A replay's filter, label by label; empty: everything that failed."""
    told = []
    if states := wanted.get("states"):
        told.append(("Trạng thái", ", ".join(RETRYABLE.get(it, it) for it in states)))
    if agency := wanted.get("agency"):
        told.append(("Đơn vị", f"{agency_names.get(agency, '')} {agency}".strip()))
    if owner := wanted.get("owner"):
        told.append(("Trách nhiệm", OWNERS.get(owner, owner)))
    if reason := wanted.get("reason"):
        told.append(("Lý do lỗi", reason))
    if codes := wanted.get("codes"):
        told.append(("Mã hồ sơ", f"{len(codes)} mã đã nêu"))
    if wanted.get("incident"):
        told.append(("Sự cố", "các hồ sơ của một sự cố"))
    if wanted.get("reconciliation"):
        told.append(("Đối soát", "các hồ sơ sai lệch của một lần đối soát"))
    return told or [("Hồ sơ", "tất cả hồ sơ lỗi, cần xử lý hoặc không thể biết kết quả")]
