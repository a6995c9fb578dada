"""A report as CSV and as XLSX, without letting a cell become a formula."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import xlsxwriter

from console.report import Row

CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def as_csv(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    """UTF-8 with a header line, no byte order mark (RFC 4180). Text that a spreadsheet would run gets an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_harmless(row[column]) for column in columns] for row in rows)
    return text.getvalue().encode()


def as_xlsx(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    """One sheet with a bold header; nothing in it is taken for a formula or a link."""
    target = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(target, options) as book:
        sheet = book.add_worksheet()
        bold = book.add_format({"bold": True})
        sheet.write_row(0, 0, columns, bold)
        for line, row in enumerate(rows, start=1):
            sheet.write_row(line, 0, [row[column] for column in columns])
        sheet.freeze_panes(1, 2)
        sheet.autofit()
    return target.getvalue()


def _harmless(cell: Any) -> Any:
    if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS):
        return f"'{cell}"
    return "" if cell is None else cell
