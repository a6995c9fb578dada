"""An online payment: request, INIT, CONFIRM, QUERY, and what can go wrong between them."""

import asyncio

import pytest

from payment import consumers
from shared import inbox
from shared.worker import Worker
from tests.service.payment.conftest import AT, CODE, FEES, TillMaker, a_confirm, a_request
from tests.support.neighbours import eventually, feed


async def test_a_request_becomes_a_link_and_a_payment(a_till: TillMaker) -> None:
    till = await a_till(payer="pay")
    await till.request(CODE)
    [completed] = await till.wait_for("payment.completed")
    [link] = await till.told("link_ready")
    charge = await till.charge()
    assert link["payment_url"].startswith("http")
    assert link["payment_id"] == charge["id"]
    assert completed == {
        "type": "vn.lgsp.payment.completed.v1",
        "dossier_code": CODE,
        "agency_code": "H08.15",
        "payment_id": charge["id"],
        "request_version": 3,
        "method": "online",
        "amount_vnd": 50_000,
        "lines": FEES,
        "at": "2023-03-01T01:30:00+00:00",
    }
    assert (charge["state"], charge["at"]) == ("paid", AT)
    [booked] = await till.rows("SELECT kind, amount_vnd, at FROM ledger")
    assert booked == {"kind": "paid", "amount_vnd": 50_000, "at": AT}


async def test_the_same_message_twice_is_one_charge(a_till: TillMaker) -> None:
    till = await a_till()
    till.neighbours.know(CODE)
    event = a_request()
    await feed(till.kafka, "lgsp.dossier", [event, event, a_request()])
    await till.wait_for("link_ready")
    await asyncio.sleep(0.3)
    assert len(await till.rows("SELECT id FROM charge")) == 1
    assert len(await till.told()) == 1


async def test_requests_in_the_wrong_order_are_two_charges(a_till: TillMaker) -> None:
    till = await a_till()
    till.neighbours.know(CODE)
    await feed(till.kafka, "lgsp.dossier", [a_request(version=7), a_request(version=3)])
    await till.wait_for("link_ready", 2)
    versions = await till.rows("SELECT request_version FROM charge ORDER BY 1")
    assert [row["request_version"] for row in versions] == [3, 7]


async def test_a_crash_between_effect_and_commit_loses_nothing(a_till: TillMaker) -> None:
    till = await a_till()
    event = a_request()
    worker = Worker("never started", lambda: asyncio.sleep(0, 0))
    handler = consumers.of_dossiers(worker)

    class Killed(Exception):
        pass

    async def take(*, dies: bool) -> None:
        async with till.system.transaction() as tx:
            for fresh in await inbox.first_time(tx, [event]):
                await inbox.apply(tx, "lgsp.dossier", [fresh], handler)
            if dies:
                raise Killed

    with pytest.raises(Killed):
        await take(dies=True)
    assert await till.rows("SELECT code FROM dossier") == []
    await take(dies=False)
    await take(dies=False)
    assert (await till.charge())["amount_vnd"] == 50_000
    assert worker.wake.is_set()


async def test_fees_without_an_amount_are_parked(a_till: TillMaker) -> None:
    till = await a_till()
    await feed(till.kafka, "lgsp.dossier", [a_request(fees=[])])

    async def parked() -> list[dict[str, object]]:
        return await till.rows("SELECT owner, waiting FROM parked")

    assert await eventually(parked) == [{"owner": "poison", "waiting": False}]


async def test_a_lost_answer_is_asked_again_with_the_same_reference(a_till: TillMaker) -> None:
    till = await a_till(init_longest_retry_seconds=0.2)
    await till.fault("lose_answer", operations=["INIT"], times=2)
    await till.request(CODE)
    [link] = await till.wait_for("link_ready")
    page = (await till.sandbox.get("/_sandbox/payments")).json()
    [payment] = page["items"]
    assert payment["init_count"] == 3
    assert link["payment_url"].endswith(payment["reference"])
    charge = await till.charge()
    assert (charge["state"], charge["is_answer_lost"], charge["attempts"]) == ("pending", True, 3)


async def test_while_the_platform_is_down_charges_wait(a_till: TillMaker) -> None:
    till = await a_till(init_longest_retry_seconds=0.2)
    await till.fault("error", operations=["INIT"])
    await till.request(CODE)

    async def tried() -> bool:
        return int((await till.charge())["attempts"]) >= 2 if await till.rows("SELECT id FROM charge") else False

    await eventually(tried)
    assert await till.told() == []
    await till.fault("normal")
    await till.wait_for("link_ready", seconds=30)


