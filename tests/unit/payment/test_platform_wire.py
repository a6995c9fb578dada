"""The payment platform's wire: the document's vectors, INIT's fields, what makes a CONFIRM genuine."""

import hmac
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment import platform
from payment.charge import CallbackNotVerified, Line, Notice
from payment.platform import Asked, Partner, Payer
from tests.support.callbacks import CONFIRM, signed

PARTNER = Partner("DEMO-PARTNER", "TEST-SECRET", "10.0.0.1", "", "", "")
ASKED = Asked(
    reference="dvcH5614231225000120231225083000",
    dossier_code="H56.14-231225-0001",
    amount_vnd=50_000,
    at=datetime(2023, 12, 25, 1, 30, tzinfo=UTC),
    lines=[
        Line(code="P1", name="Phí thẩm định", kind="charge", amount_vnd=30_000),
        Line(code="L1", name="Lệ phí cấp", kind="fee", amount_vnd=20_000),
    ],
)
PAYER = Payer("2.000488", "T" * 300, "H56.14", "Sở Tư pháp", "Nguyễn Thị An", "", "Quy Nhơn")


def test_init_carries_the_documents_checksum() -> None:
    message = platform.init_message(PARTNER, ASKED, PAYER)
    assert message["ThoiGianGD"] == "20231225083000"  # local time, 24 hours
    assert message["ThongTinGiaoDich"] == "THANH TOAN HO SO H56.14-231225-0001"
    assert message["MaXacThuc"] == "c3dac546edb8faed62a950b01805a2c56c91c3af9984cde83a866c59596fd011"


def test_query_carries_the_documents_checksum() -> None:
    message = platform.query_message(PARTNER, ASKED.reference, ASKED.at)
    assert message["MaXacThuc"] == "4f4180051bbccda9ea08ad24d12323a8918c2adcd90b2687aae8e21be6a35ee3"


def test_the_receipt_names_every_field_and_adds_up() -> None:
    receipt = platform.init_message(PARTNER, ASKED, PAYER)["ThongTinBienLai"]
    assert len(receipt) == 30
    assert receipt["TenTTHC"] == "T" * 250
    assert receipt["SoCMNDNguoiNop"] == "000000000"
    assert [line["LoaiPhiLePhi"] for line in receipt["PhiLePhi"]] == ["Phi", "LePhi"]
    assert sum(int(line["SoTien"]) for line in receipt["PhiLePhi"]) == 50_000
    texts = [value for value in receipt.values() if not isinstance(value, list)]
    assert all(isinstance(text, str) for text in texts)


def read(body: bytes, partner: Partner = PARTNER) -> Notice:
    return platform.read_confirm(partner, body)[0]


def test_a_genuine_confirm_is_read() -> None:
    notice = read(signed())
    assert (notice.reference, notice.status, notice.amount_vnd) == (CONFIRM["MaThamChieu"], "paid", 50_000)
    assert notice.at == ASKED.at
    assert read(signed(MaLoi="24")).status == "failed"
    assert read(signed(SoTien="50000")).amount_vnd == 50_000
    assert read(signed(ThoiGianGD="yesterday")).at is None


@pytest.mark.parametrize(
    "changes",
    [
        {"SoTien": 40_000},
        {"SoTien": "50000 "},
        {"MaThamChieu": "dvcother"},
        {"MaLoi": "24"},
        {"MaGiaoDich": "GD2"},
        {"MaNganHang": "NHTM02"},
        {"MaTienTe": "USD"},
        {"MaDoiTac": "OTHER"},
        {"ThoiGianGD": "20231225083001"},
        {"ThongTinGiaoDich": "x"},
        {"LoaiBanTin": "QUERY"},
        {"MaXacThuc": "0" * 64},
        {"MaXacThuc": ""},
        {"MaXacThuc": None},
        {"MaXacThuc": 1},
        {"SoTien": 50_000.0},
        {"SoTien": True},
        {"SoTien": None},
        {"MaLoi": ["00"]},
    ],
)
def test_whatever_was_changed_after_signing_is_refused(changes: dict[str, Any]) -> None:
    forged = orjson.dumps(orjson.loads(signed()) | changes)
    with pytest.raises(CallbackNotVerified):
        read(forged)


def test_the_checksum_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that ends at the first difference tells a forger, by its time, how far he has come."""
    compared: list[set[bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append({one, other})
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    forged = b"0" * 64
    with pytest.raises(CallbackNotVerified):
        read(orjson.dumps(orjson.loads(signed()) | {"MaXacThuc": forged.decode()}))
    genuine = orjson.loads(signed())["MaXacThuc"].encode()
    assert compared == [{forged, genuine}]


@pytest.mark.parametrize("name", [*CONFIRM, "MaXacThuc"])
def test_a_missing_field_is_refused(name: str) -> None:
    message = orjson.loads(signed())
    del message[name]
    with pytest.raises(CallbackNotVerified):
        read(orjson.dumps(message))


@pytest.mark.parametrize(
    ("body", "partner"),
    [
        (signed(secret="OTHER-SECRET"), PARTNER),
        (signed(MaDoiTac="OTHER"), PARTNER),  # another partner's, rightly signed with our secret
        (signed(LoaiBanTin="REFUND"), PARTNER),
        (signed(SoTien="-50000"), PARTNER),
        (signed(SoTien="5e4"), PARTNER),
        (signed(MaThamChieu="d" * 513), PARTNER),
        (b"", PARTNER),
        (b"[]", PARTNER),
        (b"null", PARTNER),
        (signed()[:-20], PARTNER),
        (b"\xff\xfe", PARTNER),
        (signed().replace(b'"SoTien":50000', b'"SoTien":1,"SoTien":50000'), PARTNER),
    ],
)
def test_forgeries_are_refused(body: bytes, partner: Partner) -> None:
    with pytest.raises(CallbackNotVerified):
        read(body, partner)


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reading(body: bytes) -> None:
    with pytest.raises(CallbackNotVerified):
        read(body)


@given(st.integers(min_value=0, max_value=len(signed()) - 1), st.integers(min_value=0, max_value=255))
def test_no_single_changed_byte_passes_unnoticed(place: int, value: int) -> None:
    body = bytearray(signed())
    body[place] = value
    try:
        notice = read(bytes(body))
    except CallbackNotVerified:
        return
    assert notice == read(signed())
