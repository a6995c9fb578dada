"""A citizen comes to the counter, pays in cash, is asked for a paper, and withdraws another application."""

import pytest

from tests.e2e.journey import a_citizen, act, at_the_portal, documents, done, dossier, filed, identified, synced
from tests.support.stack import Stack, eventually

pytestmark = pytest.mark.timeout(300)


def test_cash_supplement_and_result(stack: Stack) -> None:
    stranger = a_citizen()  # the register has never heard of this person
    code = filed(stack, stranger, by="desk", channel="counter", return_method="direct")
    assert identified(stack, code) == "no_information"
    done(stack, code, "receive")
    receipt = {
        "dossier_code": code, "amount_vnd": 50_000, "collected_by": "Trần Văn Bình",
        "collected_at": dossier(stack, code)["received_at"], "receipt_number": f"BL-{code}",
    }  # fmt: skip
    for expected in (201, 409):
        answer = stack.call("POST", "/v1/payments/counter", by="desk", json=receipt)
        assert answer.status_code == expected, answer.text
    eventually(lambda: dossier(stack, code)["payment"]["paid_vnd"] == 50_000, why="the counter payment")
    done(stack, code, "request_supplement", reason="Thiếu bản sao căn cước")
    done(stack, code, "supplement")
    refused = act(stack, code, "finish", result=documents())
    assert (refused.status_code, refused.json()["code"]) == (409, "identity_reason_required")
    done(stack, code, "finish", result=documents(), identity_reason="Đối chiếu bản chính")
    synced(stack, code)
    record = at_the_portal(stack, code)["record"]
    assert (record["TrangThaiHoSo"], record["KenhThucHien"]) == ("9", "1")
    assert len(record["DanhSachHoSoBoSung"]) == 1


def test_withdrawn_is_final(stack: Stack) -> None:
    code = filed(stack, a_citizen(personal_id=None))
    assert dossier(stack, code)["identity"]["outcome"] == "not_required"
    done(stack, code, "withdraw", by="portal", reason="Nộp nhầm")
    refused = act(stack, code, "receive")
    assert (refused.status_code, refused.json()["code"]) == (409, "transition_not_allowed")
    synced(stack, code)
    assert at_the_portal(stack, code)["record"]["TrangThaiHoSo"] == "7"
