"""Rows as others see them: API items, history, whole records for the neighbours' `/internal/dossiers/read`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from dossier import charge, verdict, view
from dossier import dossier as life
from dossier.cataloguing import Catalogue
from dossier.charge import Charges
from dossier.clock_line import ClockLine
from dossier.handling import Procedures
from dossier.record import STATUS_NAMES, Dossier, Status
from dossier.store import a_dossier
from dossier.verdict import Verdict

Row = Mapping[str, Any]
View = Literal["identity", "payment", "sync"]


def item(row: Row, now: datetime, *, personal: bool) -> dict[str, Any]:
    """A dossier of a list or a single read, judged at `now`. `personal`: a purpose was stated."""
    dossier = a_dossier(row)
    public = {
        **view.public_record(dossier),
        "abstract": row["abstract"],
        "return_method": row["return_method"],
        "external_reference": row["external_reference"],
        "portal_code": row["portal_code"],
        "results": list(dossier.results),
        "supplement_requests": len(dossier.supplements),
        "apologies": list(dossier.apologies),
        "verdicts": _verdicts(dossier, now),
    }
    if personal:
        public |= {"applicant": row["applicant"], "form": row["form"], "attachments": row["attachments"]}
    return public


def clock(row: Row, procedures: Procedures, now: datetime) -> dict[str, Any]:
    """Working time as it stands at `now`: used, left (until due; negative when late), and the pauses."""
    dossier = a_dossier(row)
    terms = procedures.terms(dossier)
    left, line = terms.left(dossier, now), terms.line(dossier, now)
    return {
        "started_at": terms.started(dossier),
        "due_at": dossier.due_at,
        "used_hours": _hours(terms.used(dossier, now)),
        "left_hours": None if left is None else _hours(left),
        "paused": None if dossier.paused is None else dossier.paused.kind,
        "pauses": [{"kind": it.kind, "began_at": it.began_at, "ended_at": it.ended_at} for it in dossier.pauses],
        "line": None if line is None else _line(line),
    }


def _line(line: ClockLine) -> dict[str, Any]:
    return {
        "until": line.until,
        "hours": _hours(line.length),
        "due_hours": None if line.due is None else _hours(line.due),
        "national_due_at": line.national_due_at,
        "national_due_hours": None if line.national_due is None else _hours(line.national_due),
        "parts": [
            {
                "kind": it.kind,
                "began_at": it.began_at,
                "ended_at": it.ended_at,
                "hours": _hours(it.length),
                "counts_here": it.counts_here,
                "counts_nationally": it.counts_nationally,
            }
            for it in line.parts
        ],
    }


def next_actions(row: Row, now: datetime) -> list[dict[str, Any]]:
    """What may be asked for now, who may, and what still stands in the way of it."""
    return [
        {"action": it.action, "roles": sorted(it.roles), "blocked_by": blocked_by}
        for it, blocked_by in life.possible(a_dossier(row), now)
    ]


def _hours(time: timedelta) -> float:
    return round(time.total_seconds() / 3600, 2)


def _verdicts(dossier: Dossier, now: datetime) -> dict[str, Any]:
    both = verdict.verdicts(dossier, now)
    return {"local": _verdict(both.local), "national": _verdict(both.national), "differ": both.differ}


def _verdict(it: Verdict) -> dict[str, Any]:
    return {
        "outcome": it.outcome,
        "reason": verdict.WORDS[it.reason],
        "reason_code": it.reason,
        "is_final": it.is_final,
    }


def history(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """A dossier's transitions. A corrected one shows the time that counts and the one recorded before it."""
    items = [_transition(row) for row in rows]
    by_version = {item["version"]: item for item in items}
    for item in items:
        for it in item.get("correction", {}).get("times", ()):
            retimed = by_version[it["version"]]
            retimed.setdefault("recorded_as", retimed["at"])
            retimed |= {"at": it["at"], "corrected_by": item["version"]}
    return items


def _transition(row: Row) -> dict[str, Any]:
    return {
        "version": row["version"],
        "action": row["action"],
        "from": None if row["from_status"] is None else STATUS_NAMES[Status(row["from_status"])],
        "to": STATUS_NAMES[Status(row["to_status"])],
        "actor": row["actor"],
        "reason": row["reason"],
        "at": row["at"],
        "recorded_at": row["recorded_at"],
        "due_before": row["due_before"],
        "due_after": row["due_after"],
        "client_id": row["client_id"],
        "exchange_id": row["exchange_id"],
        **{name: _shown(name, value) for name, value in (row["detail"] or {}).items() if name != "attachments"},
    }


def _shown(name: str, value: Any) -> Any:
    if name != "correction":
        return value
    return {key: member for key, member in value.items() if key != "progress"}


