"""MaXacThuc of the payment platform, version 1.0.6 (wire §2.2): plain SHA-256, lower-case hex, secret last."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

INIT = (
    "LoaiBanTin",
    "PhienBan",
    "MaDoiTac",
    "MaThamChieu",
    "SoTien",
    "LoaiHinhThanhToan",
    "MaKenhThanhToan",
    "MaThietBi",
    "NgonNgu",
    "MaTienTe",
    "MaNganHang",
    "ThongTinGiaoDich",
    "ThoiGianGD",
    "Ip",
)
QUERY = ("LoaiBanTin", "PhienBan", "MaDoiTac", "MaThamChieu", "ThoiGianGD")
CONFIRM = (
    "LoaiBanTin",
    "MaLoi",
    "MaDoiTac",
    "MaThamChieu",
    "SoTien",
    "MaTienTe",
    "MaGiaoDich",
    "MaNganHang",
    "ThoiGianGD",
    "ThongTinGiaoDich",
)
# The wire does not know the order for QUERY's reply; this one is the sandbox's own.
QUERY_REPLY = (*CONFIRM, "TrangThaiGD")


def checksum(message: Mapping[str, Any], fields: Sequence[str], secret: str) -> str:
    """The checksum of these fields of the message, in this order."""
    text = "|".join([*(str(message[name]) for name in fields), secret])
    return hashlib.sha256(text.encode()).hexdigest()


def is_genuine(message: Mapping[str, Any], fields: Sequence[str], secret: str) -> bool:
    """Whether the message carries its own checksum."""
    return hmac.compare_digest(checksum(message, fields, secret).encode(), str(message["MaXacThuc"]).encode())
