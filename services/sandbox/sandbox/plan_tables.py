"""The two published tables of a province: what a replay plays.

`appendix_1_dossiers.csv` counts dossiers per agency, `appendix_2_fees.csv` (optional) the money. `no` joins them,
names come from the first; a row whose `no` is not a number is a total. A rate left empty is not compared.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

DOSSIERS_FILE = "appendix_1_dossiers.csv"
FEES_FILE = "appendix_2_fees.csv"

COUNTS = (
    "received_total", "received_in_period", "received_online", "carried_over",
    "resolved_total", "resolved_on_time", "resolved_late",
    "in_progress_total", "in_progress_on_time", "in_progress_overdue",
)  # fmt: skip
RATES = (
    "online_rate_pct", "online_payment_rate_pct", "population_db_use_rate_pct",
    "digitised_component_rate_pct", "electronic_result_rate_pct",
)  # fmt: skip
FEES = ("online_transactions", "online_amount_vnd", "counter_transactions", "counter_amount_vnd")


class TablesUnusable(Exception):
    """The published tables cannot be played; the message says which cell and why, in one sentence."""


@dataclass(frozen=True, slots=True)
class Published:
    """One agency's rows in both tables. `tenths` are rates in tenths of a percent, None where left empty."""

    no: int
    name: str
    counts: Mapping[str, int]
    tenths: Mapping[str, int | None]
    fees: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Tables:
    """What the province published: agencies in order of their number, and its own totals if it gave any."""

    agencies: tuple[Published, ...]
    totals: Mapping[str, int]
    has_fees: bool


def read(folder: Path) -> Tables:
    """Both tables of a folder. Raises `TablesUnusable`."""
    dossiers = folder / DOSSIERS_FILE
    if not dossiers.is_file():
        raise TablesUnusable(f"There is no {DOSSIERS_FILE} in {folder}.")
    fees = folder / FEES_FILE
    money, money_totals = _fees(fees) if fees.is_file() else ({}, {})
    agencies: dict[int, Published] = {}
    totals: dict[str, int] = dict(money_totals)
    for line, row in _rows(dossiers, ("no", "agency", *COUNTS)):
        counts = {column: _count(row, column, dossiers, line) for column in COUNTS}
        if not row["no"].isdecimal():
            totals.update(counts)
            continue
        no = int(row["no"])
        if no in agencies:
            raise TablesUnusable(f"{DOSSIERS_FILE} line {line}: agency number {no} stands there twice.")
        _require_sums(counts, line)
        tenths = {column: _tenths(row, column, line) for column in RATES}
        agencies[no] = Published(no, row["agency"], counts, tenths, money.get(no) or dict.fromkeys(FEES, 0))
    if not agencies:
        raise TablesUnusable(f"{DOSSIERS_FILE} has no row with an agency's number.")
    strangers = sorted(set(money) - set(agencies))
    if strangers:
        raise TablesUnusable(f"{FEES_FILE} has agency number {strangers[0]}, which {DOSSIERS_FILE} lacks.")
    return Tables(tuple(agencies[no] for no in sorted(agencies)), totals, fees.is_file())


def _fees(path: Path) -> tuple[dict[int, dict[str, int]], dict[str, int]]:
    money: dict[int, dict[str, int]] = {}
    totals: dict[str, int] = {}
    for line, row in _rows(path, ("no", *FEES)):
        amounts = {column: _count(row, column, path, line) for column in FEES}
        if not row["no"].isdecimal():
            totals.update(amounts)
            continue
        if int(row["no"]) in money:
            raise TablesUnusable(f"{FEES_FILE} line {line}: agency number {row['no']} stands there twice.")
        for way in ("online", "counter"):
            transactions, amount = amounts[f"{way}_transactions"], amounts[f"{way}_amount_vnd"]
            if amount < transactions or (amount and not transactions):
                raise TablesUnusable(
                    f"{FEES_FILE} line {line}: {transactions} {way} transactions cannot make {amount} đồng."
                )
        money[int(row["no"])] = amounts
    return money, totals


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [column for column in needed if column not in (reader.fieldnames or ())]
        if missing:
            raise TablesUnusable(f"{path.name} has no column {missing[0]}.")
        for row in reader:
            cells = {column: (value or "").strip() for column, value in row.items() if column}
            if any(cells.values()):
                yield reader.line_num, cells


def _count(row: Mapping[str, str], column: str, path: Path, line: int) -> int:
    text = row[column]
    if not text.isdecimal():
        raise TablesUnusable(f"{path.name} line {line}: {column} is {text!r}, not a whole number.")
    return int(text)


def _tenths(row: Mapping[str, str], column: str, line: int) -> int | None:
    text = row.get(column, "")
    if not text:
        return None
    whole, _, tenth = text.partition(".")
    if not (whole.isdecimal() and (tenth or "0").isdecimal() and len(tenth) <= 1):
        raise TablesUnusable(f"{DOSSIERS_FILE} line {line}: {column} is {text!r}, not a rate like 94.3.")
    tenths = int(whole) * 10 + int(tenth or "0")
    if tenths > 1000:
        raise TablesUnusable(f"{DOSSIERS_FILE} line {line}: {column} is above 100 percent.")
    return tenths


def _require_sums(counts: Mapping[str, int], line: int) -> None:
    for total, parts in (
        ("received_total", ("received_in_period", "carried_over")),
        ("resolved_total", ("resolved_on_time", "resolved_late")),
        ("in_progress_total", ("in_progress_on_time", "in_progress_overdue")),
        ("received_total", ("resolved_total", "in_progress_total")),
    ):
        found = sum(counts[part] for part in parts)
        if counts[total] != found:
            sum_text = " + ".join(parts)
            raise TablesUnusable(f"{DOSSIERS_FILE} line {line}: {total} is {counts[total]}, {sum_text} is {found}.")
    if counts["received_online"] > counts["received_in_period"]:
        raise TablesUnusable(f"{DOSSIERS_FILE} line {line}: received_online exceeds received_in_period.")