def tracking(row: Row, catalogue: Catalogue) -> dict[str, Any]:
    """What anybody with the code may know: no personal data, no free text."""
    dossier = a_dossier(row)
    return {
        "code": dossier.code,
        "procedure_code": dossier.procedure_code,
        "procedure_name": _procedure_name(dossier, catalogue),
        "agency_code": dossier.agency_code,
        "agency_name": catalogue.name_of_agency(dossier.agency_code),
        "status": STATUS_NAMES[dossier.status],
        "status_code": int(dossier.status),
        "submitted_at": dossier.submitted_at,
        "received_at": dossier.received_at,
        "due_at": dossier.due_at,
        "finished_at": dossier.finished_at,
        "returned_at": dossier.returned_at,
    }


def internal(row: Row, wanted: View, catalogue: Catalogue, progress: Sequence[Row] = ()) -> dict[str, Any]:
    """The record one neighbour needs, and no more."""
    dossier, applicant = a_dossier(row), row["applicant"]
    common = {
        "code": dossier.code,
        "version": dossier.version,
        "agency_code": dossier.agency_code,
        "agency_name": catalogue.name_of_agency(dossier.agency_code) or dossier.agency_code,
        "procedure_code": dossier.procedure_code,
        "procedure_name": _procedure_name(dossier, catalogue) or dossier.procedure_code,
        "status_code": int(dossier.status),
    }
    if wanted == "identity":
        names = ("kind", "full_name", "personal_id", "date_of_birth", "organisation_tax_code")
        return {**common, "applicant": _only(applicant, names), "submitted_at": dossier.submitted_at}
    if wanted == "payment":
        return {**common, "applicant": _only(applicant, ("kind", "full_name", "personal_id", "address"))}
    return {**common, **_sync(dossier, row, catalogue), "progress": _progress(progress)}


def _sync(dossier: Dossier, row: Row, catalogue: Catalogue) -> dict[str, Any]:
    procedure = catalogue.procedure_version(dossier.procedure_code, dossier.procedure_version)
    return {
        "field_code": procedure.field_code if procedure else "",
        "field_name": procedure.field_name if procedure else "",
        "channel": dossier.channel,
        "external_reference": row["external_reference"],
        "portal_code": row["portal_code"],
        "applicant": row["applicant"],
        "abstract": row["abstract"],
        "submitted_at": dossier.submitted_at,
        "received_at": dossier.received_at,
        "due_at": dossier.due_at,
        "finished_at": dossier.finished_at,
        "returned_at": dossier.returned_at,
        "refused_at": dossier.refused_at,
        "return_method": row["return_method"],
        "attachments": row["attachments"],
        "results": list(dossier.results),
        "fees": _fees(dossier.charges),
        "supplements": [
            {
                "number": number,
                "requested_at": it.requested_at,
                "requested_by": it.requested_by,
                "reason": it.reason,
                "answered_at": it.answered_at,
                "due_before": it.due_before,
                "due_after": it.due_after,
            }
            for number, it in enumerate(dossier.supplements, 1)
        ],
        "identity_outcome": dossier.identity_outcome,
        "digitised": dossier.has_digitised,
        "electronic_result": dossier.has_electronic_result,
        "payments": {
            "due_vnd": charge.due_vnd(dossier.charges),
            "paid_vnd": charge.paid_vnd(dossier.charges),
            "online": charge.is_online(dossier.charges),
        },
        "last_reason": dossier.last_reason,
    }


def _fees(charges: Charges) -> list[dict[str, Any]]:
    """All lines asked for or paid; money without lines stands as one of its own."""
    fees: list[dict[str, Any]] = []
    for it in charges:
        unnamed = {"code": "", "name": "Phí, lệ phí", "kind": "fee", "amount_vnd": it.amount_vnd}
        fees += [{**line, "at": it.at} for line in it.lines or (unnamed,)]
    return fees


def _progress(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One row per change of status, numbered; equal in second and status counts as one (the wire's key).

    The nation cannot take a row back: what an approved correction changed stands after what was told before.
    """
    listed: list[dict[str, Any]] = []
    seen: set[tuple[Any, int]] = set()
    for row in _told(rows):
        key = (row["at"].replace(microsecond=0), row["to_status"])
        if key in seen:
            continue
        seen.add(key)
        listed.append(
            {
                "number": len(listed) + 1,
                "status_code": row["to_status"],
                "at": row["at"],
                "actor": row["actor"],
                "reason": row["reason"],
                "due_at": row["due_after"],
            }
        )
    return listed


def _told(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        if row["corrected"] is None:
            yield row
            continue
        for it in row["corrected"]:
            due = it["due_after"]
            yield {
                **it,
                "at": datetime.fromisoformat(it["at"]),
                "due_after": None if due is None else datetime.fromisoformat(due),
            }


def _only(applicant: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: applicant.get(name) for name in names}


def _procedure_name(dossier: Dossier, catalogue: Catalogue) -> str | None:
    procedure = catalogue.procedure_version(dossier.procedure_code, dossier.procedure_version)
    return procedure.name if procedure else None
