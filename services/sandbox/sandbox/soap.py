"""SOAP 1.1 as the population register speaks it (wire §3.1): envelopes, operations with strict child order, faults."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
REGISTER = "http://dancuquocgia.bca"
MAX_BYTES = 64 * 1024

FaultCode = Literal["Client", "Client.Authentication", "Client.Refused", "Server"]

# Children in the order that the schema demands.
VERIFY = ("MaYeuCau", "MaDichVu", "MaCanBo", "SoDinhDanh", "SoCMND", "HoVaTen")
LOOK_UP_HEAD = ("MaYeuCau", "MaDVC", "MaTichHop", "MaCanBo")
LOOK_UP_OFFICE = ("MaDonVi", "TaiKhoan", "SoDienThoai")
LONGEST = {
    "MaYeuCau": 40,
    "MaDVC": 20,
    "MaDichVu": 20,
    "MaTichHop": 20,
    "MaDonVi": 35,
    "MaCanBo": 20,
    "SoDinhDanh": 12,
    "SoCMND": 9,
    "HoVaTen": 100,
}


class SoapFault(Exception):
    """A request that the register answers with a fault."""

    def __init__(self, code: FaultCode, message: str) -> None:
        super().__init__(message)
        self.code: FaultCode = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Verify:
    """033: is there a citizen with this number and name."""

    personal_id: str
    old_id: str
    full_name: str


@dataclass(frozen=True, slots=True)
class LookUp:
    """037: the register's record of this citizen; `birth` is Nam or NgayThangNam as it was sent."""

    personal_id: str
    old_id: str
    full_name: str
    birth: str


def read(body: bytes) -> Verify | LookUp:
    """The operation in this envelope. Raises SoapFault for anything that the schema does not allow."""
    operation = _operation_of(body)
    name = etree.QName(operation).localname
    if name == "XacThucThongTinCongDanRequest":
        return _verify(_children(operation))
    if name == "TraCuuThongTinCongDan":
        return _look_up(_children(operation))
    raise SoapFault("Client", f"Không có thao tác {name[:60]}")


def _operation_of(body: bytes) -> etree._Element:
    if len(body) > MAX_BYTES:
        raise SoapFault("Client", "Yêu cầu quá lớn")
    if b"<!DOCTYPE" in body:
        raise SoapFault("Client", "Không chấp nhận DTD")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, remove_comments=True)
    try:
        envelope = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        raise SoapFault("Client", "Yêu cầu không phải là XML") from None
    if envelope.tag != f"{{{SOAP}}}Envelope":
        raise SoapFault("Client", "Thiếu soap:Envelope")
    parts = list(envelope)
    if parts and parts[0].tag == f"{{{SOAP}}}Header":
        if len(parts[0]):
            raise SoapFault("Client", "soap:Header phải để trống")
        parts = parts[1:]
    if len(parts) != 1 or parts[0].tag != f"{{{SOAP}}}Body" or len(parts[0]) != 1:
        raise SoapFault("Client", "Cần đúng một soap:Body với một thao tác")
    operation: etree._Element = parts[0][0]
    if etree.QName(operation).namespace != REGISTER:
        raise SoapFault("Client", "Sai không gian tên của thao tác")
    return operation


def _children(element: etree._Element) -> list[tuple[str, etree._Element]]:
    children = []
    for child in element:
        name = etree.QName(child)
        if name.namespace != REGISTER:
            raise SoapFault("Client", f"Phần tử {name.localname[:60]} phải thuộc {REGISTER}")
        children.append((name.localname, child))
    return children


def _texts(children: Sequence[tuple[str, etree._Element]], expected: Sequence[str]) -> list[str]:
    """The texts of exactly these children in this order."""
    names = [name for name, _ in children]
    if names != list(expected):
        raise SoapFault("Client", f"Thứ tự phần tử phải là {', '.join(expected)}")
    texts = []
    for name, element in children:
        text = (element.text or "").strip()
        if len(element) or len(text) > LONGEST.get(name, 100):
            raise SoapFault("Client", f"Phần tử {name} sai kiểu hoặc quá dài")
        texts.append(text)
    return texts


