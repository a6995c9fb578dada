"""Time: stored in UTC, spoken in Asia/Ho_Chi_Minh, on national wires `yyyyMMddHHmmss` local (wire §1.4)."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
_WIRE = "%Y%m%d%H%M%S"


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def to_wire(moment: datetime | None) -> str:
    """`yyyyMMddHHmmss` in Vietnam's time; "" when absent."""
    return "" if moment is None else moment.astimezone(VIETNAM).strftime(_WIRE)


def from_wire(text: str) -> datetime | None:
    """The moment a wire date names, in UTC; None for "". Raises ValueError when it is no date."""
    if not text:
        return None
    if len(text) != 14 or not text.isascii() or not text.isdigit():
        raise ValueError("not a date of the form yyyyMMddHHmmss")
    try:
        return datetime.strptime(text, _WIRE).replace(tzinfo=VIETNAM).astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond the calendar") from None


def local_date(moment: datetime) -> date:
    """The calendar day in Vietnam on which the moment falls."""
    return moment.astimezone(VIETNAM).date()
