"""What a dossier owes and has paid, as the dossier knows it: facts folded from `lgsp.payment`.

```
open ──link_ready──▶ open (with its link) ──completed──▶ paid
  │  ◀──link_ready── failed, expired ──────completed──▶ paid     a late success is a real one
  └──review_opened──▶ review ──────────────completed──▶ paid
```
Every charge that is not paid keeps its dossier from ending. A payment at the counter answers no request
(`request_version` null): it pays the open charges it covers, oldest first; the rest stands as a paid entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

ChargeState = Literal["open", "review", "failed", "expired", "paid"]
Method = Literal["online", "counter"]
Lines = tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Charge:
    """One request for payment, or a payment nobody requested. `lines`: {code, name, kind, amount_vnd}."""

    amount_vnd: int
    lines: Lines
    at: datetime
    request_version: int | None = None
    payment_id: str | None = None
    payment_url: str | None = None
    method: Method | None = None
    state: ChargeState = "open"
    paid_vnd: int = 0
    paid_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Not paid yet, whatever else is known."""
        return self.state != "paid"


Charges = tuple[Charge, ...]


@dataclass(frozen=True, slots=True)
class Payment:
    """What `payment.completed` says. `request_version` is null at the counter."""

    payment_id: str
    amount_vnd: int
    method: Method
    at: datetime
    request_version: int | None = None
    lines: Lines = ()


def requested(lines: Sequence[dict[str, Any]], at: datetime, version: int) -> Charge:
    """The charge that `request_payment` opens."""
    return Charge(sum(line["amount_vnd"] for line in lines), tuple(lines), at, request_version=version)


def with_link(charges: Charges, payment_id: str, payment_url: str, amount_vnd: int) -> Charges:
    """The link to pay by. It names no request: it is the charge known by its id, else the first that fits."""
    index = _known(charges, payment_id)
    if index is None:
        fitting = [i for i, charge in enumerate(charges) if charge.is_open and charge.payment_id is None]
        equal = [i for i in fitting if charges[i].amount_vnd == amount_vnd]
        index = next(iter(equal or fitting), None)
    if index is None or not charges[index].is_open:
        return charges
    return _changed(charges, index, payment_id=payment_id, payment_url=payment_url, state="open")


def with_outcome(charges: Charges, payment_id: str, request_version: int | None, state: ChargeState) -> Charges:
    """A payment failed, expired or went to review: its charge stays open, without a link that works."""
    index = _of_request(charges, request_version)
    index = _known(charges, payment_id) if index is None else index
    if index is None:
        waiting = [i for i, charge in enumerate(charges) if charge.is_open and charge.payment_id is None]
        index = next(iter(waiting), None)
    if index is None or not charges[index].is_open:
        return charges
    url = charges[index].payment_url if state == "review" else None
    return _changed(charges, index, payment_id=payment_id, payment_url=url, state=state)


def with_payment(charges: Charges, payment: Payment) -> Charges:
    """The charges once `payment` is in; the same ones if it was counted before."""
    known = _known(charges, payment.payment_id)
    if known is not None and not charges[known].is_open:
        return charges
    answered = _of_request(charges, payment.request_version)
    index = known if answered is None else answered
    if index is not None and charges[index].is_open:
        return _paid(charges, index, payment, payment.amount_vnd)
    return _at_the_counter(charges, payment)


def due_vnd(charges: Charges) -> int:
    """What is still to be paid."""
    return sum(charge.amount_vnd for charge in charges if charge.is_open)


def paid_vnd(charges: Charges) -> int:
    """What has been paid, online and at the counter."""
    return sum(charge.paid_vnd for charge in charges)


def is_online(charges: Charges) -> bool:
    """Whether any of it goes over the payment platform."""
    return any(charge.method == "online" for charge in charges)


def payment_state(charges: Charges) -> Literal["none", "due", "paid", "review"]:
    """`payment.state` of the public record."""
    if any(charge.state == "review" for charge in charges):
        return "review"
    if any(charge.is_open for charge in charges):
        return "due"
    return "paid" if charges else "none"


def payment_url(charges: Charges) -> str | None:
    """Where the oldest open charge can be paid."""
    return next((charge.payment_url for charge in charges if charge.is_open and charge.payment_url), None)


def _at_the_counter(charges: Charges, payment: Payment) -> Charges:
    left, lines = payment.amount_vnd, payment.lines
    for index, charge in enumerate(charges):
        if charge.is_open and charge.amount_vnd <= left:
            charges = _paid(charges, index, payment, charge.amount_vnd)
            left, lines = left - charge.amount_vnd, ()
    if left == 0 and charges:
        return charges
    rest = Charge(left, lines, payment.at, payment_id=payment.payment_id)
    return _paid((*charges, rest), len(charges), payment, left)


def _paid(charges: Charges, index: int, payment: Payment, amount_vnd: int) -> Charges:
    return _changed(
        charges, index, payment_id=payment.payment_id, payment_url=None, method=payment.method, state="paid",
        paid_vnd=amount_vnd, paid_at=payment.at,
    )  # fmt: skip


def _known(charges: Charges, payment_id: str) -> int | None:
    return next((i for i, charge in enumerate(charges) if charge.payment_id == payment_id), None)


def _of_request(charges: Charges, version: int | None) -> int | None:
    if version is None:
        return None
    return next((i for i, charge in enumerate(charges) if charge.request_version == version), None)


def _changed(charges: Charges, index: int, **members: Any) -> Charges:
    return (*charges[:index], replace(charges[index], **members), *charges[index + 1 :])
