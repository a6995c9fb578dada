"""Export files of a portal: CSV of several kinds, XLSX, unsorted, with faulty lines."""

import csv
import io
import random
import zipfile
from collections.abc import Iterable, Sequence
from typing import Literal

import pytest
import xlsxwriter

from sync_national.comparison import Theirs
from sync_national.export_file import Sorter, opened
from sync_national.export_layout import LAYOUTS, UnreadableFile, moment

HEADER = ("Mã hồ sơ", "Trạng thái", "Ngày hẹn trả", "Ngày kết thúc xử lý", "Thanh toán trực tuyến", "Đúng hạn")
LINE = ("H08.15-260302-0001", "Đã xử lý xong", "10/03/2026 10:00", "20260309160000", "1", "Đúng hạn")
READ = Theirs("H08.15-260302-0001", "9", "202603101000", "20260309160000", "1", None, "on_time")


def as_csv(lines: Iterable[Sequence[str]], delimiter: str = ",", encoding: str = "utf-8-sig") -> bytes:
    """The lines as a spreadsheet program would save them."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(lines)
    return text.getvalue().encode(encoding)


def as_xlsx(lines: Iterable[Sequence[str | float]]) -> bytes:
    """The lines as a sheet."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet()
        for row, line in enumerate(lines):
            for column, cell in enumerate(line):
                if cell != "":
                    sheet.write(row, column, cell)
    return file.getvalue()


def read(content: bytes, kind: Literal["csv", "xlsx"] = "csv", at_once: int = 50_000) -> tuple[list[Theirs], Sorter]:
    """Everything in the file, in order."""
    sorter = opened(io.BytesIO(content), kind, LAYOUTS["dvcqg"], {})
    while sorter.take(at_once):
        pass
    found = list(sorter.merged())
    sorter.close()
    return found, sorter


@pytest.mark.parametrize(("delimiter", "encoding"), [(",", "utf-8-sig"), (";", "utf-8"), ("\t", "utf-16")])
def test_a_csv_file_is_read_whatever_spreadsheet_saved_it(delimiter: str, encoding: str) -> None:
    assert read(as_csv([HEADER, LINE], delimiter, encoding))[0] == [READ]


def test_a_sheet_is_read_with_its_gaps_and_its_own_dates() -> None:
    serial = 46090 + 10 / 24  # 2026-03-09 10:00
    lines: list[Sequence[str | float]] = [HEADER, ("", *LINE[1:]), LINE, ("H08.15-260302-0002", 4, serial, "", 0, "")]
    found, sorter = read(as_xlsx(lines), "xlsx")
    assert found == [READ, Theirs("H08.15-260302-0002", "4", "20260309100000", "", "0", None, None)]
    assert (sorter.line_count, sorter.faulty_count) == (3, 1)


def test_lines_come_in_the_order_of_the_codes_from_many_runs() -> None:
    codes = [f"H08.{n % 7:02d}-260302-{n:04d}" for n in range(500)]
    shuffled = random.Random(5).sample(codes, len(codes))
    found, sorter = read(as_csv([("MaHoSo", "TrangThaiHoSo"), *((code, "4") for code in shuffled)]), at_once=37)
    assert [it.code for it in found] == sorted(codes)
    assert sorter.line_count == 500


def test_the_last_of_several_lines_about_one_dossier_counts() -> None:
    lines = [("MaHoSo", "TrangThaiHoSo"), ("A", "4"), ("B", "2"), ("A", "9")]
    found, sorter = read(as_csv(lines), at_once=2)
    assert [(it.code, it.status) for it in found] == [("A", "9"), ("B", "2")]
    assert sorter.faulty_count == 1


def test_a_faulty_line_is_named_and_the_others_are_read() -> None:
    lines = [HEADER, ("H08.15-260302-0009", "Mới đăng ký", "hôm qua", "", "0", ""), LINE, ("x",)]
    found, sorter = read(as_csv(lines))
    assert found == [READ]
    assert sorter.faults == ["Dòng 2: Thời gian không đọc được", "Dòng 4: Dòng có 1 ô, cần 6"]


def test_a_nul_spoils_its_line_only() -> None:
    found, sorter = read(as_csv([HEADER, (f"{LINE[0]}\x00", *LINE[1:]), (*LINE[:5], "\x00"), LINE]))
    assert found == [READ]
    assert sorter.faults == ["Dòng 2: Có ký tự NUL", "Dòng 3: Có ký tự NUL"]


def test_an_unknown_word_stays_and_so_differs() -> None:
    lines = [HEADER, ("H08.15-260302-0009", "Bay lên", "", "", "0", "")]
    assert read(as_csv(lines))[0][0].status == "Bay lên"


def test_a_file_without_codes_is_refused() -> None:
    for content in (b"", as_csv([("Trạng thái",)]), b"\xff\xfe\x00", b"\x00\x01\x02"):
        with pytest.raises(UnreadableFile):
            read(content)


@pytest.mark.parametrize("content", [b"PK\x03\x04 no zip", b"", as_csv([HEADER, LINE])])
def test_what_is_no_sheet_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableFile):
        read(content, "xlsx")


def test_a_sheet_with_entities_or_a_bomb_is_refused() -> None:
    good = zipfile.ZipFile(io.BytesIO(as_xlsx([HEADER, LINE])))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bad:
        for part in good.namelist():
            if part == "xl/worksheets/sheet1.xml":
                bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
                bad.writestr(part, f"<?xml version='1.0'?>{bomb}<worksheet>&b;</worksheet>")
            else:
                bad.writestr(part, good.read(part))
    with pytest.raises(UnreadableFile):
        read(file.getvalue(), "xlsx")


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("", ""),
        ("20260310101530", "20260310101530"),
        ("1/3/2026", "20260301"),
        ("10/03/2026 9:05", "202603100905"),
        ("09:05:07 10/03/2026", "20260310090507"),
        ("2026-03-10T09:05:07.123", "20260310090507"),
        ("2026-03-10", "20260310"),
        ("46091.5", "20260310120000"),
    ],
)
def test_a_time_is_read_as_precisely_as_it_stands(text: str, digits: str) -> None:
    assert moment(text) == digits


@pytest.mark.parametrize("text", ["hôm qua", "10/2026", "10:00", "2026-03-10T09:05:07+07:00", "1/2/3/4"])
def test_a_time_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UnreadableFile):
        moment(text)
