"""`POST /callbacks/payment-platform`: one effect per genuine payment, none for anything else."""

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payment import charging, platform
from payment.charge import State
from payment.platform import Partner
from payment.store import NewCharge, create_charges
from shared.events import new_id
from tests.service.payment.conftest import AT, CODE, FEES, Till, TillMaker, a_confirm
from tests.support.callbacks import SECRET

REFERENCE = "dvcH08152303010001"


async def a_charge(till: Till, reference: str = REFERENCE) -> str:
    """A charge whose link is known, written as the worker leaves it."""
    new = NewCharge(new_id(), CODE, "H08.15", reference, len(reference), FEES, 50_000, AT)  # type: ignore[arg-type]
    async with till.system.transaction() as tx:
        await create_charges(tx, [new])
        await tx.execute(
            "UPDATE charge SET state = 'pending', next_query_at = 'infinity', request_version = :n WHERE id = :id",
            n=hash(reference) % 1_000_000,
            id=new.id,
        )
    return new.id


def a_genuine(**members: Any) -> bytes:
    return a_confirm(**({"MaThamChieu": REFERENCE} | members))


async def test_a_genuine_confirm_is_answered_as_the_platform_expects(a_till: TillMaker) -> None:
    till = await a_till()
    await a_charge(till)
    body = a_genuine()
    response = await till.callback(body)
    sent = orjson.loads(body)
    assert response.status_code == 200
    assert response.json() == {
        "MaLoi": "00",
        "MoTaLoi": "Thành công",
        "MaDoiTac": "LGSP-HUB",
        "MaThamChieu": REFERENCE,
        "ThoiGianGD": sent["ThoiGianGD"],
        "MaXacThuc": sent["MaXacThuc"],
    }


async def test_a_hundred_copies_at_once_have_one_effect(a_till: TillMaker) -> None:
    till = await a_till()
    await a_charge(till)
    responses = await asyncio.gather(*(till.callback(a_genuine()) for _ in range(100)))
    assert {response.status_code for response in responses} == {200}
    assert len(await till.told("payment.completed")) == len(await till.told()) == 1
    assert len(await till.rows("SELECT id FROM ledger")) == len(await till.rows("SELECT * FROM notice")) == 1
    days_later = await till.callback(a_genuine())
    assert days_later.status_code == 200
    assert len(await till.told()) == 1


FORGERIES = {
    "key": a_genuine(secret="WRONG"),
    "partner": a_genuine(MaDoiTac="OTHER"),
    "amount": orjson.dumps(orjson.loads(a_genuine()) | {"SoTien": 1}),
    "reference": orjson.dumps(orjson.loads(a_genuine()) | {"MaThamChieu": "dvcother"}),
    "outcome": orjson.dumps(orjson.loads(a_genuine(MaLoi="24")) | {"MaLoi": "00"}),
    "old": orjson.dumps(orjson.loads(a_genuine()) | {"ThoiGianGD": "20200101000000"}),
    "future": orjson.dumps(orjson.loads(a_genuine()) | {"ThoiGianGD": "20990101000000"}),
    "cut": a_genuine()[:100],
    "empty": b"",
    "list": b"[]",
    "nul": b'{"MaXacThuc":"\\u0000"}',
    "xml": b"<xml/>",
}


async def test_a_forgery_changes_nothing_and_learns_nothing(a_till: TillMaker) -> None:
    till = await a_till()
    await a_charge(till)
    for name, body in FORGERIES.items():
        response = await till.callback(body)
        assert response.status_code == 400, name
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json() == {
            "type": "urn:lgsp:problem:callback_not_verified",
            "title": "The callback cannot be verified",
            "status": 400,
            "detail": "The callback cannot be verified",
            "code": "callback_not_verified",
        }
    assert (await till.charge())["state"] == "pending"
    assert await till.told() == await till.rows("SELECT * FROM notice") == await till.rows("SELECT * FROM ledger") == []


async def test_a_body_beyond_any_callback_is_refused(a_till: TillMaker) -> None:
    till = await a_till()
    assert (await till.callback(b" " * 20_000)).status_code == 413


