"""The two tables a province publishes every year: dossiers (appendix 1) and fees (appendix 2). Rules only.

Definitions in `api.md`, "Reports"; the columns and their order are those of Bình Định's report of 2023. A rate is
rounded half up to one decimal, as the province does; nothing of nothing is 0.0.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from shared.errors import InvalidRequest

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
_FIRST_YEAR, _LAST_YEAR = 1976, 2200

FROM_REGISTER = ("match", "mismatch", "no_information", "insufficient_basis")
"""Outcomes of an identity check that the population database gave."""


class PeriodInvalid(InvalidRequest):
    """The period ends before it begins, or no province has ever reported it."""

    code, title = "period_invalid", "Not a period that can be reported"


@dataclass(frozen=True, slots=True)
class Period:
    """Days in Vietnam, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise PeriodInvalid("The period ends before it begins")
        if self.first.year < _FIRST_YEAR or self.last.year > _LAST_YEAR:
            raise PeriodInvalid

    @property
    def start(self) -> datetime:
        """The first moment."""
        return datetime.combine(self.first, time(0), tzinfo=VIETNAM)

    @property
    def end(self) -> datetime:
        """The first moment that no longer belongs to it."""
        return datetime.combine(self.last, time(0), tzinfo=VIETNAM) + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted of dossiers; every number is a subset of the ones it is divided by."""

    received_in_period: int = 0
    received_online: int = 0
    carried_over: int = 0
    resolved_on_time: int = 0
    resolved_late: int = 0
    in_progress_on_time: int = 0
    in_progress_overdue: int = 0
    population_db_used: int = 0
    digitised: int = 0
    electronic_results: int = 0
    online_paying_dossiers: int = 0
    paying_dossiers: int = 0


@dataclass(frozen=True, slots=True)
class Fees:
    """What is counted of payments; amounts in đồng."""

    online_transactions: int = 0
    online_amount_vnd: int = 0
    counter_transactions: int = 0
    counter_amount_vnd: int = 0


DOSSIER_COLUMNS = (
    "no", "agency", "received_total", "received_in_period", "received_online", "carried_over", "resolved_total",
    "resolved_on_time", "resolved_late", "in_progress_total", "in_progress_on_time", "in_progress_overdue",
    "online_rate_pct", "online_payment_rate_pct", "population_db_use_rate_pct", "digitised_component_rate_pct",
    "electronic_result_rate_pct",
)  # fmt: skip
FEE_COLUMNS = ("no", "agency", *(field.name for field in fields(Fees)))
TOTAL_OF_DOSSIERS = ("Σ", "Tổng số")
TOTAL_OF_FEES = ("", "Tổng cộng")

Sums = TypeVar("Sums", Counts, Fees)
Row = dict[str, Any]


def rate_pct(part: int, whole: int) -> float:
    """`part` of `whole` in per cent, half up to one decimal; 0.0 of nothing."""
    if whole == 0:
        return 0.0
    return float((Decimal(100 * part) / whole).quantize(Decimal("0.1"), ROUND_HALF_UP))


def number_of(agency_code: str) -> int | None:
    """The number of a department in its province's table: 15 for `H08.15`; None for any other level."""
    parts = agency_code.split(".")
    return int(parts[1]) if len(parts) == 2 else None


def order_of(agency_code: str) -> tuple[str, tuple[int, ...]]:
    """Sorts agencies by province, then by number."""
    province, *numbers = agency_code.split(".")
    return province, tuple(int(number) for number in numbers)


def total(sums: Iterable[Sums], empty: Sums) -> Sums:
    """All of them added up. Rates of a total are rates of its sums, not means of rates."""
    added = asdict(empty)
    for one in sums:
        for name, number in asdict(one).items():
            added[name] += number
    return type(empty)(**added)


def dossier_row(no: int | str | None, agency: str, counts: Counts) -> Row:
    """One line of appendix 1."""
    resolved = counts.resolved_on_time + counts.resolved_late
    received = counts.received_in_period
    return {
        "no": no,
        "agency": agency,
        "received_total": received + counts.carried_over,
        "received_in_period": received,
        "received_online": counts.received_online,
        "carried_over": counts.carried_over,
        "resolved_total": resolved,
        "resolved_on_time": counts.resolved_on_time,
        "resolved_late": counts.resolved_late,
        "in_progress_total": counts.in_progress_on_time + counts.in_progress_overdue,
        "in_progress_on_time": counts.in_progress_on_time,
        "in_progress_overdue": counts.in_progress_overdue,
        "online_rate_pct": rate_pct(counts.received_online, received),
        "online_payment_rate_pct": rate_pct(counts.online_paying_dossiers, counts.paying_dossiers),
        "population_db_use_rate_pct": rate_pct(counts.population_db_used, received),
        "digitised_component_rate_pct": rate_pct(counts.digitised, received),
        "electronic_result_rate_pct": rate_pct(counts.electronic_results, resolved),
    }


def fee_row(no: int | str | None, agency: str, fees: Fees) -> Row:
    """One line of appendix 2."""
    return {"no": no, "agency": agency, **asdict(fees)}


def dossier_table(counts: Mapping[str, Counts], names: Mapping[str, str]) -> tuple[list[Row], Row]:
    """The lines in order of the agencies' numbers, and the total."""
    rows = [
        dossier_row(number_of(code), names.get(code, code), counts.get(code, Counts()))
        for code in _in_order(counts, names)
    ]
    return rows, dossier_row(*TOTAL_OF_DOSSIERS, total(counts.values(), Counts()))


def fee_table(fees: Mapping[str, Fees], names: Mapping[str, str]) -> tuple[list[Row], Row]:
    """The lines in order of the agencies' numbers, and the total."""
    rows = [fee_row(number_of(code), names.get(code, code), fees.get(code, Fees())) for code in _in_order(fees, names)]
    return rows, fee_row(*TOTAL_OF_FEES, total(fees.values(), Fees()))


def _in_order(counted: Mapping[str, Any], names: Mapping[str, str]) -> Sequence[str]:
    """Every department, though it had nothing to do; of other levels only those with something to tell."""
    codes = set(counted) | {code for code in names if number_of(code) is not None}
    return sorted(codes, key=order_of)
