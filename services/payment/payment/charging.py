"""Use cases of payment; each function runs in the transaction it is given and calls nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payment import charge, store
from payment.charge import Line, Notice, ReceiptNumberTaken, ReferenceUnknown, State
from payment.store import Leased, NewCharge, Row
from shared import clock, outbox
from shared.db import Transaction
from shared.events import UNCAUSED, Cause, Event, new_event, new_id
from shared.inbox import Park

TOPIC = "lgsp.payment"
SOURCE = "/lgsp/payment"


class DossierNotKnown(Exception):
    """Payment has not heard of the dossier yet, or may not show it to this caller: ask the dossier service."""


@dataclass(frozen=True, slots=True)
class Collected:
    """A payment taken at a counter."""

    dossier_code: str
    amount_vnd: int
    lines: Sequence[Line]
    collected_by: str
    collected_at: datetime
    receipt_number: str
    client_id: str
    cause: Cause = UNCAUSED


async def learn_dossiers(tx: Transaction, events: Sequence[Event]) -> None:
    """Remember whose dossiers these are: counter payments then need not ask."""
    await store.know_dossiers(tx, {e.subject: e.data["agency_code"] for e in events})


async def request_charges(tx: Transaction, requested: Sequence[Event]) -> list[Park]:
    """One charge per request for payment; one without an amount can never be paid and is parked."""
    parks = [Park(e, "fees without an amount", "poison") for e in requested if _fees_total(e) <= 0]
    new = [_new_charge(e) for e in requested if _fees_total(e) > 0]
    if new:
        await store.create_charges(tx, new)
    return parks


async def collect(tx: Transaction, payment: Collected) -> Row:
    """Record a counter payment. Raises `DossierNotKnown` or `ReceiptNumberTaken`."""
    charge_id = new_id()
    booked = await store.collect(
        tx,
        id=charge_id,
        dossier_code=payment.dossier_code,
        receipt_number=payment.receipt_number,
        lines=payment.lines,
        amount_vnd=payment.amount_vnd,
        at=payment.collected_at,
        collected_by=payment.collected_by,
        client_id=payment.client_id,
        exchange_id=payment.cause.exchange_id,
    )
    if booked is None:
        raise DossierNotKnown
    if booked["recorded_at"] is None:
        raise ReceiptNumberTaken
    row = {
        "id": charge_id,
        "dossier_code": payment.dossier_code,
        "agency_code": booked["agency_code"],
        "method": "counter",
        "state": "paid",
        "lines": payment.lines,
        "amount_vnd": payment.amount_vnd,
        "payment_url": None,
        "reference": payment.receipt_number,
        "request_version": None,
        "transaction_number": None,
        "collected_by": payment.collected_by,
        "at": payment.collected_at,
        "recorded_at": booked["recorded_at"],
    }
    await outbox.publish(tx, TOPIC, [_completed(row, payment.collected_at, 1, payment.cause)])
    return row


async def settle(tx: Transaction, notice: Notice, body: Mapping[str, Any], cause: Cause = UNCAUSED) -> None:
    """Take in what the platform says about a transaction, once. Raises `ReferenceUnknown`."""
    row = await store.take_notice(
        tx,
        reference=notice.reference,
        transaction_number=notice.transaction_number,
        is_success=notice.status == "paid",
        via=notice.via,
        body=body,
        exchange_id=cause.exchange_id,
    )
    if row is None:
        raise ReferenceUnknown
    if not row["is_new"]:
        return
    if notice.status == "paid":
        await _pay(tx, row, notice, cause)
    else:
        await _close(tx, row, "decline", "declined", cause)


async def settle_all(tx: Transaction, said: Sequence[tuple[Notice, Mapping[str, Any], Cause]]) -> list[bool]:
    """Settle these together, in one lock order; False for each whose reference is nobody's."""
    known = [True] * len(said)
    for place in sorted(range(len(said)), key=lambda n: said[n][0].reference):
        try:
            await settle(tx, *said[place])
        except ReferenceUnknown:  # raised before anything was written
            known[place] = False
    return known


async def expire(tx: Transaction, charge_id: str) -> None:
    """Nobody paid in time, and the platform was asked a last time."""
    row = await store.locked(tx, charge_id)
    if row is not None:
        await _close(tx, row, "expire", "expired")


