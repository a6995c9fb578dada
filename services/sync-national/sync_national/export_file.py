"""An export file as a stream in the order of the codes, whatever its own order, in little memory.

Lines are read in pieces, sorted in runs on disk and merged: a million lines take about 60 MB and no more.
"""

import csv
import heapq
import io
import marshal
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from typing import IO, Literal, cast

from lxml import etree

from sync_national.comparison import Theirs
from sync_national.export_layout import Layout, UnreadableFile, reading

Format = Literal["csv", "xlsx"]
Cells = Sequence[str]
_Row = tuple[str | int | None, ...]
"""What a run keeps of a line: `Theirs` without its last member."""

_RUN = 50_000
_BLOCK = 500
_MOST_FAULTS_KEPT = 20
_MOST_UNPACKED = 1 << 30
"""Bytes a spreadsheet's parts may unfold to (a zip bomb unfolds a thousandfold)."""
_MOST_STRINGS = 2_000_000
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_COLUMN = re.compile(r"([A-Z]{1,3})\d+")


@dataclass(slots=True)
class Sorter:
    """Reads lines, keeps them in sorted runs, gives them back merged. Blocks: call it in a thread."""

    lines: Iterator[Cells]
    read: Callable[[Cells], Theirs]
    names: Mapping[str, str] = field(default_factory=dict)
    """The portal's own code → ours, of dossiers that were filed there."""
    folder: str | None = None
    line_count: int = 0
    faulty_count: int = 0
    faults: list[str] = field(default_factory=list)
    """The first of them, for people: the line's number and what is wrong, never its content."""
    _runs: list[IO[bytes]] = field(default_factory=list)

    def take(self, most: int = _RUN) -> bool:
        """Read the next lines into a run; whether there may be more. Raises `UnreadableFile`."""
        try:
            lines = list(islice(self.lines, most))
        except (csv.Error, UnicodeDecodeError, etree.XMLSyntaxError, zipfile.BadZipFile, EOFError) as fault:
            raise UnreadableFile(f"Tệp hỏng sau dòng {self.line_count + 1}: {type(fault).__name__}") from fault
        rows: list[_Row] = []
        for cells in lines:
            self.line_count += 1
            if not any(cells):
                continue
            try:
                code, *rest = self.read(cells)[:7]
                rows.append((self.names.get(code, code), *rest))
            except UnreadableFile as fault:
                self.faulty_count += 1
                if len(self.faults) < _MOST_FAULTS_KEPT:
                    self.faults.append(f"Dòng {self.line_count + 1}: {fault}")
        rows.sort(key=itemgetter(0))
        self._keep(rows)
        return len(lines) == most

    def merged(self) -> Iterator[Theirs]:
        """All lines in the order of the codes; of several with one code the last counts, the others are faulty."""
        held: Theirs | None = None
        for row in heapq.merge(*map(_blocks, self._runs), key=itemgetter(0)):
            if held is not None and held[0] != row[0]:
                yield held
            elif held is not None:
                self.faulty_count += 1
            held = Theirs._make((*row, ()))
        if held is not None:
            yield held

    def close(self) -> None:
        """Give the disk back."""
        for run in self._runs:
            run.close()
        self._runs.clear()

    def _keep(self, rows: list[_Row]) -> None:
        if not rows:
            return
        run = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 - closed by `close`
        self._runs.append(run)
        for start in range(0, len(rows), _BLOCK):
            marshal.dump(rows[start : start + _BLOCK], run)
        run.seek(0)


def _blocks(run: IO[bytes]) -> Iterator[_Row]:
    while True:
        try:
            block = marshal.load(run)  # noqa: S302 - our own temporary file
        except EOFError:
            return
        yield from block


