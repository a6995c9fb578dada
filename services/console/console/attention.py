"""The lists of dossiers that need somebody, as rows: why, since when or until when, and what to do. Rules only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console import wording, words_of_work

_COUNTED = 1_000
_HOUR_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Kind:
    """How many are stuck in one way."""

    code: str
    name: str
    count: int
    agencies: int
    oldest: str


@dataclass(frozen=True, slots=True)
class Row:
    """A dossier of a list. `when`: since it stands still, or until it is late."""

    code: str
    agency: str
    procedure: str
    status: str
    when: str
    age: str
    why: Sequence[str]
    to_do: str


def kinds(counts: Iterable[Mapping[str, Any]]) -> list[Kind]:
    """The counts per kind and agency, together per kind; the most first."""
    together: dict[str, list[Mapping[str, Any]]] = {}
    for it in counts:
        together.setdefault(it["kind"], []).append(it)
    found = [
        Kind(
            kind,
            words_of_work.STUCK.get(kind, kind),
            sum(it["count"] for it in of),
            len(of),
            wording.age(max(it["oldest_age_hours"] for it in of) * _HOUR_SECONDS),
        )
        for kind, of in together.items()
    ]
    return sorted(found, key=lambda it: (-it.count, it.name))


def total(stuck: Mapping[str, Any] | None) -> str:
    """How many are stuck; a dash when the service did not answer."""
    return wording.NOTHING if stuck is None else wording.number(sum(it["count"] for it in stuck["counts"]))


def count(page: Mapping[str, Any] | None) -> str:
    """How many a list holds, counted to a thousand."""
    if page is None:
        return wording.NOTHING
    found = page["count"]
    return f"hơn {wording.number(_COUNTED)}" if found > _COUNTED else wording.number(found)


def rows(show: str, items: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> list[Row]:
    """A list's dossiers."""
    make = {"stuck": _stuck, "late": _late, "differs": _differing}[show]
    return [make(it, names.get(it["agency_code"], it["agency_code"])) for it in items]


def _stuck(it: Mapping[str, Any], agency: str) -> Row:
    why = [words_of_work.STUCK.get(it["kind"], it["kind"])]
    age = wording.age(it["age_hours"] * _HOUR_SECONDS)
    return _row(it, agency, it["since"], age, why, it["frees"]["words"])


def _late(it: Mapping[str, Any], agency: str) -> Row:
    to_do = words_of_work.STEPS_BY_STATUS.get(it["status"], wording.NOTHING)
    return _row(it, agency, it["due_at"], "", [it["verdicts"]["local"]["reason"]], to_do)


def _differing(it: Mapping[str, Any], agency: str) -> Row:
    both = it["verdicts"]
    why = [
        f"{name}: {words_of_work.VERDICTS.get(verdict['outcome'], 'chưa đánh giá').lower()}. {verdict['reason']}"
        for name, verdict in (("Tại tỉnh", both["local"]), ("Quy tắc 2.1", both["national"]))
    ]
    reason = both["national"]["reason_code"]
    to_do = "Không còn việc phải làm: đã kết thúc; lưu để giải trình."
    if not both["local"]["is_final"]:
        to_do = words_of_work.STEPS_BY_REASON.get(reason, "Kết thúc sớm nhất có thể.")
    return _row(it, agency, it["due_at"], "", why, to_do)


def _row(it: Mapping[str, Any], agency: str, when: Any, age: str, why: Sequence[str], to_do: str) -> Row:
    status = words_of_work.STATUS_NAMES.get(it["status"], it["status"])
    return Row(it["code"], agency, it["procedure_code"], status, wording.moment(when), age, why, to_do)