def _verify(children: Sequence[tuple[str, etree._Element]]) -> Verify:
    request_id, service, officer, personal_id, old_id, full_name = _texts(children, VERIFY)
    if service != "033":
        raise SoapFault("Client", "MaDichVu phải là 033")
    _require(request_id, officer, full_name)
    _check_numbers(personal_id, old_id)
    return Verify(personal_id, old_id, full_name)


def _look_up(children: Sequence[tuple[str, etree._Element]]) -> LookUp:
    names = [name for name, _ in children]
    has_office = names[4:5] == ["MaDonVi"]
    head = [*LOOK_UP_HEAD, *(LOOK_UP_OFFICE if has_office else ())]
    number = "SoCMND" if names[len(head) : len(head) + 1] == ["SoCMND"] else "SoDinhDanh"
    expected = [*head, number, "HoVaTen", "NgayThangNamSinh"]
    if names != expected:
        raise SoapFault("Client", f"Thứ tự phần tử phải là {', '.join(expected)}")
    texts = dict(zip(expected[:-1], _texts(children[:-1], expected[:-1]), strict=True))
    if texts["MaTichHop"] != "037":
        raise SoapFault("Client", "MaTichHop phải là 037")
    _require(texts["MaYeuCau"], texts["MaDVC"], texts["MaCanBo"], texts["HoVaTen"])
    if texts["HoVaTen"] != texts["HoVaTen"].upper():
        raise SoapFault("Client", "HoVaTen phải viết hoa")
    personal_id, old_id = texts.get("SoDinhDanh", ""), texts.get("SoCMND", "")
    _check_numbers(personal_id, old_id)
    return LookUp(personal_id, old_id, texts["HoVaTen"], _birth(_children(children[-1][1])))


def _birth(children: Sequence[tuple[str, etree._Element]]) -> str:
    names = [name for name, _ in children]
    if names not in (["Nam"], ["NgayThangNam"]):
        raise SoapFault("Client", "NgayThangNamSinh cần Nam hoặc NgayThangNam")
    (text,) = _texts(children, names)
    digits = text.replace("-", "")
    if not (digits.isdecimal() and len(digits) == (4 if names == ["Nam"] else 8)):
        raise SoapFault("Client", f"{names[0]} sai định dạng")
    return digits


def _require(*texts: str) -> None:
    if not all(texts):
        raise SoapFault("Client", "Thiếu giá trị bắt buộc")


def _check_numbers(personal_id: str, old_id: str) -> None:
    for number, length in ((personal_id, 12), (old_id, 9)):
        if number and not (number.isdecimal() and number.isascii() and len(number) == length):
            raise SoapFault("Client", "Số định danh hoặc số CMND sai định dạng")
    if not personal_id and not old_id:
        raise SoapFault("Client", "Cần SoDinhDanh hoặc SoCMND")


def envelope(content: str) -> bytes:
    """An answer around this content, whose elements are in the register's default namespace."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="{SOAP}"><soap:Header/>'
        f"<soap:Body>{content}</soap:Body></soap:Envelope>"
    ).encode()


def fault(code: FaultCode, message: str) -> bytes:
    return envelope(
        f"<soap:Fault><faultcode>soap:{code}</faultcode><faultstring>{escape(message)}</faultstring></soap:Fault>"
    )


def verified(*, exists: bool) -> bytes:
    """033's answer."""
    answer = "true" if exists else "false"
    return envelope(f'<KetQuaXacThucResponse xmlns="{REGISTER}"><TonTai>{answer}</TonTai></KetQuaXacThucResponse>')


def element(name: str, content: str | Iterable[str]) -> str:
    """Text is escaped; several strings are finished elements."""
    inner = escape(content) if isinstance(content, str) else "".join(content)
    return f"<{name}>{inner}</{name}>"