def opened(file: IO[bytes], kind: Format, layout: Layout, names: Mapping[str, str]) -> Sorter:
    """A sorter over this file, its heading already read. Raises `UnreadableFile`."""
    try:
        lines = _xlsx_lines(file) if kind == "xlsx" else _csv_lines(file, layout.delimiter)
        header = next(lines, None)
    except (csv.Error, UnicodeError, etree.XMLSyntaxError, zipfile.BadZipFile, KeyError) as fault:
        raise UnreadableFile(f"Không phải tệp {kind.upper()}: {type(fault).__name__}") from fault
    if header is None:
        raise UnreadableFile("Tệp rỗng")
    return Sorter(lines, reading(layout, header), names)


def _csv_lines(file: IO[bytes], delimiter: str) -> Iterator[Cells]:
    mark = file.read(2)
    file.seek(0)
    encoding = "utf-16" if mark in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    text = io.TextIOWrapper(cast("io.BufferedRandom", file), encoding, newline="")
    first = text.readline(65536)
    text.seek(0)
    if delimiter not in first:
        delimiter = next((other for other in ";\t|" if other in first), delimiter)
    return iter(csv.reader(text, delimiter=delimiter, strict=True))


def _xlsx_lines(file: IO[bytes]) -> Iterator[Cells]:
    """The first sheet's rows as text. Dates come as the spreadsheet's serial numbers."""
    book = zipfile.ZipFile(file)
    if sum(part.file_size for part in book.infolist()) > _MOST_UNPACKED:
        raise UnreadableFile("Tệp XLSX quá lớn khi giải nén")
    strings = _shared_strings(book)
    width = 0
    with book.open(_first_sheet(book)) as sheet:
        for _, row in _elements(sheet, "row"):
            cells: list[str] = []
            for cell in row.iterchildren(f"{_SHEET}c"):
                place = _place(cell.get("r"), len(cells))
                cells += [""] * (place - len(cells))
                cells.append(_text(cell, strings))
            width = width or len(cells)
            yield cells + [""] * (width - len(cells))  # empty cells at the end are left out too
            row.clear()
            parent = row.getparent()
            while parent is not None and row.getprevious() is not None:
                del parent[0]  # what was read stays in the tree otherwise


def _first_sheet(book: zipfile.ZipFile) -> str:
    with book.open("xl/workbook.xml") as part:
        relation = next((sheet.get(_RELATION) for _, sheet in _elements(part, "sheet")), None)
    with book.open("xl/_rels/workbook.xml.rels") as part:
        for _, entry in etree.iterparse(part, **_SAFE):
            if entry.get("Id") == relation and entry.get("Target"):
                target = str(entry.get("Target"))
                return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    raise UnreadableFile("Tệp XLSX không có trang tính")


def _shared_strings(book: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in book.namelist():
        return []
    found = []
    with book.open("xl/sharedStrings.xml") as part:
        for _, entry in _elements(part, "si"):
            found.append("".join(text.text or "" for text in entry.iter(f"{_SHEET}t")))
            if len(found) > _MOST_STRINGS:
                raise UnreadableFile("Tệp XLSX có quá nhiều chuỗi; hãy dùng CSV")
            entry.clear()
    return found


_SAFE: dict[str, bool] = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}


def _elements(part: IO[bytes], name: str) -> Iterator[tuple[str, etree._Element]]:
    return iter(etree.iterparse(part, tag=f"{_SHEET}{name}", **_SAFE))


def _text(cell: etree._Element, strings: Sequence[str]) -> str:
    kind = cell.get("t")
    if kind == "inlineStr":
        return "".join(text.text or "" for text in cell.iter(f"{_SHEET}t"))
    value = cell.findtext(f"{_SHEET}v") or ""
    if kind == "s":
        return strings[int(value)] if value.isdigit() and int(value) < len(strings) else ""
    return value


def _place(reference: str | None, following: int) -> int:
    """Which column a cell stands in, from 0; empty cells are left out of a sheet."""
    found = _COLUMN.fullmatch(reference or "")
    if not found:
        return following
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return max(following, number - 1)
