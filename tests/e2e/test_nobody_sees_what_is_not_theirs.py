"""Another agency's dossier is 404 on every route; what is malformed or forged changes nothing."""

import json
from typing import Any

import pytest

from tests.e2e.journey import ACTOR, FEE, a_citizen, done, dossier, filed, identified, registered
from tests.support.stack import Stack, eventually

pytestmark = pytest.mark.timeout(300)

REFUSED: dict[str, Any] = {
    "not JSON": b"{",
    "UTF-16": '{"procedure_code": "2.000488"}'.encode("utf-16"),
    "duplicate keys": b'{"procedure_code": "2.000488", "procedure_code": "2.000488"}',
    "NUL": b'{"procedure_code": "2.000488\\u0000"}',
    "nothing": {},
    "an extra member": {"status": 10},
    "a personal ID of 11 digits": {"applicant": a_citizen(personal_id="05219000012")},
    "an unknown channel": {"channel": "pigeon"},
    "a number for a text": {"abstract": 5},
}


def test_another_agencys_dossier_is_not_there(stack: Stack) -> None:
    code = filed(stack, a_citizen(), agency_code="H08.02")
    action = {"action": "receive", "actor": ACTOR}
    receipt = {
        "dossier_code": code, "amount_vnd": 1000, "collected_by": "x", "receipt_number": f"X-{code}",
        "collected_at": dossier(stack, code)["submitted_at"],
    }  # fmt: skip
    verify = {
        "personal_id": "052190000123", "full_name": "Nguyễn Thị An", "date_of_birth": "1990-04-12",
        "purpose": "Giải quyết hồ sơ", "legal_basis": "NĐ 61/2018", "dossier_code": code, "officer": "x",
    }  # fmt: skip
    attempts = [
        stack.call("GET", f"/v1/dossiers/{code}", by="one-agency"),
        stack.call("GET", f"/v1/dossiers/{code}/history", by="one-agency"),
        stack.call("POST", f"/v1/dossiers/{code}/transitions", by="one-agency", json=action),
        stack.call("POST", "/v1/payments/counter", by="one-agency", json=receipt),
        stack.call("POST", "/v1/citizens/verify", by="one-agency", json=verify),
    ]
    assert [answer.status_code for answer in attempts] == [404] * len(attempts)
    shapes = {json.dumps({**answer.json(), "detail": ""}, sort_keys=True) for answer in attempts[:3]}
    assert len(shapes) == 1, "as if it did not exist"
    line = json.dumps({"code": code, **action}).encode()
    batch = stack.call("POST", "/v1/dossiers/transitions/batch", by="one-agency", content=line,
                       headers={"content-type": "application/x-ndjson"})  # fmt: skip
    assert json.loads(batch.content)["status"] == 404
    assert stack.read("/v1/dossiers?agency=H08.02", by="one-agency")["items"] == []
    assert stack.read(f"/v1/payments?dossier_code={code}", by="one-agency")["items"] == []
    assert dossier(stack, code)["status"] == "submitted"


def test_filing_for_another_agency_is_refused(stack: Stack) -> None:
    body = {
        "procedure_code": "2.000488", "agency_code": "H08.02", "channel": "online", "applicant": a_citizen(),
        "abstract": "x", "attachments": [], "return_method": "direct",
    }  # fmt: skip
    answer = stack.call("POST", "/v1/dossiers", by="one-agency", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "agency_not_permitted")


@pytest.mark.parametrize("name", REFUSED)
def test_a_malformed_body_stores_nothing(stack: Stack, name: str) -> None:
    fault = REFUSED[name]
    reference = f"e2e-{name}"
    good = {
        "procedure_code": "2.000488", "agency_code": "H08.15", "channel": "online", "applicant": a_citizen(),
        "abstract": "x", "attachments": [], "return_method": "direct", "external_reference": reference,
    }  # fmt: skip
    content = fault if isinstance(fault, bytes) else json.dumps(good | fault if fault else {}).encode()
    answer = stack.call("POST", "/v1/dossiers", by="portal", content=content,
                        headers={"content-type": "application/json"})  # fmt: skip
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code"} <= set(answer.json())
    assert stack.read(f"/v1/dossiers?external_reference={reference}", by="portal")["items"] == []


def test_a_wrong_checksum_changes_nothing(stack: Stack) -> None:
    stack.control("/_sandbox/faults", b'{"system": "payment", "payer": "hold"}')
    try:
        code = filed(stack, registered(stack, a_citizen()))
        identified(stack, code)
        done(stack, code, "request_payment", fees=[FEE])
        url = eventually(lambda: dossier(stack, code)["payment"]["payment_url"], why="the link")
        reference = url.rpartition("/")[2]
        confirm = {
            "LoaiBanTin": "CONFIRM", "MaLoi": "00", "MaDoiTac": "LGSP-HUB", "MaThamChieu": reference,
            "SoTien": 200_000, "MaTienTe": "VND", "MaGiaoDich": "GD1", "MaNganHang": "X",
            "ThoiGianGD": "20260105090000", "ThongTinGiaoDich": "x", "MaXacThuc": "0" * 64,
        }  # fmt: skip
        answer = stack.call("POST", "/callbacks/payment-platform", json=confirm)
        assert answer.status_code == 400
        (payment,) = stack.read(f"/v1/payments?dossier_code={code}")["items"]
        assert payment["state"] == "pending"
        assert dossier(stack, code)["status"] == "payment_requested"
        stack.control(f"/_sandbox/payments/{reference}", b'{"do": "pay"}')
        eventually(lambda: dossier(stack, code)["payment"]["state"] == "paid", why="the genuine one")
    finally:
        stack.control("/_sandbox/faults", b'{"system": "payment", "payer": "pay"}')
