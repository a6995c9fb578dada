"""Rules of the payment platform's messages (wire §2.1, §2.4): which fields, how long, which values."""

import re
from collections.abc import Mapping
from typing import Any

from sandbox.checksum import INIT, QUERY
from sandbox.portal_record import is_moment

CONSTANTS = {
    "PhienBan": "1.0.6",
    "LoaiHinhThanhToan": "PAY",
    "MaKenhThanhToan": "1",
    "MaThietBi": "1",
    "NgonNgu": "vi-VN",
    "MaTienTe": "VND",
}
LONGEST = {"MaThamChieu": 255, "MaXacThuc": 255}
# ThongTinBienLai: all names are sent, unused ones as "" (wire §2.1).
RECEIPT = (
    "MaDichVu",
    "MaDVC",
    "TenDVC",
    "MaTTHC",
    "TenTTHC",
    "MaDonVi",
    "TenDonVi",
    "MaHoSo",
    "TKThuHuong",
    "MaNHThuHuong",
    "TenTKThuHuong",
    "MaLoaiHinhThuPhat",
    "TenLoaiHinhThuPhat",
    "MaCoQuanQD",
    "TenCoQuanQD",
    "KhoBac",
    "NgayQD",
    "SoQD",
    "ThoiGianViPham",
    "DiaDiemViPham",
    "TenNguoiViPham",
    "TaiKhoanThuNSNN",
    "NoiDungThanhToan",
    "HoTenNguoiNop",
    "SoCMNDNguoiNop",
    "DiaChiNguoiNop",
    "HuyenNguoiNop",
    "TinhNguoiNop",
)
RECEIPT_FILLED = ("MaDichVu", "MaDVC", "MaTTHC", "MaDonVi", "MaHoSo", "HoTenNguoiNop", "SoCMNDNguoiNop")
FEE = ("LoaiPhiLePhi", "MaPhiLePhi", "TenPhiLePhi", "SoTien")
ITEM = ("NoiDung", "SoTien")
_AMOUNT = re.compile(r"[1-9]\d{0,14}")


def fault_of_init(message: Mapping[str, Any]) -> str | None:
    """What is wrong with an INIT, None when nothing is. The checksum is judged elsewhere."""
    names = {*INIT, "MaXacThuc", "ThongTinBienLai"}
    fault = _fault_of_fields(message, (*INIT, "MaXacThuc"), names)
    if fault is not None:
        return fault
    if not _AMOUNT.fullmatch(message["SoTien"]):
        return "SoTien sai định dạng"
    if not message["ThongTinGiaoDich"].isascii() or not message["ThongTinGiaoDich"]:
        return "ThongTinGiaoDich phải là chữ không dấu"
    for name, value in CONSTANTS.items():
        if message[name] != value:
            return f"{name} phải là {value}"
    if not message["MaNganHang"] or not message["Ip"]:
        return "Thiếu MaNganHang hoặc Ip"
    return _fault_of_receipt(message["ThongTinBienLai"], int(message["SoTien"]))


def fault_of_query(message: Mapping[str, Any]) -> str | None:
    """What is wrong with a QUERY or GET_BILL, None when nothing is."""
    names = (*QUERY, "MaXacThuc")
    return _fault_of_fields(message, names, set(names))


def _fault_of_fields(message: Mapping[str, Any], texts: tuple[str, ...], names: set[str]) -> str | None:
    for name in sorted(names):
        if name not in message:
            return f"Thiếu {name}"
    strange = message.keys() - names
    if strange:
        return f"Trường lạ {min(strange)[:60]}"
    for name in texts:
        value = message[name]
        if not isinstance(value, str) or len(value) > LONGEST.get(name, 255 if name == "ThongTinGiaoDich" else 50):
            return f"{name} phải là chuỗi và không quá dài"
    if not message["MaThamChieu"]:
        return "Thiếu MaThamChieu"
    return None if is_moment(message["ThoiGianGD"]) else "ThoiGianGD sai định dạng"


def _fault_of_receipt(receipt: Any, amount_vnd: int) -> str | None:
    if not isinstance(receipt, dict):
        return "ThongTinBienLai phải là một đối tượng"
    names = {*RECEIPT, "PhiLePhi", "DSKhoanNop"}
    different = receipt.keys() ^ names
    if different:
        return f"ThongTinBienLai thiếu hoặc thừa {min(different)[:60]}"
    for name in RECEIPT:
        if not isinstance(receipt[name], str) or (name in RECEIPT_FILLED and not receipt[name]):
            return f"ThongTinBienLai.{name} sai"
    if len(receipt["TenTTHC"]) > 250:
        return "ThongTinBienLai.TenTTHC dài quá 250"
    if not _is_list_of_lines(receipt["PhiLePhi"], FEE) or not _is_list_of_lines(receipt["DSKhoanNop"], ITEM):
        return "ThongTinBienLai.PhiLePhi hoặc DSKhoanNop sai"
    lines = receipt["PhiLePhi"] or receipt["DSKhoanNop"]
    is_equal = not lines or sum(int(line["SoTien"]) for line in lines) == amount_vnd
    return None if is_equal else "Tổng ThongTinBienLai khác SoTien"


def _is_list_of_lines(lines: Any, fields: tuple[str, ...]) -> bool:
    return isinstance(lines, list) and all(
        isinstance(line, dict)
        and line.keys() == set(fields)
        and all(isinstance(line[name], str) for name in fields)
        and line["SoTien"].isdecimal()
        and len(line["SoTien"]) <= 15
        for line in lines
    )
