"""How an export file of a portal is read: which column is which, and in whose words. Layouts are versioned data.

A layout's columns are named by their headings (any of several, accents and case aside). Words that are not in its
lists stay as they are, so that an unknown status shows up as a difference and not as an equal.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from shared import vietnamese
from sync_national.comparison import LATE, ON_TIME, Theirs

_SERIAL = re.compile(r"[2-7]\d{4}(\.\d+)?")
"""A spreadsheet's own time: days since the end of 1899 (20000 is 1954, 79999 is 2119)."""
_SERIAL_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 - a local time, like everything in these files
COLUMNS = ("code", "status", "due", "ended", "payment", "progress", "verdict")
MEANINGS: Mapping[str, Sequence[str]] = {
    "status": tuple(str(code) for code in range(1, 11)),
    "payment": ("0", "1", "2", "3"),
    "verdict": (ON_TIME, LATE),
}
"""What words of a file may be declared to mean (wire §1.4, §1.6)."""


class UnreadableFile(Exception):
    """The file is not what its layout declares; the message is for people."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A declared layout. `headings` by column; `words` by column: theirs → the wire's."""

    name: str
    version: int
    headings: Mapping[str, Sequence[str]]
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    delimiter: str = ","
    """Of a CSV file; a file whose first line has none of it but semicolons or tabs is read by those."""


_STATUS_WORDS = {
    "moi dang ky": "1",
    "duoc tiep nhan": "2",
    "khong duoc tiep nhan": "3",
    "dang xu ly": "4",
    "yeu cau bo sung giay to": "5",
    "yeu cau thuc hien nghia vu tai chinh": "6",
    "cong dan yeu cau rut ho so": "7",
    "dung xu ly": "8",
    "da xu ly xong": "9",
    "da tra ket qua": "10",
}
_VERDICT_WORDS = {
    "dung han": ON_TIME,
    "truoc han": ON_TIME,
    "som han": ON_TIME,
    "on_time": ON_TIME,
    "1": ON_TIME,
    "qua han": LATE,
    "tre han": LATE,
    "late": LATE,
    "0": LATE,
}
LAYOUTS: Mapping[str, Layout] = {
    "dvcqg": Layout(
        "dvcqg",
        1,
        {
            "code": ("MaHoSo", "Mã hồ sơ", "Số hồ sơ"),
            "status": ("TrangThaiHoSo", "Trạng thái hồ sơ", "Trạng thái"),
            "due": ("NgayHenTra", "Ngày hẹn trả", "Hẹn trả"),
            "ended": ("NgayKetThucXuLy", "Ngày kết thúc xử lý", "Ngày hoàn thành"),
            "payment": ("DuocThanhToanTrucTuyen", "Thanh toán trực tuyến"),
            "progress": ("SoDongTienDo", "Số dòng tiến độ"),
            "verdict": ("DanhGiaTienDo", "Đánh giá tiến độ", "Đúng hạn"),
        },
        {"status": _STATUS_WORDS, "verdict": _VERDICT_WORDS},
    ),
}
"""Our own names for what the national portal's statistics page exports; a province's page may add its own."""


def reading(layout: Layout, header: Sequence[str]) -> Callable[[Sequence[str]], Theirs]:
    """How to read the lines under this heading. Raises `UnreadableFile` when the code's column is missing."""
    places = {_plain(heading): place for place, heading in reversed(list(enumerate(header)))}
    found: dict[str, int | None] = {
        column: next((places[_plain(name)] for name in layout.headings.get(column, ()) if _plain(name) in places), None)
        for column in COLUMNS
    }
    at_code = found["code"]
    if at_code is None:
        raise UnreadableFile(f"Không có cột mã hồ sơ ({', '.join(layout.headings['code'])})")
    status, due, ended = found["status"], found["due"], found["ended"]
    payment, progress, verdict = found["payment"], found["progress"], found["verdict"]
    status_words, payment_words, verdict_words = (
        {_plain(word): meaning for word, meaning in layout.words.get(column, {}).items()}
        for column in ("status", "payment", "verdict")
    )
    last = max(place for place in found.values() if place is not None)

    def read(cells: Sequence[str]) -> Theirs:
        if len(cells) <= last:
            raise UnreadableFile(f"Dòng có {len(cells)} ô, cần {last + 1}")
        if "\x00" in "".join(cells):  # no database keeps it
            raise UnreadableFile("Có ký tự NUL")
        code = cells[at_code].strip()
        if not code or len(code) > 100:
            raise UnreadableFile("Thiếu mã hồ sơ")
        return Theirs(
            code,
            None if status is None else _word(status_words, cells[status]),
            None if due is None else moment(cells[due]),
            None if ended is None else moment(cells[ended]),
            None if payment is None else _word(payment_words, cells[payment]),
            None if progress is None else _number(cells[progress]),
            None if verdict is None else verdict_words.get(_plain(cells[verdict])),
        )

    return read


def moment(text: str) -> str:
    """A time in digits, as precise as it stands: `yyyyMMdd`, `yyyyMMddHHmm` or `yyyyMMddHHmmss`; "" for none.

    Understood: the wire's own form, `dd/MM/yyyy[ HH:mm[:ss]]` (also with the time in front), RFC 3339 without an
    offset, and a spreadsheet's serial number. Raises `UnreadableFile`.
    """
    text = text.strip()
    if not text or (len(text) == 14 and text.isdigit()):
        return text
    return _moment(text)


@lru_cache(maxsize=65536)
def _moment(text: str) -> str:
    if _SERIAL.fullmatch(text):
        return (_SERIAL_ZERO + timedelta(seconds=round(float(text) * 86400))).strftime("%Y%m%d%H%M%S")
    words = text.replace("T", " ").split()
    day, clock = "", ""
    for word in words:
        if ":" in word:
            clock = "".join(part.zfill(2) for part in word.partition(".")[0].split(":"))
        elif "/" in word and word.count("/") == 2:
            date, month, year = word.split("/")
            day = f"{year.zfill(4)}{month.zfill(2)}{date.zfill(2)}"
        else:
            day = word.replace("-", "")
    digits = day + clock
    if not digits.isdigit() or len(day) != 8 or len(digits) not in {8, 12, 14}:
        raise UnreadableFile("Thời gian không đọc được")
    return digits


def _word(words: Mapping[str, str], text: str) -> str:
    text = text.strip()
    return words.get(_plain(text), text) if words else text


def _number(text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not text.isdigit():
        raise UnreadableFile("Số dòng tiến độ không phải là số")
    return int(text)


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    return " ".join(vietnamese.fold(text).split())
