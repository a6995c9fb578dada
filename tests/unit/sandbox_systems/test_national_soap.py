"""The register's schema: strict child order, types, no surprises in XML (wire §3.1, §3.2)."""

import pytest

from sandbox import soap
from tests.support.national_messages import a_look_up, a_verify
from tests.support.national_messages import soap as a_message

VERIFY = [("MaYeuCau", "1"), ("MaDichVu", "033"), ("MaCanBo", "x"), ("SoDinhDanh", "052190000123"), ("SoCMND", "")]
LOOK_UP = [("MaYeuCau", "1"), ("MaDVC", "2.000488"), ("MaTichHop", "037"), ("MaCanBo", "x")]
NAME = ("HoVaTen", "NGUYỄN THỊ AN")
BIRTH = ("NgayThangNamSinh", "<Nam>1990</Nam>")


def test_033_is_read() -> None:
    assert soap.read(a_verify()) == soap.Verify("052190000123", "", "NGUYỄN THỊ AN")


def test_037_is_read_with_and_without_the_office() -> None:
    assert soap.read(a_look_up()) == soap.LookUp("052190000123", "", "NGUYỄN THỊ AN", "19900412")
    office = [("MaDonVi", "H08.15"), ("TaiKhoan", "a"), ("SoDienThoai", "0905000000")]
    message = a_message("TraCuuThongTinCongDan", [*LOOK_UP, *office, ("SoCMND", "211000001"), NAME, BIRTH])
    assert soap.read(message) == soap.LookUp("", "211000001", "NGUYỄN THỊ AN", "1990")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<a/>",
        a_message("XacThucThongTinCongDanRequest", [*reversed(VERIFY), NAME]),
        a_message("XacThucThongTinCongDanRequest", VERIFY),
        a_message("XacThucThongTinCongDanRequest", [*VERIFY, NAME, ("Them", "1")]),
        a_message("XacThucThongTinCongDanRequest", [*VERIFY, ("HoVaTen", "")]),
        a_message("XacThucThongTinCongDanRequest", [*VERIFY, ("HoVaTen", "A" * 101)]),
        a_message("XoaCongDan", [*VERIFY, NAME]),
        a_verify(personal_id="123"),
        a_verify(personal_id=""),
        a_verify().replace(b">033<", b">037<"),
        a_verify().replace(b"http://dancuquocgia.bca", b"http://gtel.vn/qldc"),
        a_verify().replace(b"<soap:Header/>", b"<soap:Header><a/></soap:Header>"),
        b'<!DOCTYPE a [<!ENTITY x "y">]>' + a_verify(),
        a_look_up(full_name="Nguyễn Thị An"),
        a_look_up().replace(b"19900412", b"12/04/1990"),
        a_message("TraCuuThongTinCongDan", [*LOOK_UP, NAME, ("SoDinhDanh", "052190000123"), BIRTH]),
        a_message("TraCuuThongTinCongDan", [*LOOK_UP, ("SoDinhDanh", "052190000123"), NAME]),
        a_verify() + b" " * 70_000,
    ],
)
def test_anything_else_is_a_fault_of_the_client(body: bytes) -> None:
    with pytest.raises(soap.SoapFault) as caught:
        soap.read(body)
    assert caught.value.code == "Client"


def test_text_is_escaped() -> None:
    assert b"&lt;b&gt; &amp; c" in soap.fault("Client", "<b> & c")
    assert soap.element("Ten", "<An>") == "<Ten>&lt;An&gt;</Ten>"
