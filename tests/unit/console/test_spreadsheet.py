"""A report's cell never becomes a formula."""

import csv
import io
import zipfile

import pytest

from console.spreadsheet import as_csv, as_xlsx

COLUMNS = ("no", "agency", "amount_vnd")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_disarms_text_that_a_spreadsheet_would_run(name: str) -> None:
    content = as_csv(COLUMNS, [{"no": 1, "agency": name, "amount_vnd": -5}])
    row = list(csv.reader(io.StringIO(content.decode(), newline="")))[1]
    assert row == ["1", f"'{name}", "-5"]


def test_csv_has_the_columns_and_empty_cells_for_nothing() -> None:
    content = as_csv(COLUMNS, [{"no": None, "agency": 'Sở "Tư pháp", H08', "amount_vnd": 0}])
    assert content.decode() == 'no,agency,amount_vnd\r\n,"Sở ""Tư pháp"", H08",0\r\n'


def test_xlsx_holds_no_formula() -> None:
    content = as_xlsx(
        COLUMNS, [{"no": 1, "agency": "=1+1", "amount_vnd": 5}, {"no": "Σ", "agency": "", "amount_vnd": 5}]
    )
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        assert "<f>" not in sheet
        assert "=1+1" in book.read("xl/sharedStrings.xml").decode()
