"""The reports: from the read model, for the agencies the caller may see, with how fresh they are."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from console import report, store
from console.report import Counts, Fees, Period, Row
from shared.agency_codes import covers
from shared.db import Reading

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Report:
    """A table with its total; `columns` in the province's order. `as_of`: None before the first event."""

    title: str
    columns: tuple[str, ...]
    period: Period
    items: list[Row]
    total: Row
    as_of: datetime | None


async def of_agencies(
    rx: Reading,
    period: Period,
    province: str | None,
    names: Mapping[str, str],
    present: datetime,
    as_of: datetime | None,
    left_out: Collection[str] = (),
) -> Report:
    """Appendix 1 of the period: dossiers received, resolved, in progress, and the rates.

    `left_out`: agencies that do not count here, with all below them.
    """
    dossiers = await store.agency_counts(rx, province, period.start, period.end, present, report.FROM_REGISTER)
    payments = await store.fee_sums(rx, province, period.start, period.end)
    counted: dict[str, dict[str, Any]] = {row["agency_code"]: dict(row) for row in dossiers}
    for row in payments:
        counted.setdefault(row["agency_code"], {}).update(row)
    counts = {code: Counts(**_only(Counts, row)) for code, row in counted.items()}
    items, total = report.dossier_table(_without(left_out, counts), _without(left_out, names))
    return Report("agencies", report.DOSSIER_COLUMNS, period, items, total, as_of)


async def of_fees(
    rx: Reading,
    period: Period,
    province: str | None,
    names: Mapping[str, str],
    as_of: datetime | None,
    left_out: Collection[str] = (),
) -> Report:
    """Appendix 2 of the period: what was paid online and at the counter."""
    sums = await store.fee_sums(rx, province, period.start, period.end)
    fees = {row["agency_code"]: Fees(**_only(Fees, row)) for row in sums}
    items, total = report.fee_table(_without(left_out, fees), _without(left_out, names))
    return Report("fees", report.FEE_COLUMNS, period, items, total, as_of)


def _without(left_out: Collection[str], by_code: Mapping[str, Kept]) -> dict[str, Kept]:
    return {code: it for code, it in by_code.items() if not covers(left_out, code)}


def _only(kind: type[Counts | Fees], row: Mapping[str, Any]) -> dict[str, int]:
    return {field.name: row[field.name] for field in fields(kind) if field.name in row}
