"""Is a dossier on time? Two verdicts from the same transitions: the province's own, and the nation's.

Both follow from the dossier as its transitions left it (`dossier.history.replay` makes it from them), and both are
kept as one moment: the dossier is late after it; None means that it never is, as things stand.

    local      the due time as it is counted here: it moves by every pause (`dossier.effect`). The dossier's end is
               the first of 9 and 7 (`api.md`, Reports); while the clock stands, the end is when it stopped.
    national   Decision 766/QĐ-TTg, rule 2.1, from the progress rows: on time iff the end is not after the
               appointment (NgayHenTra, the moved one). The end is row 9, else 10, else the row that stopped,
               refused or withdrew it, else now; of one unanswered supplement request, the time of that request.
               The time of supplements is subtracted. More than one supplement request is late, whatever happened.

A dossier that was never received has no verdict: neither counts it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dossier.record import Dossier, Status

Outcome = Literal["on_time", "late"]
Reason = Literal[
    "not_received", "within_due_time", "after_due_time", "clock_stands_still", "more_than_one_supplement",
    "supplement_unanswered", "supplement_time_subtracted", "other_pauses_count",
]  # fmt: skip

WORDS: dict[Reason, str] = {
    "not_received": "Hồ sơ chưa được tiếp nhận.",
    "within_due_time": "Trong hạn trả kết quả.",
    "after_due_time": "Đã quá hạn trả kết quả.",
    "clock_stands_still": "Thời hạn đang tạm dừng, khi tạm dừng vẫn còn trong hạn.",
    "more_than_one_supplement": "Yêu cầu bổ sung quá một lần: quy tắc 2.1 (QĐ 766) tính là quá hạn.",
    "supplement_unanswered": "Yêu cầu bổ sung chưa được trả lời: quy tắc 2.1 tính đến lúc yêu cầu.",
    "supplement_time_subtracted": "Còn trong hạn nhờ quy tắc 2.1 trừ thời gian bổ sung.",
    "other_pauses_count": "Quy tắc 2.1 chỉ trừ thời gian bổ sung, không trừ thời gian tạm dừng khác.",
}
"""The reasons as officials read them."""

_CLOSED = (Status.NOT_ACCEPTED, Status.WITHDRAWN, Status.STOPPED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`outcome` is None for a dossier that has none; `is_final`: nothing that happens from now on changes it."""

    outcome: Outcome | None
    reason: Reason
    is_final: bool


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Both of them at one moment."""

    local: Verdict
    national: Verdict

    @property
    def differ(self) -> bool:
        """One says late, the other does not."""
        return self.local.outcome != self.national.outcome


def late_at(dossier: Dossier) -> datetime | None:
    """Late here after this moment; None: never, as things stand."""
    due, end = dossier.due_at, _local_end(dossier)
    if due is None or (end is not None and end <= due):
        return None
    return due


def national_late_at(dossier: Dossier) -> datetime | None:
    """Late by the national rule after this moment; None: never, as things stand."""
    if dossier.due_at is None:
        return None
    if len(dossier.supplements) > 1:
        return dossier.supplements[1].requested_at
    allowed, end = national_due_at(dossier), _national_end(dossier)
    return None if allowed is None or (end is not None and end <= allowed) else allowed


def national_due_at(dossier: Dossier) -> datetime | None:
    """Until when the national rule allows it to last: the appointment, and the time of the supplements besides."""
    if dossier.due_at is None:
        return None
    if len(dossier.supplements) > 1:
        return dossier.supplements[1].requested_at
    return dossier.due_at + _supplement_time(dossier)


def clocks_differ(dossier: Dossier) -> bool:
    """The two become late at different moments, as things stand: their outcomes may differ some day."""
    return late_at(dossier) != national_late_at(dossier)


def verdicts(dossier: Dossier, now: datetime) -> Verdicts:
    """Both verdicts at `now`, with their reasons."""
    if dossier.due_at is None:
        none = Verdict(None, "not_received", dossier.status in (Status.NOT_ACCEPTED, Status.WITHDRAWN))
        return Verdicts(none, none)
    is_final = dossier.finished_at is not None or dossier.status is Status.WITHDRAWN
    local = _is_late(late_at(dossier), now)
    national = _is_late(national_late_at(dossier), now)
    many = len(dossier.supplements) > 1
    return Verdicts(
        Verdict(_outcome(local), _local_reason(dossier, local), is_final),
        Verdict(_outcome(national), _national_reason(dossier, national, local), is_final or many),
    )


def _is_late(after: datetime | None, now: datetime) -> bool:
    return after is not None and now > after


def _outcome(is_late: bool) -> Outcome:
    return "late" if is_late else "on_time"


def _local_reason(dossier: Dossier, is_late: bool) -> Reason:
    if is_late:
        return "after_due_time"
    return "clock_stands_still" if dossier.paused is not None else "within_due_time"


def _national_reason(dossier: Dossier, is_late: bool, is_late_here: bool) -> Reason:
    if len(dossier.supplements) > 1:
        return "more_than_one_supplement"
    if is_late:
        return "after_due_time" if is_late_here else "other_pauses_count"
    if dossier.status is Status.SUPPLEMENT_REQUESTED:
        return "supplement_unanswered"
    return "supplement_time_subtracted" if is_late_here else "within_due_time"


def _local_end(dossier: Dossier) -> datetime | None:
    if dossier.finished_at is not None:
        return dossier.finished_at
    if dossier.status is Status.WITHDRAWN:
        return dossier.last_at
    return None if dossier.paused is None else dossier.paused.began_at


def _national_end(dossier: Dossier) -> datetime | None:
    if dossier.finished_at is not None:
        return dossier.finished_at
    if dossier.status in _CLOSED:
        return dossier.last_at
    return dossier.supplements[-1].requested_at if dossier.status is Status.SUPPLEMENT_REQUESTED else None


def _supplement_time(dossier: Dossier) -> timedelta:
    """How long the received dossier waited for papers, by the clock on the wall: rows carry nothing finer."""
    began = dossier.received_at
    waits = (
        it.ended_at - it.began_at
        for it in dossier.pauses
        if it.kind == "supplement" and it.ended_at is not None and began is not None and it.began_at >= began
    )
    return sum(waits, timedelta())
