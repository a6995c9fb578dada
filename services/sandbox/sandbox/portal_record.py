"""Rules of the records that provinces push to the national portal (wire §1.4, §1.5, §1.6).

A record is described by one table of fields; `fault_of_record` and `fault_of_progress` answer None or what is wrong,
in Vietnamese, as the portal puts it into `message`. What the sources mark optional may be missing; names that are not
in the tables are refused, so that a misspelt field cannot pass unseen.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

Check = Callable[[Any], bool]

RECEIVED_STATUSES = frozenset(("2", "4", "8", "9", "10"))
_CODE = re.compile(r"[0-9A-Z]+(\.[0-9A-Z]+)*-[0-9]{6}-[0-9]{4,}")
_PROCEDURE = re.compile(r"[0-9]\.[0-9]{6}(\.[0-9A-Z]+)*")
_DIGITS = re.compile(r"[0-9]{1,15}")
_MOMENT = re.compile(r"[0-9]{8}([01][0-9]|2[0-3])([0-5][0-9]){2}")
_IDENTIFIERS = {"1": re.compile(r"[0-9]{12}"), "2": re.compile(r"[0-9]{9}")}


def is_moment(value: Any) -> bool:
    """A time of the wire: yyyyMMddHHmmss, local, that exists in the calendar."""
    return isinstance(value, str) and _MOMENT.fullmatch(value) is not None and _is_day(value[:8])


@lru_cache(maxsize=4096)
def _is_day(digits: str) -> bool:
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True


def _moment_or_empty(value: Any) -> bool:
    return value == "" or is_moment(value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _filled(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _text_or_null(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _at_most(length: int, *, filled: bool = False) -> Check:
    return lambda value: isinstance(value, str) and len(value) <= length and (not filled or value.strip() != "")


def _one_of(*codes: str) -> Check:
    allowed = frozenset(codes)
    return lambda value: isinstance(value, str) and value in allowed


def _matching(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _address(value: Any) -> bool:
    return isinstance(value, str) and (value == "" or value.startswith(("http://", "https://")))


STATUS = _one_of(*(str(number) for number in range(1, 11)))

DOCUMENT: Mapping[str, Check] = {
    "TepDinhKemId": _text,
    "TenTepDinhKem": _at_most(4000, filled=True),
    "IsDeleted": _one_of("False", "True"),
    "MaThanhPhanHoSo": _text,
    "DuongDanTaiTepTin": _address,
    "DuocSoHoa": _one_of("0", "1"),
    "DuocTaiSuDung": _one_of("0", "1", "2"),
    "DuocLayTuKhoDMQG": _one_of("0", "1"),
    "MaKetQuaThayThe": _text,
}
DOCUMENT_OPTIONAL = frozenset(("DuocSoHoa", "DuocTaiSuDung", "DuocLayTuKhoDMQG", "MaKetQuaThayThe"))
FEE: Mapping[str, Check] = {
    "TenPhiLePhi": _filled,
    "MaPhiLePhi": _filled,
    "HinhThucThu": _filled,
    "Gia": _matching(_DIGITS),
    "LoaiPhiLePhi": _filled,
}
OTHER_ATTACHMENT: Mapping[str, Check] = {"TenGiayTo": _filled, "SoLuong": _integer, "LoaiGiayTo": _integer}
RESULT: Mapping[str, Check] = {
    "TenGiayTo": _at_most(2000, filled=True),
    "MaThanhPhanHoSo": _text,
    "GiayToId": _text,
    "DuongDanTepTinKetQua": _address,
    "MaGiayToKetQua": _text,
}
IDENTIFIER: Mapping[str, Check] = {"LoaiDinhDanh": _one_of("1", "2"), "SoDinhDanh": _filled}
DATABASE: Mapping[str, Check] = {"MaCSDL": _filled}


def _fault_of(item: Any, checks: Mapping[str, Check], optional: frozenset[str] = frozenset()) -> str | None:
    """The first field that is missing, wrong or unknown."""
    if not isinstance(item, dict):
        return "không phải là một đối tượng"
    for name, check in checks.items():
        if name not in item:
            if name not in optional:
                return f"thiếu trường {name}"
        elif not check(item[name]):
            return f"trường {name} sai định dạng"
    if len(item) > len(checks) or not item.keys() <= checks.keys():
        return f"trường lạ {min(item.keys() - checks.keys())[:60]}"
    return None


def _list_of(checks: Mapping[str, Check], optional: frozenset[str] = frozenset()) -> Check:
    return lambda value: isinstance(value, list) and all(_fault_of(item, checks, optional) is None for item in value)


SUPPLEMENT: Mapping[str, Check] = {
    "HoSoBoSungId": _integer,
    "NguoiYeuCauBoSung": _text,
    "NoiDungBoSung": _filled,
    "NgayBoSung": is_moment,
    "NguoiTiepNhanBoSung": _text,
    "ThongTinTiepNhan": _text,
    "NgayTiepNhanBoSung": _moment_or_empty,
    "TrangThaiBoSung": _boolean,
    "DanhSachGiayToBoSung": _list_of(DOCUMENT, DOCUMENT_OPTIONAL),
    "DanhSachLePhiBoSung": _list_of(FEE),
    "NgayHenTraTruoc": _moment_or_empty,
    "NgayHenTraMoi": _moment_or_empty,
}

RECORD: Mapping[str, Check] = {
    "MaHoSo": _matching(_CODE),
    "MaTTHC": _matching(_PROCEDURE),
    "TenTTHC": _filled,
    "MaLinhVuc": _filled,
    "TenLinhVuc": _filled,
    "KenhThucHien": _one_of("1", "2", "3"),
    "SoBienNhan": _text,
    "SoGiayToChuHoSo": _text,
    "ChuHoSo": _filled,
    "LoaiDoiTuong": _one_of("1", "2", "3", "4"),
    "MaDoiTuong": _text_or_null,
    "ThongTinKhac": _text,
    "Email": _text,
    "Fax": _text,
    "SoDienThoai": _text,
    "TrichYeuHoSo": _at_most(1000, filled=True),
    "NgayTiepNhan": _moment_or_empty,
    "NgayHenTra": _moment_or_empty,
    "TrangThaiHoSo": STATUS,
    "NgayTra": _moment_or_empty,
    "ThongTinTra": _text,
    "HinhThuc": _one_of("", "0", "1"),
    "NgayKetThucXuLy": _moment_or_empty,
    "DonViXuLy": _filled,
    "GhiChu": _text,
    "TaiLieuNop": _list_of(DOCUMENT, DOCUMENT_OPTIONAL),
    "DanhSachLePhi": _list_of(FEE),
    "DanhSachTepDinhKemKhac": _list_of(OTHER_ATTACHMENT),
    "DanhSachHoSoBoSung": _list_of(SUPPLEMENT),
    "DanhSachGiayToKetQua": _list_of(RESULT),
    "NoiNopHoSo": _one_of("1", "2"),
    "HoSoCoThanhPhanSoHoa": _one_of("0", "1"),
    "TaiKhoanDuocXacThucVoiVNeID": _one_of("0", "1"),
    "DuocThanhToanTrucTuyen": _one_of("0", "1", "2", "3"),
    "NgayTuChoi": _moment_or_empty,
    "DinhDanhCHS": _list_of(IDENTIFIER),
    "NgayNopHoSo": is_moment,
    "DSKetNoiCSDL": _list_of(DATABASE),
}
RECORD_OPTIONAL = frozenset(
    ("SoBienNhan", "MaDoiTuong", "Fax", "NgayTra", "ThongTinTra", "HinhThuc", "NgayKetThucXuLy", "GhiChu")
)

PROGRESS: Mapping[str, Check] = {
    "MaHoSo": _matching(_CODE),
    "NguoiXuLy": _at_most(50),
    "ChucDanh": _text,
    "ThoiDiemXuLy": is_moment,
    "PhongBanXuLy": _text,
    "NoiDungXuLy": _text,
    "TrangThai": STATUS,
    "NgayBatDau": _moment_or_empty,
    "NgayKetThucTheoQuyDinh": _moment_or_empty,
}


def code_of(item: Any) -> str:
    """The dossier code of a record or row, as far as it has one."""
    code = item.get("MaHoSo") if isinstance(item, dict) else None
    return code[:60] if isinstance(code, str) and code else "(không mã)"


def fault_of_record(record: Any) -> str | None:
    """Why the portal refuses this dossier record; None when it is good (wire §1.4)."""
    fault = _fault_of(record, RECORD, RECORD_OPTIONAL)
    if fault is not None:
        return _nested(record, fault)
    if record["NgayTiepNhan"] == "" and record["TrangThaiHoSo"] in RECEIVED_STATUSES:
        return "thiếu trường NgayTiepNhan"
    for owner in record["DinhDanhCHS"]:
        if not _IDENTIFIERS[owner["LoaiDinhDanh"]].fullmatch(owner["SoDinhDanh"]):
            return "trường DinhDanhCHS.SoDinhDanh sai định dạng"
    return None


def fault_of_progress(row: Any) -> str | None:
    """Why the portal refuses this progress row; None when it is good (wire §1.5)."""
    return _fault_of(row, PROGRESS)


_LISTS: Mapping[str, tuple[Mapping[str, Check], frozenset[str]]] = {
    "TaiLieuNop": (DOCUMENT, DOCUMENT_OPTIONAL),
    "DanhSachLePhi": (FEE, frozenset()),
    "DanhSachTepDinhKemKhac": (OTHER_ATTACHMENT, frozenset()),
    "DanhSachHoSoBoSung": (SUPPLEMENT, frozenset()),
    "DanhSachGiayToKetQua": (RESULT, frozenset()),
    "DinhDanhCHS": (IDENTIFIER, frozenset()),
    "DSKetNoiCSDL": (DATABASE, frozenset()),
}


def _nested(record: Any, fault: str) -> str:
    """Say which field of which list is wrong, instead of only the list."""
    for name, (checks, optional) in _LISTS.items():
        if fault == f"trường {name} sai định dạng" and isinstance(record[name], list):
            for number, item in enumerate(record[name]):
                inner = _fault_of(item, checks, optional)
                if inner is not None:
                    return f"{name}[{number}]: {inner}"
    return fault
