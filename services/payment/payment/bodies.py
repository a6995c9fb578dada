"""Bodies of the payment routes: what may come in, and what goes out."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

from payment.charge import LARGEST_AMOUNT_VND, Line, State
from shared.clock import VIETNAM
from shared.errors import FieldError, InvalidRequest
from shared.web import PRESENT_FORM, Answer, Body


def _moment(value: Any) -> Any:
    """RFC 3339 with an offset, nothing looser (pydantic would take bare numbers for seconds since 1970)."""
    if not isinstance(value, str) or len(value) < 20 or value[10] not in "Tt ":
        raise ValueError("must be a time as in RFC 3339, with an offset")
    return value


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies beyond the calendar") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_moment), AfterValidator(_in_utc)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
AmountVnd = Annotated[int, Field(strict=True, ge=1, le=LARGEST_AMOUNT_VND)]


class LineBody(Body):
    """One line of what was paid, in đồng: `fee` is lệ phí, `charge` is phí."""

    code: Code
    name: Text
    kind: Literal["fee", "charge"]
    amount_vnd: AmountVnd

    def spoken(self) -> Line:
        """The line as the rules know it."""
        return Line(code=self.code, name=self.name, kind=self.kind, amount_vnd=self.amount_vnd)


class CounterBody(Body):
    """`POST /v1/payments/counter`. Lines are optional; given ones add up to the amount."""

    dossier_code: Annotated[Code, PRESENT_FORM]
    amount_vnd: AmountVnd
    lines: Annotated[list[LineBody], Field(max_length=100)] = Field(default_factory=list)
    collected_by: Text
    collected_at: Moment
    receipt_number: Code


class RefundBody(Body):
    """`POST /v1/payments/{id}/refunds`."""

    amount_vnd: AmountVnd
    reason: Text


class LineAnswer(Answer):
    """One line of a payment, in đồng."""

    code: str
    name: str
    kind: str
    amount_vnd: int


class PaymentAnswer(Answer):
    """A payment. `reference`: MaThamChieu of an online one, the receipt number of one at the counter."""

    id: str
    dossier_code: str
    agency_code: str
    method: Literal["online", "counter"]
    state: State
    lines: list[LineAnswer]
    amount_vnd: int
    payment_url: str | None
    reference: str
    receipt_number: str | None
    collected_by: str | None
    transaction_number: str | None
    request_version: int | None
    at: datetime
    recorded_at: datetime


class PaymentPage(Answer):
    """One page of payments in the order they were recorded."""

    items: list[PaymentAnswer]
    next_cursor: str | None


def shown(row: Mapping[str, Any]) -> PaymentAnswer:
    """A charge's row as the API shows it."""
    receipt_number = row["reference"] if row["method"] == "counter" else None
    return PaymentAnswer.model_validate({**row, "receipt_number": receipt_number})


def moment_of(text: str | None, name: str, *, is_end: bool = False) -> datetime | None:
    """A filter's bound: a time with offset, or a day in Vietnam (as an end: the whole day counts)."""
    if text is None:
        return None
    try:
        if len(text) == 10:
            day = date.fromisoformat(text) + timedelta(days=1 if is_end else 0)
            return datetime.combine(day, time(), VIETNAM).astimezone(UTC)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            # A bound in time is meant inclusively, like a day's.
            return moment.astimezone(UTC) + timedelta(microseconds=1 if is_end else 0)
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest(errors=[FieldError(f"query:{name}", "must be a day or a time with an offset")])
