"""CONFIRM messages as the payment platform signs them."""

import hashlib
from typing import Any

import orjson

SECRET = "TEST-SECRET"
CONFIRM: dict[str, Any] = {
    "LoaiBanTin": "CONFIRM",
    "MaLoi": "00",
    "MaDoiTac": "DEMO-PARTNER",
    "MaThamChieu": "dvcH5614231225000120231225083000",
    "SoTien": 50_000,
    "MaTienTe": "VND",
    "MaGiaoDich": "GD1",
    "MaNganHang": "NHTM01",
    "ThoiGianGD": "20231225083000",
    "ThongTinGiaoDich": "THANH TOAN HO SO H56.14-231225-0001",
}


def signed(*, secret: str = SECRET, **members: Any) -> bytes:
    """A CONFIRM with these members, rightly signed with the secret (wire document 2.2)."""
    message = CONFIRM | members
    text = "|".join([*(str(message[name]) for name in CONFIRM), secret])
    return orjson.dumps(message | {"MaXacThuc": hashlib.sha256(text.encode()).hexdigest()})
