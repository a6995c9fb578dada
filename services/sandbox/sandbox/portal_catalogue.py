"""The portal's catalogues as its read services answer them, in UPPER-CASE keys (wire §1.2, §1.8).

A handful of procedures and agencies, enough to try a catalogue client against; the hub's own catalogue does not come
from here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

_FIELDS = (
    {"MALINHVUC": "G01-LV01", "TENLINHVUC": "Lý lịch tư pháp", "MANGANH": "G01"},
    {"MALINHVUC": "G15-HT01", "TENLINHVUC": "Hộ tịch", "MANGANH": "G15"},
)
_AGENCIES = (
    {"MADONVI": "H08", "TENDONVI": "Ủy ban nhân dân tỉnh Bình Định", "CAPDONVI": "1"},
    {"MADONVI": "H08.15", "TENDONVI": "Sở Tư pháp tỉnh Bình Định", "CAPDONVI": "2"},
)


def _procedure(code: str, name: str, field: Mapping[str, str], days: int, fee_vnd: int) -> dict[str, Any]:
    fee = {"MAPHILEPHI": "1", "SOTIEN": str(fee_vnd), "DONVI": "Đồng", "MOTA": "", "TENTEP": "", "URL": ""}
    time = {"THOIGIANGIAIQUYET": str(days), "DONVITINH": "Ngày làm việc", "MOTA": "", "PHILEPHI": [fee]}
    return {
        "ID": code,
        "MATTHC": code,
        "TENTTHC": name,
        "MACOQUANCONGBO": "G15",
        "LOAITTHC": "1",
        "TRANGTHAI": "1",
        "LINHVUCTHUCHIEN": [{name: field[name] for name in ("MALINHVUC", "TENLINHVUC")}],
        "CACHTHUCTHUCHIEN": [{"KENH": channel, "THOIGIAN": [time]} for channel in ("1", "2", "3")],
        "THANHPHANHOSO": [
            {
                "TRUONGHOP": "",
                "GIAYTO": [
                    {
                        "MAGIAYTO": f"KQ.G15.{code[-6:]}",
                        "TENGIAYTO": "Tờ khai theo mẫu",
                        "SOBANCHINH": "1",
                        "SOBANSAO": "0",
                        "TENMAUDON": "",
                        "URL": "",
                        "MA_KQ_THAYTHE": "",
                    }
                ],
            }
        ],
        "KETQUATHUCHIEN": [{"MAKETQUA": f"KQ.{code}", "TENKETQUA": name, "TENTEP": "", "URL": ""}],
        "COQUANTHUCHIEN": [{name: agency[name] for name in ("MADONVI", "TENDONVI")} for agency in _AGENCIES],
    }


_PROCEDURES = {
    procedure["MATTHC"]: procedure
    for procedure in (
        _procedure("2.000488", "Cấp Phiếu lý lịch tư pháp cho công dân Việt Nam", _FIELDS[0], 10, 200_000),
        _procedure("1.001193", "Đăng ký khai sinh", _FIELDS[1], 1, 0),
    )
}


def _procedure_list(_body: Mapping[str, Any]) -> Sequence[Any]:
    return [{"MATTHC": code, "TENTTHC": found["TENTTHC"]} for code, found in _PROCEDURES.items()]


def _one_procedure(body: Mapping[str, Any]) -> Sequence[Any]:
    found = _PROCEDURES.get(str(body.get("maTTHC")))
    return [] if found is None else [found]


READS: Mapping[str, Callable[[Mapping[str, Any]], Sequence[Any]]] = {
    "LayDanhSachTTHC": _procedure_list,
    "LayThuTuc": _one_procedure,
    "LayDanhMucCoQuan": lambda _body: _AGENCIES,
    "LayDanhMucLinhVuc": lambda _body: _FIELDS,
}
