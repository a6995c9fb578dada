"""How a dossier looks from outside: the public record of the API and the state every `lgsp.dossier` event carries.

Pure. Neither holds personal data; what does is added by the routes, for a stated purpose.
"""

from datetime import datetime
from typing import Any

from dossier import charge, verdict
from dossier.record import STATUS_NAMES, Dossier, Status, Step


def public_record(dossier: Dossier) -> dict[str, Any]:
    """The dossier as `POST /v1/dossiers` and every read answer it."""
    return {
        "code": dossier.code,
        "status": STATUS_NAMES[dossier.status],
        "status_code": int(dossier.status),
        "agency_code": dossier.agency_code,
        "procedure_code": dossier.procedure_code,
        "channel": dossier.channel,
        "identity": identity(dossier),
        "payment": payment(dossier),
        "submitted_at": dossier.submitted_at,
        "received_at": dossier.received_at,
        "due_at": dossier.due_at,
        "finished_at": dossier.finished_at,
        "returned_at": dossier.returned_at,
        "refused_at": dossier.refused_at,
        "digitised": dossier.has_digitised,
        "electronic_result": dossier.has_electronic_result,
        "receiving_agency_code": dossier.receiver_code,
        "handed_over_at": dossier.handed_over_at,
        "version": dossier.version,
    }


def identity(dossier: Dossier) -> dict[str, Any]:
    """What is known of the applicant's identity, without naming anyone."""
    known = dossier.identity or {}
    return {
        "outcome": dossier.identity_outcome,
        "mismatched_fields": known.get("mismatched_fields", []),
        "checked_at": known.get("checked_at"),
        "reason": dossier.identity_reason,
    }


def payment(dossier: Dossier) -> dict[str, Any]:
    """What is to be paid, was paid, and where to pay."""
    charges = dossier.charges
    return {
        "state": charge.payment_state(charges),
        "due_vnd": charge.due_vnd(charges),
        "paid_vnd": charge.paid_vnd(charges),
        "payment_url": charge.payment_url(charges),
    }


def ended_at(dossier: Dossier) -> datetime | None:
    """When its processing ended: finished, refused, or withdrawn (after which nobody acts any more)."""
    if dossier.status is Status.WITHDRAWN:
        return dossier.finished_at or dossier.last_at
    return dossier.finished_at or dossier.refused_at


def event_data(
    after: Dossier,
    action: str,
    from_status: int | None,
    at: datetime,
    recorded_at: datetime,
    fees: tuple[dict[str, Any], ...] = (),
    *,
    is_correction: bool = False,
) -> dict[str, Any]:
    """`data` of every `lgsp.dossier` event: the whole public state and what changed it."""
    change: dict[str, Any] = {
        "action": action,
        "from_status": from_status,
        "to_status": int(after.status),
        "at": at,
        "recorded_at": recorded_at,
    }
    if fees:
        change["fees"] = fees
    if is_correction:
        change["resolved_at"] = resolved_at(after)
    return {
        "code": after.code,
        "agency_code": after.agency_code,
        "procedure_code": after.procedure_code,
        "channel": after.channel,
        "status_code": int(after.status),
        "version": after.version,
        "submitted_at": after.submitted_at,
        "received_at": after.received_at,
        "due_at": after.due_at,
        "finished_at": after.finished_at,
        "returned_at": after.returned_at,
        "identity_outcome": after.identity_outcome,
        "ended_at": ended_at(after),
        "national_late_at": verdict.national_late_at(after),
        "payments": _payments(after),
        "digitised": after.has_digitised,
        "electronic_result": after.has_electronic_result,
        "change": change,
    }


def _payments(after: Dossier) -> dict[str, Any]:
    return {
        "due_vnd": charge.due_vnd(after.charges),
        "paid_vnd": charge.paid_vnd(after.charges),
        "online": charge.is_online(after.charges),
    }


def step_data(step: Step, recorded_at: datetime) -> dict[str, Any]:
    """`event_data` of one step."""
    return event_data(
        step.after, step.action, int(step.from_status), step.at, recorded_at, step.fees,
        is_correction=step.correction is not None,
    )  # fmt: skip


def resolved_at(dossier: Dossier) -> datetime | None:
    """The first of 9 and 7 (`api.md`, Reports)."""
    return dossier.last_at if dossier.status is Status.WITHDRAWN else dossier.finished_at