async def test_a_genuine_confirm_of_an_unknown_payment_changes_nothing(a_till: TillMaker) -> None:
    till = await a_till()
    response = await till.callback(a_genuine())
    assert (response.status_code, response.json()["code"]) == (404, "reference_unknown")
    assert await till.rows("SELECT * FROM notice") == []


async def test_another_amount_goes_to_review(a_till: TillMaker) -> None:
    till = await a_till()
    await a_charge(till)
    assert (await till.callback(a_genuine(SoTien=40_000))).status_code == 200
    [opened] = await till.told()
    assert opened["type"] == "vn.lgsp.payment.review_opened.v1"
    assert (opened["reason"], opened["amount_vnd"], opened["received_vnd"]) == ("other_amount", 50_000, 40_000)
    assert (await till.charge())["state"] == "review"
    # The right amount comes as a transaction of its own: now it is paid.
    assert (await till.callback(a_genuine(MaGiaoDich="GD2"))).status_code == 200
    paid = await till.charge()
    assert (paid["state"], paid["transaction_number"]) == ("paid", "GD2")
    [booked] = await till.rows("SELECT sum(amount_vnd) AS vnd FROM ledger")
    assert booked["vnd"] == 90_000


async def test_a_second_genuine_payment_is_booked_and_reviewed_not_completed_again(a_till: TillMaker) -> None:
    till = await a_till()
    await a_charge(till)
    await till.callback(a_genuine(MaGiaoDich="GD1"))
    await till.callback(a_genuine(MaGiaoDich="GD2"))
    assert [event["type"].split(".")[3] for event in await till.told()] == ["completed", "review_opened"]
    assert (await till.charge())["state"] == "paid"
    assert [r["kind"] for r in await till.rows("SELECT kind FROM ledger ORDER BY id")] == ["paid", "other_amount"]


async def test_a_success_after_a_failure_counts_and_a_failure_after_a_success_does_not(a_till: TillMaker) -> None:
    till = await a_till()
    await a_charge(till)
    await till.callback(a_genuine(MaLoi="24"))
    assert (await till.charge())["state"] == "failed"
    await till.callback(a_genuine())
    await till.callback(a_genuine(MaLoi="24", MaGiaoDich="GD3"))
    assert (await till.charge())["state"] == "paid"
    assert [event["type"].split(".")[3] for event in await till.told()] == ["failed", "completed"]


# The service runs on while examples are drawn, and its libraries use `random` (aiokafka's pauses).
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
async def test_any_order_of_callbacks_ends_the_same(a_till: TillMaker) -> None:
    till = await a_till()
    partner = Partner("LGSP-HUB", SECRET, "", "", "", "")
    messages = st.permutations(
        [
            {"MaLoi": "24", "MaGiaoDich": "GD1"},
            {"MaLoi": "24", "MaGiaoDich": "GD1"},
            {"MaGiaoDich": "GD2"},
            {"MaGiaoDich": "GD2"},
            {"MaGiaoDich": "GD1", "MaLoi": "24"},
        ]
    )
    loop = asyncio.get_running_loop()

    async def play(order: list[dict[str, Any]]) -> None:
        reference = f"dvc{new_id()}"
        charge_id = await a_charge(till, reference)
        for members in order:
            notice, body = platform.read_confirm(partner, a_confirm(MaThamChieu=reference, **members))
            async with till.system.transaction() as tx:
                await charging.settle(tx, notice, body)
        [row] = await till.rows("SELECT state FROM charge WHERE id = :id", id=charge_id)
        assert row["state"] == State.PAID
        [booked] = await till.rows("SELECT count(*) AS n FROM ledger WHERE charge_id = :id", id=charge_id)
        assert booked["n"] == 1

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(messages)
    def whatever_the_order(order: list[dict[str, Any]]) -> None:
        asyncio.run_coroutine_threadsafe(play(order), loop).result(30)

    await asyncio.to_thread(whatever_the_order)
