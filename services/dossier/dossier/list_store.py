"""Lists of dossiers that stay quick at a million of them: whatever is asked for, an index gives the page.

```
asked for                        in the order of      index that gives that order
overdue, late within             the due time         dossier_due (of each status that is still open)
received from, to                the reception        dossier_received (of each status), dossier_differs
anything else                    the codes            primary key, dossier_status, _procedure, _channel, _person, …
```
Codes begin with their agency's code, so an agency with all below it is one range of them: from `H08.15-` up to, not
including, `H08.15/` ("-" "." "/" follow each other). An index gives one order for one status in one range: for several
the first rows of each are found by themselves (an arm), and the page is the first of these. A condition that the index
can tell (due time, procedure, channel stand in dossier_received) is told as one: an alternative would be read from the
table, so "not overdue" is two arms. Row-level security holds besides; the ranges only spare it the walk over other
agencies' dossiers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from dossier.record import Status
from dossier.store import STATE
from shared.agency_codes import dossier_ranges
from shared.db import Reading
from shared.partner_key import PORTAL

Row = Mapping[str, Any]
Order = Literal["code", "received_at", "due_at"]

OPEN = (1, 2, 4, 5, 6, 8)
PUBLIC = f"""{STATE}, external_reference, abstract, return_method, recorded_at,
  CASE WHEN client_id = '{PORTAL}' THEN external_reference END AS portal_code"""
WHOLE = f"{PUBLIC}, person_sealed, applicant, form, attachments"
_MOST_ARMS, _MOST_RANGES = 20, 4
# The first condition is the index's (migration 0005): few dossiers are late at two different times.
_VERDICTS_DIFFER = """clocks_differ
  AND coalesce(late_at < now(), false) <> coalesce(national_late_at < now(), false)"""
# Planned for the values asked for: which index is the shorter way depends on them. A page is sorted and read by keys.
PLANNING = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_sort = on"


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed by; None does not narrow. `received_to` is exclusive."""

    agency: str | None = None
    statuses: Sequence[int] | None = None
    procedure: str | None = None
    channel: str | None = None
    received_from: datetime | None = None
    received_to: datetime | None = None
    overdue: bool | None = None
    external_reference: str | None = None
    person_hashes: Sequence[bytes] | None = None
    """One person's hash under each of the keys."""
    verdicts_differ: bool = False
    late_until: datetime | None = None
    """Those that become late from now until then."""

    @property
    def order(self) -> Order:
        """What the list is ordered by, the codes last."""
        if self.overdue or self.late_until is not None:
            return "due_at"
        return "code" if self.received_from is None and self.received_to is None else "received_at"


@dataclass(frozen=True, slots=True)
class Place:
    """The last row of the page before; `at` is empty in the order of the codes."""

    code: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Arm:
    """One range of codes with one status; None: all. `due`: a condition that the index can tell by itself."""

    codes: tuple[str, str] | None
    status: int | None
    due: str | None = None


async def page(
    rx: Reading, filters: Filters, agencies: Sequence[str], after: Place | None, limit: int, *, personal: bool
) -> list[Row]:
    """The rows after this place, in `filters.order`; with applicant, form and attachments if they are `personal`."""
    await rx.raw.execute(PLANNING)
    found: list[Row] = []
    for arms in _arms(filters, dossier_ranges(filters.agency, agencies), after):
        found += await _found(rx, filters, arms, after, limit - len(found), WHOLE if personal else PUBLIC)
        if len(found) == limit:
            break
    return found


async def count(rx: Reading, filters: Filters, agencies: Sequence[str], most: int) -> int:
    """How many there are, counted to `most`."""
    await rx.raw.execute(PLANNING)
    found = 0
    for arms in _arms(filters, dossier_ranges(filters.agency, agencies), None):
        firsts, _, values = _firsts(filters, arms, None, most - found)
        first = f"SELECT FROM ({firsts}) AS arms LIMIT $1"
        found += await rx.raw.fetchval(f"SELECT count(*) FROM ({first}) AS counted", *values)
        if found >= most:
            break
    return found


