"""Facts folded into a dossier: what the register said of the applicant, what became of a charge.

Facts come in any order and more than once: one that says nothing new makes no step. They do not move the time
of the last action, and only a payment that leaves nothing open moves the status (`settle`).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from dossier import charge
from dossier.charge import Charges, ChargeState, Payment
from dossier.dossier import LIFE, moved
from dossier.record import Command, Dossier, Status, Step, Terms


def identity_recorded(
    dossier: Dossier,
    verification_id: str,
    outcome: str,
    mismatched_fields: Sequence[str],
    checked_at: datetime,
) -> list[Step]:
    """The register's answer; an older check than the known one changes nothing."""
    known = dossier.identity
    if known is not None and (
        known["verification_id"] == verification_id or datetime.fromisoformat(known["checked_at"]) > checked_at
    ):
        return []
    identity: dict[str, Any] = {
        "outcome": outcome,
        "verification_id": verification_id,
        "mismatched_fields": list(mismatched_fields),
        "checked_at": checked_at.isoformat(),
    }
    after = replace(dossier, identity_outcome=outcome, identity=identity)
    return [_fact(dossier, after, "identity_recorded", checked_at)]


def link_ready(dossier: Dossier, payment_id: str, payment_url: str, amount_vnd: int, at: datetime) -> list[Step]:
    """The platform gave the address to pay at."""
    return _charges_changed(dossier, charge.with_link(dossier.charges, payment_id, payment_url, amount_vnd), at)


def payment_outcome(
    dossier: Dossier, payment_id: str, request_version: int | None, state: ChargeState, at: datetime
) -> list[Step]:
    """A payment failed, expired or went to review."""
    changed = charge.with_outcome(dossier.charges, payment_id, request_version, state)
    return _charges_changed(dossier, changed, at)


def payment_recorded(dossier: Dossier, payment: Payment, terms: Terms) -> list[Step]:
    """Money came in; when nothing stays open the dossier goes back to where it was."""
    steps = _charges_changed(dossier, charge.with_payment(dossier.charges, payment), payment.at)
    if not steps:
        return []
    paid = steps[0].after
    if paid.status is not Status.PAYMENT_REQUESTED or any(c.is_open for c in paid.charges):
        return steps
    return [*steps, _settled(paid, max(payment.at, paid.last_at), terms)]


def _settled(paid: Dossier, at: datetime, terms: Terms) -> Step:
    arrow = LIFE["settle"]
    after = moved(paid, arrow, Command("settle", "hub", at), at, terms)
    return Step(after, arrow.action, arrow.event, paid.status, at, paid.due_at, True)


def _charges_changed(dossier: Dossier, charges: Charges, at: datetime) -> list[Step]:
    if charges == dossier.charges:
        return []
    return [_fact(dossier, replace(dossier, charges=charges), "payment_recorded", at)]


def _fact(before: Dossier, after: Dossier, name: str, at: datetime) -> Step:
    return Step(replace(after, version=before.version + 1), name, name, before.status, at, before.due_at, False)
