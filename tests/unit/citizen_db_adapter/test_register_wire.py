"""The register's wire: envelopes, their order, hostile answers; and what seals the evidence."""

import base64
import hashlib

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from citizen_db_adapter import register
from citizen_db_adapter.citizen import Person
from citizen_db_adapter.evidence import Sealer
from citizen_db_adapter.register import NAMESPACE, Credentials, RegisterRefused
from shared.errors import UpstreamInvalid, UpstreamUnavailable
from shared.http import Answer

AN = Person("052190000123", "Nguyễn Thị An", "1990-04-12")
SOAP = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>'


def children(message: str) -> list[tuple[str, str]]:
    """Name and text of the operation's children, in order."""
    [operation] = etree.fromstring(message.encode())[1]
    return [(etree.QName(e).localname, e.text or "") for e in operation.iter() if e is not operation]


def test_033_has_its_children_in_the_order_of_the_document() -> None:
    assert children(register.verify_message("q1", AN)) == [
        ("MaYeuCau", "q1-033"),
        ("MaDichVu", "033"),
        ("MaCanBo", "VDXP_VPCP"),
        ("SoDinhDanh", "052190000123"),
        ("SoCMND", ""),
        ("HoVaTen", "NGUYỄN THỊ AN"),
    ]


@pytest.mark.parametrize(("birth", "part"), [("1990-04-12", ("NgayThangNam", "19900412")), ("1990", ("Nam", "1990"))])
def test_037_has_its_children_in_the_order_of_the_document(birth: str, part: tuple[str, str]) -> None:
    asked = Person("052190000", "Nguyễn Thị An", birth)
    assert children(register.lookup_message("q1", asked, "2.000488", "CB01")) == [
        ("MaYeuCau", "q1-037"),
        ("MaDVC", "2.000488"),
        ("MaTichHop", "037"),
        ("MaCanBo", "CB01"),
        ("SoCMND", "052190000"),
        ("HoVaTen", "NGUYỄN THỊ AN"),
        ("NgayThangNamSinh", ""),
        part,
    ]


@given(st.text(max_size=100))
def test_every_name_makes_a_well_formed_message(name: str) -> None:
    named = Person("052190000123", name, None)
    for message in (register.verify_message("q", named), register.lookup_message("q", named, "p", "o")):
        assert len(etree.fromstring(message.encode())) == 2


def test_the_password_is_a_digest_of_path_user_time_and_secret() -> None:
    headers = Credentials("user", "secret", "/population", "client", "key").headers(1_700_000_000_000)
    expected = hashlib.sha256(b"/populationuser1700000000000secret").hexdigest()
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == f"user:{expected}"
    assert headers["Timestamp"] == "1700000000000"


def fault(code: str) -> bytes:
    return SOAP.format(f"<s:Fault><faultcode>{code}</faultcode><faultstring>x</faultstring></s:Fault>").encode()


BOMB = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><a>&b;</a>'


@pytest.mark.parametrize(
    ("status", "content", "error"),
    [
        (500, fault("s:Client"), RegisterRefused),
        (500, fault("s:Client.Refused"), RegisterRefused),
        (401, fault("s:Client.Authentication"), UpstreamUnavailable),
        (500, fault("s:Server"), UpstreamUnavailable),
        (500, b"", UpstreamUnavailable),
        (403, b"<html>", UpstreamUnavailable),
        (200, b"<html><body>maintenance</body></html>", UpstreamInvalid),
        (200, b"not xml", UpstreamInvalid),
        (200, BOMB, UpstreamInvalid),
        (200, b"", UpstreamInvalid),
    ],
)
def test_what_is_no_answer_is_told_apart(status: int, content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        register.read_answer(Answer(status, {}, content))


def test_an_external_entity_is_not_read() -> None:
    hostile = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>'
    with pytest.raises(UpstreamInvalid):
        register.read_answer(Answer(200, {}, hostile))


def test_a_person_is_read_with_joined_name_and_date() -> None:
    xml = (
        f'<CongDan xmlns="{NAMESPACE}"><SoDinhDanh>1</SoDinhDanh>'
        "<HoVaTen><Ho>Nguyễn</Ho><ChuDem>Thị</ChuDem><Ten>An</Ten></HoVaTen>"
        "<NgayThangNamSinh><Nam>1990</Nam><NgayThangNam>19900412</NgayThangNam></NgayThangNamSinh></CongDan>"
    )
    record = register.record_of(etree.fromstring(xml))
    assert (record.full_name, record.date_of_birth) == ("Nguyễn Thị An", "1990-04-12")
    assert set(record.fields) == {"full_name", "date_of_birth"}


def test_sealed_text_opens_with_its_key_and_its_place_only() -> None:
    old, new = bytes(32), bytes([1]) * 32
    sealed = Sealer([old]).seal("Nguyễn".encode(), "v1")
    rotated = Sealer([new, old])
    key_id = Sealer([old]).key_id
    assert rotated.open(sealed, key_id, "v1").decode() == "Nguyễn"
    assert rotated.key_id != key_id
    with pytest.raises(InvalidTag):
        rotated.open(sealed, key_id, "v2")
    with pytest.raises(KeyError):
        Sealer([new]).open(sealed, key_id, "v1")
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer([b"short"])
