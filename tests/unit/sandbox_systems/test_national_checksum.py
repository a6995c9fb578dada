"""The platform's checksum against the vectors of the wire document (§2.2)."""

from sandbox import checksum
from tests.support.national_messages import an_init

INIT_LINE = (
    "INIT|1.0.6|DEMO-PARTNER|dvcH5614231225000120231225083000|50000|PAY|1|1|vi-VN|VND|PAYMENT|"
    "THANH TOAN HO SO H56.14-231225-0001|20231225083000|10.0.0.1"
)
QUERY_LINE = "QUERY|1.0.6|DEMO-PARTNER|dvcH5614231225000120231225083000|20231225083000"


def test_init_has_the_checksum_of_the_wire_document() -> None:
    message = dict(zip(checksum.INIT, INIT_LINE.split("|"), strict=True))
    wanted = "c3dac546edb8faed62a950b01805a2c56c91c3af9984cde83a866c59596fd011"
    assert checksum.checksum(message, checksum.INIT, "TEST-SECRET") == wanted


def test_query_has_the_checksum_of_the_wire_document() -> None:
    message = dict(zip(checksum.QUERY, QUERY_LINE.split("|"), strict=True))
    wanted = "4f4180051bbccda9ea08ad24d12323a8918c2adcd90b2687aae8e21be6a35ee3"
    assert checksum.checksum(message, checksum.QUERY, "TEST-SECRET") == wanted


def test_a_changed_field_breaks_the_checksum_but_the_receipt_is_not_covered() -> None:
    message = an_init()
    assert checksum.is_genuine(message, checksum.INIT, "TEST-SECRET")
    assert checksum.is_genuine(message | {"ThongTinBienLai": {}}, checksum.INIT, "TEST-SECRET")
    assert not checksum.is_genuine(message | {"SoTien": "1"}, checksum.INIT, "TEST-SECRET")
    assert not checksum.is_genuine(message, checksum.INIT, "ANOTHER-SECRET")
    assert not checksum.is_genuine(message | {"MaXacThuc": "ố"}, checksum.INIT, "TEST-SECRET")
