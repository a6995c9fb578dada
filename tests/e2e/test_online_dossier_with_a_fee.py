"""A citizen applies online, pays online, and gets the result; the nation sees every step once."""

import time

import pytest

from tests.e2e.journey import (
    FEE,
    a_citizen,
    at_the_portal,
    documents,
    done,
    dossier,
    filed,
    identified,
    registered,
    synced,
)
from tests.support.stack import Stack, eventually

pytestmark = pytest.mark.timeout(300)


def test_from_filing_to_the_result(stack: Stack) -> None:
    code = filed(stack, registered(stack, a_citizen()))
    assert identified(stack, code) == "match"
    assert done(stack, code, "receive")["due_at"]
    time.sleep(1.1)  # rows equal in second and status count as one on the wire; here each shall be seen
    assert done(stack, code, "request_payment", fees=[FEE])["payment"]["due_vnd"] == 200_000
    # The sandbox's payer pays after 50 ms: the dossier settles back to where it came from by itself.
    eventually(lambda: dossier(stack, code)["status"] == "received", why="paid and settled")
    assert dossier(stack, code)["payment"] | {"payment_url": None} == {
        "state": "paid",
        "due_vnd": 0,
        "paid_vnd": 200_000,
        "payment_url": None,
    }
    done(stack, code, "start")
    assert done(stack, code, "finish", result=documents())["electronic_result"]
    assert done(stack, code, "return_result")["status_code"] == 10

    view = synced(stack, code)
    held = at_the_portal(stack, code)
    assert (held["inserted"], held["record"]["TrangThaiHoSo"]) == (1, "10")
    rows = [row["row"]["TrangThai"] for row in held["progress"]]
    assert rows == ["1", "2", "6", "2", "4", "9", "10"], "one row for each change of status"
    assert {row["written"] for row in held["progress"]} == {1}
    assert view["acknowledged_progress"] == len(rows)

    (payment,) = stack.read(f"/v1/payments?dossier_code={code}")["items"]
    (paid,) = [item for item in stack.control("/_sandbox/payments?limit=500")["items"] if item["dossier_code"] == code]
    assert (payment["state"], payment["amount_vnd"]) == ("paid", paid["amount_vnd"])
    assert payment["reference"] == paid["reference"]

    history = stack.read(f"/v1/dossiers/{code}/history", by="portal")["items"]
    made = {step["exchange_id"] for step in history if step["client_id"] in {"portal", "desk"}}
    logged = {item["id"] for item in stack.read(f"/v1/exchanges?dossier_code={code}&limit=500")["items"]}
    assert made <= logged, "every step by a client has its exchange in the log"