async def test_a_refused_init_fails_the_charge_in_the_end(a_till: TillMaker) -> None:
    till = await a_till(init_longest_retry_seconds=0.1, init_most_refusals=3)
    await till.fault("refuse", operations=["INIT"])
    await till.request(CODE)
    [failed] = await till.wait_for("payment.failed")
    assert failed["reason"] == "init_refused"
    charge = await till.charge()
    assert (charge["state"], charge["attempts"]) == ("failed", 3)


async def test_a_refusal_after_a_lost_answer_proves_nothing(a_till: TillMaker) -> None:
    till = await a_till(init_longest_retry_seconds=0.1, init_most_refusals=2, query_after_seconds=600)
    await till.fault("lose_answer", operations=["INIT"], times=1, repeated_init="error")
    await till.request(CODE)

    async def refused() -> bool:
        rows = await till.rows("SELECT refusals FROM charge")
        return bool(rows) and rows[0]["refusals"] >= 3

    await eventually(refused)
    assert (await till.charge())["state"] == "initiated"
    # The citizen paid on the platform all the same: CONFIRM comes before INIT's answer ever does.
    assert (await till.callback(await till.confirm())).status_code == 200
    await till.wait_for("payment.completed")
    assert (await till.charge())["state"] == "paid"


async def test_confirm_before_the_answer_of_init_is_fine(a_till: TillMaker) -> None:
    till = await a_till(init_longest_retry_seconds=600)
    await till.fault("down", operations=["INIT"])
    await till.request(CODE)

    async def there() -> bool:
        return bool(await till.rows("SELECT id FROM charge"))

    await eventually(there)
    assert (await till.callback(await till.confirm())).status_code == 200
    await till.wait_for("payment.completed")
    await till.fault("normal")
    await asyncio.sleep(0.5)
    assert (await till.charge())["state"] == "paid"
    assert await till.told("link_ready") == []


async def test_a_lost_confirm_is_found_by_query(a_till: TillMaker) -> None:
    till = await a_till(payer="pay", query_after_seconds=0.3, query_every_seconds=0.1)
    await till.fault(payer="pay", lose_callbacks=1.0)
    await till.request(CODE)
    [completed] = await till.wait_for("payment.completed")
    assert completed["at"] == "2023-03-01T01:30:00+00:00"
    [noted] = await till.rows("SELECT via, transaction_number FROM notice")
    assert noted["via"] == "query"
    # The CONFIRM turns up later: a good answer and no second effect.
    late = await till.callback(await till.confirm(MaGiaoDich=noted["transaction_number"]))
    assert late.status_code == 200
    assert len(await till.told("payment.completed")) == 1
    assert len(await till.rows("SELECT id FROM ledger")) == 1


async def test_a_failed_payment_is_found_by_query(a_till: TillMaker) -> None:
    till = await a_till(payer="fail", query_after_seconds=0.3, query_every_seconds=0.1)
    await till.fault(payer="fail", lose_callbacks=1.0)
    await till.request(CODE)
    [failed] = await till.wait_for("payment.failed")
    assert (failed["payment_id"], failed["request_version"]) == ((await till.charge())["id"], 3)


async def test_nobody_pays_and_the_charge_expires_but_late_money_counts(a_till: TillMaker) -> None:
    till = await a_till(query_after_seconds=0.2, query_every_seconds=0.1, expire_after_seconds=1)
    await till.request(CODE)
    await till.wait_for("payment.expired")
    assert (await till.charge())["state"] == "expired"
    assert (await till.callback(a_confirm(MaThamChieu=(await till.charge())["reference"]))).status_code == 200
    await till.wait_for("payment.completed")
    assert (await till.charge())["state"] == "paid"


async def test_two_hundred_charges_are_all_paid_once_though_confirms_come_twice(a_till: TillMaker) -> None:
    till = await a_till(payer="pay")
    await till.fault(payer="pay", duplicate_callbacks=1.0)
    codes = [f"H08.15-230301-{n:04d}" for n in range(1, 201)]
    await till.request(*codes)
    completed = await till.wait_for("payment.completed", 200, seconds=60)
    assert {event["dossier_code"] for event in completed} == set(codes)
    [booked] = await till.rows("SELECT count(*) AS rows, sum(amount_vnd) AS vnd FROM ledger")
    assert (booked["rows"], booked["vnd"]) == (200, 200 * 50_000)
