"""The lines that are drawn, the counts that are told, and a word for each code of the services."""

from typing import Any, get_args

from console import attention, clock_view, wording, words_of_work
from dossier import dossier as life
from dossier import stuck
from dossier.record import STATUS_NAMES, PauseKind

MOMENT = "2023-03-01T09:00:00+07:00"


def a_part(kind: str, hours: float, *, here: bool, nationally: bool) -> dict[str, Any]:
    return {
        "kind": kind, "began_at": MOMENT, "ended_at": MOMENT, "hours": hours, "counts_here": here,
        "counts_nationally": nationally,
    }  # fmt: skip


def a_clock(due: float | None, national: float | None, left: float | None, *parts: dict[str, Any]) -> dict[str, Any]:
    line = {
        "until": MOMENT, "hours": sum(it["hours"] for it in parts), "due_hours": due, "national_due_at": MOMENT,
        "national_due_hours": national, "parts": list(parts),
    }  # fmt: skip
    return {"due_at": MOMENT, "left_hours": left, "line": line}


def verdicts(local: str | None, national: str | None) -> dict[str, Any]:
    def one(outcome: str | None) -> dict[str, Any]:
        return {"outcome": outcome, "reason": "Lý do.", "is_final": False}

    return {"local": one(local), "national": one(national)}


WORK = a_part("work", 10, here=True, nationally=True)
SUPPLEMENT = a_part("supplement", 30, here=False, nationally=False)
PAYMENT = a_part("payment", 10, here=False, nationally=True)


def test_one_scale_for_both_lines_and_what_is_left_or_over_beside_it() -> None:
    clock = a_clock(60, 45, 10, WORK, SUPPLEMENT, PAYMENT)
    local, national = clock_view.tracks(clock, verdicts("on_time", "late"))
    assert [(it.look, it.start, it.width) for it in local.segments] == [
        ("work", 0, 16.667), ("pause", 16.667, 50), ("pause", 66.667, 16.667),
    ]  # fmt: skip
    assert [it.look for it in national.segments] == ["work", "pause", "work"]
    assert (local.due, local.rest, local.over) == (100, (83.333, 16.667), None)
    assert (national.due, national.rest, national.over) == (75, None, (75, 8.333))
    assert (local.left, national.left) == ("còn 1 ngày 2 giờ làm việc", "quá 5 giờ làm việc")
    assert (local.used, national.used) == ("1 ngày 2 giờ làm việc", "2 ngày 4 giờ làm việc")
    assert "quá hạn" in national.told


def test_before_the_reception_there_is_no_line_and_after_the_end_nothing_is_left() -> None:
    none: dict[str, Any] = {"due_at": None, "left_hours": None, "line": None}
    assert (clock_view.tracks(none, verdicts(None, None)), clock_view.steps(none)) == ([], [])
    ended = a_clock(8, None, None, WORK)
    local, national = clock_view.tracks(ended, verdicts("late", None))
    assert (local.left, local.rest, local.over) == ("đã kết thúc", None, (80, 20))
    assert (national.due, national.outcome) == (None, "Chưa đánh giá")
    assert not clock_view.steps(ended)[-1].is_open
    assert clock_view.steps(a_clock(8, 8, -2, WORK))[-1].is_open


def test_hours_are_told_in_working_days() -> None:
    told = [clock_view.hours(value) for value in (0, 0.5, 7.96, 8, 20.54, -9)]
    assert told == [
        "0 giờ làm việc", "0,5 giờ làm việc", "1 ngày làm việc", "1 ngày làm việc", "2 ngày 4,5 giờ làm việc",
        "1 ngày 1 giờ làm việc",
    ]  # fmt: skip


def test_counts_of_all_agencies_stand_together_the_most_first() -> None:
    counts = [
        {"kind": kind, "agency_code": agency, "count": count, "oldest_age_hours": age}
        for kind, agency, count, age in (
            ("no_transition", "H08.15", 1, 24.0), ("identity_pending", "H08.15", 2, 30.0),
            ("identity_pending", "H08.16", 1, 50.0),
        )
    ]  # fmt: skip
    found = attention.kinds(counts)
    assert [(it.code, it.count, it.agencies, it.oldest) for it in found] == [
        ("identity_pending", 3, 2, "2 ngày 2 giờ"), ("no_transition", 1, 1, "1 ngày"),
    ]  # fmt: skip
    assert attention.total({"counts": counts}) == "4"
    assert [attention.count(it) for it in (None, {"count": 1_000}, {"count": 1_001})] == ["–", "1.000", "hơn 1.000"]


def test_every_code_has_its_words() -> None:
    assert set(words_of_work.STUCK) == set(stuck.KINDS)
    assert set(words_of_work.PARTS) == {"work", *get_args(PauseKind)}
    assert set(words_of_work.STATUS_NAMES) == set(STATUS_NAMES.values())
    assert set(life.LIFE) <= set(wording.ACTIONS)
    assert {role for arrow in life.LIFE.values() for role in arrow.roles} - {"hub"} <= set(words_of_work.ROLES)


def test_a_refusal_names_the_fields_and_never_a_value() -> None:
    told = words_of_work.refusal("invalid_request", ("/filter/codes/17", "/filter/codes/18", "query:as_of", "/x"))
    assert told == "Hãy kiểm tra lại: danh sách mã hồ sơ, thời điểm Cổng lập tệp."
    assert words_of_work.refusal("something_new").startswith("Yêu cầu không hợp lệ")
