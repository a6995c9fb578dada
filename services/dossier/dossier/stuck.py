"""Dossiers that stand still although nothing keeps them: which kinds there are, after how long, and what frees them.

result_not_finished     a ministry's result has come and waits (for the identity, for a payment); not finished
paid_not_received       paid before reception, never received
identity_pending        the register has not answered
finished_not_returned   finished, nobody handed the result over
supplement_unanswered   asked for papers, nobody answered
no_transition           open, and no action for long
refused_by_supplement   withdrawn within a day of a supplement request and filed again by the same person: looks
                        like a refusal that no statistic shows; for the supervisor, nothing frees it
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

from dossier.record import Status

StuckKind = Literal[
    "result_not_finished", "paid_not_received", "identity_pending", "finished_not_returned", "supplement_unanswered",
    "no_transition", "refused_by_supplement",
]  # fmt: skip
KINDS: tuple[StuckKind, ...] = get_args(StuckKind)

AFTER: Mapping[StuckKind, timedelta] = {
    "result_not_finished": timedelta(days=1),
    "paid_not_received": timedelta(days=1),
    "identity_pending": timedelta(days=1),
    "finished_not_returned": timedelta(days=5),
    "supplement_unanswered": timedelta(days=30),
    "no_transition": timedelta(days=15),
    "refused_by_supplement": timedelta(0),
}
"""So long it may stand before it counts as stuck: judgement of ours, no decree says."""
WITHDRAWN_WITHIN, FILED_AGAIN_WITHIN = timedelta(days=1), timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Frees:
    """What sets the dossier going again: an action of its life (`transition`), or another step (`step`)."""

    kind: Literal["transition", "step"]
    name: str
    words: str


_RECEIVE = Frees("transition", "receive", "Tiếp nhận hồ sơ.")
_FINISH = Frees("transition", "finish", "Kết thúc xử lý hồ sơ.")
_BY_KIND: Mapping[StuckKind, Frees] = {
    "result_not_finished": Frees(
        "transition", "finish", "Kết quả đã có: gỡ vướng xác thực hoặc thanh toán rồi kết thúc."
    ),
    "paid_not_received": _RECEIVE,
    "identity_pending": Frees("step", "verify_identity", "Xác thực lại danh tính với CSDL quốc gia về dân cư."),
    "finished_not_returned": Frees("transition", "return_result", "Trả kết quả cho người nộp."),
    "supplement_unanswered": Frees("step", "remind_applicant", "Nhắc người nộp bổ sung, hoặc dừng xử lý."),
    "refused_by_supplement": Frees("step", "review", "Rà soát: có thể là từ chối qua yêu cầu bổ sung."),
}
_BY_STATUS: Mapping[Status, Frees] = {
    Status.SUBMITTED: _RECEIVE,
    Status.RECEIVED: Frees("transition", "start", "Bắt đầu xử lý."),
    Status.IN_PROCESS: _FINISH,
    Status.PAYMENT_REQUESTED: Frees("step", "remind_payer", "Nhắc người nộp thanh toán."),
    Status.STOPPED: Frees("transition", "resume", "Tiếp tục xử lý hoặc rút hồ sơ."),
}


def frees(kind: StuckKind, status: Status) -> Frees:
    """What frees a dossier that is stuck in this way, in this status."""
    return _BY_STATUS[status] if kind == "no_transition" else _BY_KIND[kind]
