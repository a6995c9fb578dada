"""The platform's check of INIT, QUERY and GET_BILL (wire §2.1, §2.4), and its receipt."""

from typing import Any

import pytest

from sandbox.payment_platform_bill import bill
from sandbox.payment_platform_message import fault_of_init, fault_of_query
from sandbox.payment_platform_store import Payment
from tests.support.national_messages import a_query, an_init


def test_good_messages_pass() -> None:
    assert fault_of_init(an_init()) is None
    assert fault_of_query(a_query()) is None
    assert fault_of_query(a_query(kind="GET_BILL")) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PhienBan", "1.0.5"),
        ("MaThamChieu", ""),
        ("MaThamChieu", "x" * 256),
        ("SoTien", "0"),
        ("SoTien", "200.000"),
        ("SoTien", 200_000),
        ("ThongTinGiaoDich", "Thanh toán"),
        ("ThoiGianGD", "20230301253000"),
        ("MaTienTe", "USD"),
        ("Ip", ""),
        ("ThongTinBienLai", None),
        ("Khac", ""),
    ],
)
def test_a_wrong_field_is_named(name: str, value: Any) -> None:
    assert name in (fault_of_init(an_init(**{name: value})) or "")


@pytest.mark.parametrize(
    "changes",
    [
        {"KhoBac": None},
        {"Khac": ""},
        {"MaHoSo": ""},
        {"TenTTHC": "x" * 251},
        {"PhiLePhi": [{"SoTien": "200000"}]},
        {"PhiLePhi": [], "DSKhoanNop": [{"NoiDung": "Phí", "SoTien": "1"}]},
    ],
)
def test_a_wrong_receipt_is_refused(changes: dict[str, Any]) -> None:
    message = an_init()
    message["ThongTinBienLai"] |= changes
    assert "ThongTinBienLai" in (fault_of_init(message) or "")


def test_the_bill_is_a_pdf_whose_table_of_objects_is_right() -> None:
    payment = Payment(
        reference="dvc(1)", amount_vnd=200_000, currency="VND", description="", transaction_time="20230301083000",
        dossier_code="H08.15-230301-0001", agency_code="H08.15", url="", state="paid", bank="NHTM01",
        transaction_id="GD1", init_count=1, initiated_at=0, pays_at=None, decided_at=0, callback_state="none",
        callback_at=None, callback_tries=0, callback_copies=0, callbacks_sent=0, callbacks_answered=0,
    )  # fmt: skip
    document = bill(payment)
    assert document.startswith(b"%PDF-1.4\n")
    assert document.endswith(b"%%EOF\n")
    start = int(document.rsplit(b"startxref\n", 1)[1].split(b"\n", 1)[0])
    assert document[start:].startswith(b"xref\n0 6\n")
    rows = document[start:].split(b"\n")[3:8]
    for number, row in enumerate(rows, start=1):
        assert document[int(row[:10]) :].startswith(b"%d 0 obj" % number)
    assert rb"dvc\(1\)" in document