def _arms(filters: Filters, ranges: list[tuple[str, str]] | None, after: Place | None) -> Iterator[list[_Arm]]:
    """Arms to ask for at once; in the order of the codes what the first have filled needs no more of the next."""
    left: Sequence[tuple[str, str] | None] = [None] if ranges is None else ranges
    if filters.order != "code":
        # Ranges are no parts of this order: a few are gone through by themselves, many are left to the security.
        few = left if len(left) <= _MOST_RANGES or not left else [None]
        statuses = [(status, due) for status in _statuses(filters) for due in _dues(filters, status)]
        if arms := [_Arm(codes, status, due) for codes in few for status, due in statuses]:
            yield arms
        return
    each = [None] if filters.statuses is None else filters.statuses
    left = [it for it in left if it is None or after is None or it[1] > after.code]
    step = max(1, _MOST_ARMS // max(1, len(each)))
    for first in range(0, len(left), step):
        yield [_Arm(codes, status) for codes in left[first : first + step] for status in each]


def _statuses(filters: Filters) -> Iterable[int]:
    """Those that the index of this order has, as far as they are asked for."""
    indexed = OPEN if filters.order == "due_at" else tuple(map(int, Status))
    return indexed if filters.statuses is None else [it for it in indexed if it in filters.statuses]


def _dues(filters: Filters, status: int) -> Sequence[str | None]:
    """In the order of the reception, what is not overdue: by status either all of them, or these two kinds."""
    if filters.order == "received_at" and filters.overdue is False and status in OPEN:
        return ("due_at >= now()", "due_at IS NULL")
    return (None,)


async def _found(
    rx: Reading, filters: Filters, arms: Sequence[_Arm], after: Place | None, limit: int, columns: str
) -> list[Row]:
    firsts, order, values = _firsts(filters, arms, after, limit)
    sql = (
        f"SELECT {columns} FROM dossier JOIN (SELECT code FROM ({firsts}) AS arms "
        f"ORDER BY {order} LIMIT $1) AS first USING (code) ORDER BY {order}"
    )
    rows: list[Row] = await rx.raw.fetch(sql, *values)
    return rows


def _firsts(filters: Filters, arms: Sequence[_Arm], after: Place | None, limit: int) -> tuple[str, str, Sequence[Any]]:
    """A query for the first keys of each arm, their order, and its values; `$1` is the limit."""
    values: list[Any] = [limit]

    def place(value: Any) -> str:
        values.append(value)
        return f"${len(values)}"

    order = "code" if filters.order == "code" else f"{filters.order}, code"
    common = _conditions(filters, after, place)
    firsts = [
        f"(SELECT {order} FROM dossier WHERE {' AND '.join([*common, *_own(arm, place)])} ORDER BY {order} LIMIT $1)"
        for arm in arms
    ]
    return " UNION ALL ".join(firsts), order, values


def _own(arm: _Arm, place: Callable[[Any], str]) -> list[str]:
    conditions = [] if arm.codes is None else [f"code >= {place(arm.codes[0])} AND code < {place(arm.codes[1])}"]
    conditions += [] if arm.status is None else [f"status = {arm.status}"]
    return conditions if arm.due is None else [*conditions, arm.due]


def _conditions(filters: Filters, after: Place | None, place: Callable[[Any], str]) -> list[str]:
    """All but the arms' own."""
    conditions: list[str] = []
    if after is not None:
        conditions.append(
            f"code > {place(after.code)}"
            if filters.order == "code"
            else f"({filters.order}, code) > ({place(after.at)}::timestamptz, {place(after.code)}::text)"
        )
    for column, wanted in (
        ("procedure_code", filters.procedure),
        ("channel", filters.channel),
        ("external_reference", filters.external_reference),
    ):
        if wanted is not None:
            conditions.append(f"{column} = {place(wanted)}")
    if filters.person_hashes is not None:
        conditions.append(f"person_hash = ANY({place(list(filters.person_hashes))}::bytea[])")
    if filters.received_from is not None:
        conditions.append(f"received_at >= {place(filters.received_from)}")
    if filters.received_to is not None:
        conditions.append(f"received_at < {place(filters.received_to)}")
    if filters.overdue:
        conditions.append("due_at < now()")  # the arms are then those of the open statuses
    elif filters.overdue is False and filters.order == "code":
        conditions.append(f"(due_at < now() AND status IN {OPEN}) IS NOT TRUE")
    if filters.verdicts_differ:
        conditions.append(_VERDICTS_DIFFER)
    if filters.late_until is not None:
        conditions.append(f"due_at >= now() AND due_at < {place(filters.late_until)} AND late_at IS NOT NULL")
    return conditions or ["true"]
