"""The population register over SOAP (wire §3)."""

import json
import unicodedata
from typing import Any

import pytest
from lxml import etree

from tests.support.national_messages import a_look_up, a_verify
from tests.support.national_sandbox import Province

BCA = "{http://dancuquocgia.bca}"
AN = {
    "personal_id": "052190000123",
    "full_name": "Nguyễn Thị Hoài An",
    "date_of_birth": "1990-04-12",
    "gender": "female",
}


async def load(province: Province, *people: dict[str, Any]) -> None:
    lines = "\n".join(json.dumps(person, ensure_ascii=False) for person in people)
    answer = await province.client.post("/_sandbox/population", content=lines.encode())
    assert answer.json() == {"stored": len(people)}


def text_of(body: bytes, name: str) -> list[str | None]:
    return [found.text for found in etree.fromstring(body).iter(name)]


async def exists(province: Province, *asked: str) -> bool:
    answer = await province.register(a_verify(*asked))
    assert answer.status_code == 200
    (found,) = text_of(answer.content, f"{BCA}TonTai")
    return found == "true"


async def test_033_compares_number_and_name(province: Province) -> None:
    await load(province, AN)
    assert await exists(province, "052190000123", "NGUYỄN THỊ HOÀI AN")
    assert await exists(province, "052190000123", unicodedata.normalize("NFD", "nguyễn  thị hoài an"))
    assert not await exists(province, "052190000123", "NGUYỄN THỊ HOAI AN")
    assert not await exists(province, "052190000124", "NGUYỄN THỊ HOÀI AN")


async def test_037_answers_the_record_under_the_number_whatever_the_name(province: Province) -> None:
    await load(province, AN)
    answer = await province.register(a_look_up("052190000123", "NGUYỄN VĂN KHÁC"))
    citizen = etree.fromstring(answer.content)[1][0][0]
    shown = {etree.QName(child).localname: child.text or [part.text for part in child] for child in citizen}
    assert shown["HoVaTen"] == ["NGUYỄN", "THỊ HOÀI", "AN"]
    assert shown["SoDinhDanh"] == "052190000123"
    assert shown["GioiTinh"] == "2"
    assert text_of(answer.content, f"{BCA}NgayThangNam") == ["19900412"]


async def test_037_answers_none_one_or_several_records(province: Province) -> None:
    assert text_of((await province.register(a_look_up())).content, f"{BCA}SoDinhDanh") == []
    await load(province, AN, AN | {"full_name": "Nguyễn Thị Ân"})
    await load(province, AN)
    answer = await province.register(a_look_up())
    assert text_of(answer.content, f"{BCA}SoDinhDanh") == ["052190000123"] * 2


async def test_a_birth_date_may_be_a_year_only_or_written_with_dashes(province: Province) -> None:
    await load(province, AN | {"date_of_birth": "1990"})
    assert text_of((await province.register(a_look_up())).content, f"{BCA}Nam") == ["1990"]
    await load(province, AN)
    await province.order("population", birth_date="dashed")
    assert text_of((await province.register(a_look_up())).content, f"{BCA}NgayThangNam") == ["1990-04-12"]


async def test_a_refused_person_is_not_known_to_033_and_a_fault_of_037(province: Province) -> None:
    await load(province, AN | {"refused": True})
    assert not await exists(province, "052190000123", "NGUYỄN THỊ HOÀI AN")
    answer = await province.register(a_look_up())
    assert answer.status_code == 500
    assert text_of(answer.content, "faultcode") == ["soap:Client.Refused"]


async def test_a_wrong_child_order_is_a_fault(province: Province) -> None:
    body = a_verify().replace(b"<SoCMND></SoCMND>", b"").replace(b"<MaYeuCau>", b"<SoCMND></SoCMND><MaYeuCau>")
    answer = await province.register(body)
    assert answer.status_code == 500
    assert text_of(answer.content, "faultcode") == ["soap:Client"]


@pytest.mark.parametrize(
    "headers", [{"skew_seconds": 301}, {"skew_seconds": -301}, {"secret": "x"}, {"username": "other"}]
)
async def test_a_wrong_signature_or_clock_is_unauthorised(province: Province, headers: dict[str, Any]) -> None:
    answer = await province.register(a_verify(), **headers)
    assert answer.status_code == 401
    assert text_of(answer.content, "faultcode") == ["soap:Client.Authentication"]


@pytest.mark.parametrize("line", ['{"personal_id": "1"}', "[]", "x", '{"full_name": 1}', '{"la": 1}'])
async def test_a_bad_line_is_refused_by_its_number(province: Province, line: str) -> None:
    answer = await province.client.post("/_sandbox/population", content=f"{json.dumps(AN)}\n{line}\n".encode())
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/1"


async def test_refusals_and_errors_on_order(province: Province) -> None:
    await province.order("population", mode="refuse")
    assert text_of((await province.register(a_verify())).content, "faultcode") == ["soap:Client.Refused"]
    await province.order("population", mode="error", status=503, operations=["037"])
    assert (await province.register(a_look_up())).status_code == 503
    assert (await province.register(a_verify())).status_code == 200
