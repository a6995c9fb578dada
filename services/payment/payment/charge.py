"""Rules of a charge: its states, what moves it, and money in whole đồng.

    fact            from                                              to           event
    ──────────────  ────────────────────────────────────────────────  ───────────  ─────────────────────────
    request         –                                                 created      –
    send            created initiated                                 initiated    –              INIT is on its way
    link            created initiated                                 pending      payment.link_ready
    confirm         created initiated pending failed expired review   paid         payment.completed
    confirm         paid                                              paid         payment.review_opened   paid again
    other_amount    created initiated pending failed expired          review       payment.review_opened
    other_amount    review paid                                       as it was    payment.review_opened
    decline         created initiated pending                         failed       payment.failed
    expire          initiated pending                                 expired      payment.expired
    collect         –                                                 paid         payment.completed       counter

Facts may come in any order and late: success wins over failure and expiry whenever it comes, because the money has
moved; a decline after that says nothing. What was never sent cannot expire: it is sent when the platform is back.
`refund_requested` and `refunded` are states of the contract that nothing
reaches yet: refunds are refused for now.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, TypedDict

from shared.errors import BadRequest, Conflict, FieldError, InsufficientScope, InvalidRequest, NotFound

LARGEST_AMOUNT_VND = 10**12
"""A thousand billion đồng: beyond any fee, well inside 64 bits when a year of them is added up."""


class State(StrEnum):
    """Where a charge stands, in the words of the public contract."""

    CREATED = "created"
    INITIATED = "initiated"
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    REVIEW = "review"
    REFUND_REQUESTED = "refund_requested"
    REFUNDED = "refunded"


Fact = Literal["link", "confirm", "other_amount", "decline", "expire"]

_OPEN = (State.CREATED, State.INITIATED, State.PENDING)
_TABLE: dict[Fact, dict[State, tuple[State, str]]] = {
    "link": dict.fromkeys((State.CREATED, State.INITIATED), (State.PENDING, "payment.link_ready")),
    "confirm": {
        **dict.fromkeys((*_OPEN, State.FAILED, State.EXPIRED, State.REVIEW), (State.PAID, "payment.completed")),
        State.PAID: (State.PAID, "payment.review_opened"),
    },
    "other_amount": {
        **dict.fromkeys((*_OPEN, State.FAILED, State.EXPIRED), (State.REVIEW, "payment.review_opened")),
        State.REVIEW: (State.REVIEW, "payment.review_opened"),
        State.PAID: (State.PAID, "payment.review_opened"),
    },
    "decline": dict.fromkeys(_OPEN, (State.FAILED, "payment.failed")),
    "expire": dict.fromkeys((State.INITIATED, State.PENDING), (State.EXPIRED, "payment.expired")),
}


class Line(TypedDict):
    """One line of a payment: `fee` is lệ phí, `charge` is phí."""

    code: str
    name: str
    kind: str
    amount_vnd: int


class ReceiptNumberTaken(Conflict):
    """The agency has already recorded a counter payment under this receipt number."""

    code, title = "receipt_number_taken", "The receipt number is taken"


class RefundNotAvailable(Conflict):
    """Refunds are not offered yet; the agency pays back by its own procedure."""

    code, title = "refund_not_available", "Refunds are not available yet"


class CallbackNotVerified(BadRequest):
    """The callback is not what the platform signed. One shape for every reason: it teaches a forger nothing."""

    code, title = "callback_not_verified", "The callback cannot be verified"


class ReferenceUnknown(NotFound):
    """A genuine callback about a payment that this hub never asked for."""

    code, title = "reference_unknown", "There is no payment with this reference"


@dataclass(frozen=True, slots=True)
class Notice:
    """What the platform says about one transaction, by CONFIRM or in answer to QUERY."""

    reference: str
    transaction_number: str
    status: Literal["paid", "failed", "waiting"]
    amount_vnd: int
    currency: str
    at: datetime | None
    via: Literal["confirm", "query"]


@dataclass(frozen=True, slots=True)
class Move:
    """What a fact does to a charge: the new state and the event to publish."""

    state: State
    event: str


def after(state: State, fact: Fact) -> Move | None:
    """The move that `fact` makes from `state`; None when it changes nothing (it came late, or again)."""
    arrow = _TABLE[fact].get(state)
    return Move(*arrow) if arrow else None


def judged(amount_vnd: int, currency: str, *, expected_vnd: int) -> Fact:
    """Whether a success reported by the platform is the payment that was asked for."""
    return "confirm" if amount_vnd == expected_vnd and currency == "VND" else "other_amount"


def total(lines: Sequence[Line]) -> int:
    """Sum of the lines in đồng."""
    return sum(line["amount_vnd"] for line in lines)


def reference_for(dossier_code: str, at_local: str, charge_id: str) -> str:
    """`MaThamChieu`: `dvc`, the dossier code without punctuation, the local time, and a tail nobody can guess.

    Drawn once and stored with the charge: every INIT of the charge carries the same one.
    """
    tail = hashlib.sha256(charge_id.encode()).hexdigest()[:10]
    return f"dvc{re.sub(r'[^0-9A-Za-z]', '', dossier_code)}{at_local}{tail}"


def require_lines_add_up(lines: Sequence[Line], amount_vnd: int) -> None:
    """Lines are optional; given ones are the whole amount."""
    if lines and total(lines) != amount_vnd:
        raise InvalidRequest(errors=[FieldError("/lines", "the lines do not add up to amount_vnd")])


def require_time_in_reach(at: datetime, now: datetime, *, may_import: bool) -> None:
    """Business time lies at most 5 minutes ahead, and more than an hour back only for an import."""
    if at > now + timedelta(minutes=5):
        raise InvalidRequest(errors=[FieldError("/collected_at", "lies more than 5 minutes ahead")])
    if at < now - timedelta(hours=1) and not may_import:
        raise InsufficientScope("A time more than an hour back needs the scope dossier:import.")
