"""Both clocks of a dossier as lines to draw, from `clock` and `verdicts` of `GET /v1/dossiers/{code}`. Rules only.

One scale for both: from the reception to the latest of now, the due time here and the national one, in working time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console import wording, words_of_work

_DAY_HOURS = 8


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a line; `start` and `width` in per cent of it."""

    name: str
    look: str
    """work: counted · pause: stands still · past: counted by nobody any more"""
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Track:
    """One rule's clock and its verdict."""

    key: str
    name: str
    outcome: str
    tone: str
    reason: str
    is_final: bool
    segments: Sequence[Segment]
    rest: tuple[float, float] | None
    """Start and width of what is left until the due time."""
    over: tuple[float, float] | None
    """Start and width of what lies behind the due time."""
    due: float | None
    due_at: str
    used: str
    left: str

    @property
    def told(self) -> str:
        """The line in a sentence, for those who do not see it."""
        return f"{self.name}: {self.outcome.lower()}. {self.reason} Đã dùng {self.used}, {self.left}."


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the line as a row of the table."""

    name: str
    look: str
    began_at: str
    ended_at: str
    is_open: bool
    hours: str
    here: str
    nationally: str


def tracks(clock: Mapping[str, Any], verdicts: Mapping[str, Any]) -> list[Track]:
    """The local clock and the national one; none before the reception."""
    line = clock["line"]
    if line is None:
        return []
    ends = (line["hours"], line["due_hours"] or 0, line["national_due_hours"] or 0)
    scale = max(*ends, 1.0)
    local = _track(
        "local", "Theo đồng hồ của tỉnh", verdicts["local"], line, scale,
        counts="counts_here", due_hours=line["due_hours"], due_at=clock["due_at"],
        is_over=clock["left_hours"] is None,
    )  # fmt: skip
    national = _track(
        "national", "Theo quy tắc 2.1 (QĐ 766)", verdicts["national"], line, scale,
        counts="counts_nationally", due_hours=line["national_due_hours"], due_at=line["national_due_at"],
        is_over=clock["left_hours"] is None,
    )  # fmt: skip
    return [local, national]


def steps(clock: Mapping[str, Any]) -> list[Step]:
    """The parts of the line in order of time."""
    line = clock["line"]
    parts = [] if line is None else line["parts"]
    last = len(parts) - 1
    is_running = clock["left_hours"] is not None
    return [
        Step(
            words_of_work.PARTS.get(it["kind"], it["kind"]),
            _look(it, "counts_here"),
            wording.moment(it["began_at"]),
            wording.moment(it["ended_at"]),
            is_running and number == last,
            hours(it["hours"]),
            "tính" if it["counts_here"] else "không tính",
            "tính" if it["counts_nationally"] else "không tính",
        )
        for number, it in enumerate(parts)
    ]


def hours(value: float) -> str:
    """20.5 → 2 ngày 4,5 giờ làm việc; eight hours are a working day."""
    days, rest = divmod(round(abs(value), 1), _DAY_HOURS)
    shown = wording.number(int(rest) if rest == int(rest) else round(rest, 1))
    told = [f"{int(days)} ngày"] if days else []
    if rest or not days:
        told.append(f"{shown} giờ")
    return f"{' '.join(told)} làm việc"


def _track(
    key: str, name: str, verdict: Mapping[str, Any], line: Mapping[str, Any], scale: float, *,
    counts: str, due_hours: float | None, due_at: Any, is_over: bool,
) -> Track:  # fmt: skip
    now = line["hours"]
    used = sum(it["hours"] for it in line["parts"] if it[counts])
    left = None if due_hours is None or is_over else due_hours - now
    return Track(
        key,
        name,
        words_of_work.VERDICTS.get(verdict["outcome"], "Chưa đánh giá"),
        words_of_work.VERDICT_TONES.get(verdict["outcome"], "off"),
        verdict["reason"],
        verdict["is_final"],
        _segments(line["parts"], counts, scale),
        None if not left or left < 0 else _share(now, left, scale),
        None if due_hours is None or now <= due_hours else _share(max(due_hours, 0), now - max(due_hours, 0), scale),
        None if due_hours is None else round(100 * min(max(due_hours, 0.0), scale) / scale, 3),
        wording.moment(due_at),
        hours(used),
        _left(left, is_over=is_over),
    )


def _left(left: float | None, *, is_over: bool) -> str:
    if left is None:
        return "đã kết thúc" if is_over else "không có hạn"
    return f"quá {hours(left)}" if left < 0 else f"còn {hours(left)}"


def _segments(parts: Sequence[Mapping[str, Any]], counts: str, scale: float) -> list[Segment]:
    found, place = [], 0.0
    for it in parts:
        name = f"{words_of_work.PARTS.get(it['kind'], it['kind'])}: {hours(it['hours'])}"
        start, width = _share(place, it["hours"], scale)
        found.append(Segment(name, _look(it, counts), start, width))
        place += it["hours"]
    return found


def _look(part: Mapping[str, Any], counts: str) -> str:
    if part[counts]:
        return "work"
    return "past" if part["kind"] == "work" else "pause"


def _share(start: float, width: float, scale: float) -> tuple[float, float]:
    return round(100 * start / scale, 3), round(100 * width / scale, 3)