async def link(tx: Transaction, links: Sequence[tuple[Leased, str]]) -> None:
    """Save the links that INIT brought and tell the dossiers."""
    if not links:
        return
    saved = await store.set_links(tx, {leased.id: url for leased, url in links})
    events = []
    for leased, url in links:
        state_before, version = saved[leased.id]
        moved = charge.after(state_before, "link")
        if moved:
            members = {
                "dossier_code": leased.dossier_code,
                "payment_id": leased.id,
                "payment_url": url,
                "amount_vnd": leased.amount_vnd,
            }
            events.append(_event(moved.event, leased.dossier_code, clock.now(), members, version))
    await outbox.publish(tx, TOPIC, events)


async def give_up(tx: Transaction, charge_id: str, reason: str) -> None:
    """The platform refused INIT again and again, and none of them was ever accepted."""
    row = await store.locked(tx, charge_id)
    if row is not None:
        await _close(tx, row, "decline", reason)


async def _pay(tx: Transaction, row: Row, notice: Notice, cause: Cause) -> None:
    fact = charge.judged(notice.amount_vnd, notice.currency, expected_vnd=row["amount_vnd"])
    moved = charge.after(State(row["state"]), fact)
    if moved is None:
        return
    at = notice.at or row["at"]
    is_completed = moved.event == "payment.completed"
    was_paid = row["state"] == State.PAID
    await store.pay(
        tx,
        row["id"],
        moved,
        kind="paid" if is_completed else "other_amount",
        notice=notice,
        charged_at=row["at"] if was_paid else at,
        booked_at=at,
    )
    if is_completed:
        event = _completed(row, at, row["version"] + 1, cause)
    else:
        reason = "paid_again" if was_paid else "other_amount"
        members = _told(row) | {"reason": reason, "received_vnd": notice.amount_vnd}
        event = _event(moved.event, row["dossier_code"], at, members, row["version"] + 1, cause)
    await outbox.publish(tx, TOPIC, [event])


async def _close(tx: Transaction, row: Row, fact: charge.Fact, reason: str, cause: Cause = UNCAUSED) -> None:
    moved = charge.after(State(row["state"]), fact)
    if moved is None:
        return
    await store.close(tx, row["id"], moved)
    members = _told(row) | {"reason": reason}
    event = _event(moved.event, row["dossier_code"], clock.now(), members, row["version"] + 1, cause)
    await outbox.publish(tx, TOPIC, [event])


def _new_charge(event: Event) -> NewCharge:
    charge_id = new_id()
    lines: list[Line] = event.data["change"]["fees"]
    at = datetime.fromisoformat(event.data["change"]["at"])
    return NewCharge(
        id=charge_id,
        dossier_code=event.subject,
        agency_code=event.data["agency_code"],
        reference=charge.reference_for(event.subject, clock.to_wire(at), charge_id),
        request_version=event.data["version"],
        lines=lines,
        amount_vnd=charge.total(lines),
        at=at,
    )


def _fees_total(event: Event) -> int:
    return charge.total(event.data["change"].get("fees") or [])


def _told(row: Row) -> dict[str, Any]:
    return {
        "dossier_code": row["dossier_code"],
        "agency_code": row["agency_code"],
        "payment_id": row["id"],
        "request_version": row["request_version"],
        "amount_vnd": row["amount_vnd"],
    }


def _completed(row: Row, at: datetime, version: int, cause: Cause) -> Event:
    members = {
        "dossier_code": row["dossier_code"],
        "agency_code": row["agency_code"],
        "payment_id": row["id"],
        "request_version": row["request_version"],
        "method": "counter" if row["request_version"] is None else "online",
        "amount_vnd": row["amount_vnd"],
        "lines": row["lines"],
        "at": at,
    }
    return _event("payment.completed", row["dossier_code"], at, members, version, cause)


def _event(
    name: str, dossier_code: str, at: datetime, members: dict[str, Any], version: int, cause: Cause = UNCAUSED
) -> Event:
    """`version` is the charge's: the aggregate of these events is the charge, not the dossier."""
    return new_event(SOURCE, f"vn.lgsp.{name}.v1", dossier_code, at, members, version, traceparent=cause.traceparent)
