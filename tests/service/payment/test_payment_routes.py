"""Counter payments, lists, refunds, and who sees what."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx2
import pytest

from tests.service.payment.conftest import AT, CODE, FEES, Till, TillMaker
from tests.support.neighbours import dossier_event, eventually, feed, published


def a_payment(**members: Any) -> dict[str, Any]:
    return {
        "dossier_code": CODE,
        "amount_vnd": 50_000,
        "lines": FEES,
        "collected_by": "Lê Văn Cán",
        "collected_at": "2023-03-01T09:00:00+07:00",
        "receipt_number": "BL-0001",
    } | members


async def collect(till: Till, *agencies: str, key: str | None = None, **members: Any) -> httpx2.Response:
    headers = till.headers(*agencies) | ({"Idempotency-Key": key} if key else {})
    return await till.client.post("/v1/payments/counter", json=a_payment(**members), headers=headers)


async def test_a_counter_payment_is_recorded_told_and_shown(a_till: TillMaker) -> None:
    till = await a_till()
    till.neighbours.know(CODE)
    response = await collect(till)
    assert response.status_code == 201, response.text
    answer = response.json()
    assert (answer["method"], answer["state"], answer["receipt_number"]) == ("counter", "paid", "BL-0001")
    shown = await till.client.get(response.headers["Location"], headers=till.headers())
    assert shown.json() == answer
    [event] = await till.told()
    assert event == {
        "type": "vn.lgsp.payment.completed.v1",
        "dossier_code": CODE,
        "agency_code": "H08.15",
        "payment_id": answer["id"],
        "request_version": None,
        "method": "counter",
        "amount_vnd": 50_000,
        "lines": FEES,
        "at": "2023-03-01T02:00:00+00:00",
    }
    [booked] = await till.rows("SELECT method, amount_vnd FROM ledger")
    assert booked == {"method": "counter", "amount_vnd": 50_000}


async def test_the_successor_collects_for_a_dossier_of_an_agency_that_has_ended(a_till: TillMaker) -> None:
    till = await a_till()
    till.neighbours.know(CODE)
    refused = await collect(till, "H21.05")
    assert refused.status_code == 404, refused.text
    till.neighbours.successions["H08.15"] = "H21.05"

    async def collected() -> Any:
        answer = await collect(till, "H21.05", dossier_code=CODE.replace("H08.15-", "000.00.15.H08-"))
        return answer.json() if answer.status_code == 201 else None

    answer = await eventually(collected, seconds=60)
    assert (answer["dossier_code"], answer["agency_code"]) == (CODE, "H08.15")
    listed = await till.client.get("/v1/payments?agency=H08.15", headers=till.headers("H21.05"))
    assert [item["id"] for item in listed.json()["items"]] == [answer["id"]]
    by_code = await till.client.get("/v1/payments?dossier_code=" + CODE.replace("H08.15-", "000.00.15.H08-"),
                                    headers=till.headers("H08"))  # fmt: skip
    assert [item["id"] for item in by_code.json()["items"]] == [answer["id"]]


async def test_a_known_dossier_is_not_asked_for(a_till: TillMaker) -> None:
    till = await a_till()
    await feed(till.kafka, "lgsp.dossier", [dossier_event("submitted", CODE, AT)])

    async def known() -> bool:
        return bool(await till.rows("SELECT code FROM dossier"))

    await eventually(known)
    assert (await collect(till)).status_code == 201
    assert till.neighbours.reads == []


async def test_the_receipt_number_is_unique_per_agency(a_till: TillMaker) -> None:
    till = await a_till()
    till.neighbours.know(CODE)
    till.neighbours.know("H08.16-230301-0001")
    assert (await collect(till)).status_code == 201
    again = await collect(till)
    assert (again.status_code, again.json()["code"]) == (409, "receipt_number_taken")
    assert (await collect(till, dossier_code="H08.16-230301-0001")).status_code == 201
    assert len(await till.told()) == 2


async def test_a_repeated_key_gets_the_first_answer(a_till: TillMaker) -> None:
    till = await a_till()
    till.neighbours.know(CODE)
    first = await collect(till, key="k1")
    again = await asyncio.gather(*(collect(till, key="k1") for _ in range(5)))
    assert all(response.json() == first.json() for response in again)
    assert {response.headers.get("Idempotency-Replayed") for response in again} == {"true"}
    assert all(response.headers["Location"] == first.headers["Location"] for response in again)
    other = await collect(till, key="k1", amount_vnd=1, lines=[])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(await till.rows("SELECT id FROM ledger")) == 1


async def test_another_agencys_dossier_is_unknown(a_till: TillMaker) -> None:
    till = await a_till()
    till.neighbours.know(CODE)
    assert (await collect(till, "H08.16")).status_code == 404
    mine = (await collect(till)).json()["id"]
    # Known by now, and still not to them.
    unseen = await collect(till, "H08.16", receipt_number="BL-0002")
    nobodys = await collect(till, receipt_number="BL-0002", dossier_code="H08.15-230301-9999")
    assert unseen.json() == nobodys.json()
    assert (unseen.status_code, unseen.json()["code"]) == (404, "not_found")
    headers = till.headers("H08.16")
    assert (await till.client.get(f"/v1/payments/{mine}", headers=headers)).status_code == 404
    assert (await till.client.get("/v1/payments", headers=headers)).json()["items"] == []
    refund = await till.client.post(
        f"/v1/payments/{mine}/refunds", json={"amount_vnd": 1, "reason": "x"}, headers=headers
    )
    assert refund.status_code == 404


MALFORMED: list[dict[str, Any]] = [
    {"amount_vnd": 0},
    {"amount_vnd": 50_000.0},
    {"amount_vnd": "50000"},
    {"amount_vnd": 49_999},
    {"collected_at": "2023-03-01T09:00:00"},
    {"collected_at": 1_677_632_400},
    {"collected_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
    {"receipt_number": ""},
    {"state": "refunded"},
    {"agency_code": "H08.16"},
    {"lines": [{**FEES[0], "paid": True}]},
]


async def test_a_malformed_payment_stores_nothing(a_till: TillMaker) -> None:
    till = await a_till()
    till.neighbours.know(CODE)
    for members in MALFORMED:
        response = await collect(till, **members)
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert await till.rows("SELECT id FROM charge") == []


async def test_a_time_long_past_needs_the_scope_to_import(a_till: TillMaker) -> None:
    till = await a_till()
    till.neighbours.know(CODE)
    headers = till.headers(scopes=["payment:write"])
    response = await till.client.post("/v1/payments/counter", json=a_payment(), headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")
    fresh = a_payment(collected_at=datetime.now(UTC).isoformat())
    assert (await till.client.post("/v1/payments/counter", json=fresh, headers=headers)).status_code == 201
    reading = till.headers(scopes=["payment:read"])
    assert (await till.client.post("/v1/payments/counter", json=fresh, headers=reading)).status_code == 403


async def test_a_time_beyond_the_calendar_is_refused(a_till: TillMaker) -> None:
    till = await a_till()
    for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        response = await collect(till, collected_at=at)
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/collected_at")


async def test_the_list_filters_and_pages(a_till: TillMaker) -> None:
    till = await a_till()
    till.neighbours.know(CODE)
    till.neighbours.know("H08.16-230301-0001")
    for n in range(1, 6):
        day = f"2023-03-0{n}T09:00:00+07:00"
        code = CODE if n < 5 else "H08.16-230301-0001"
        assert (await collect(till, dossier_code=code, receipt_number=f"BL-{n}", collected_at=day)).status_code == 201

    async def numbers(**query: Any) -> list[str]:
        found, cursor = [], None
        while True:
            params = {key.rstrip("_"): value for key, value in query.items()} | ({"cursor": cursor} if cursor else {})
            response = await till.client.get("/v1/payments", params=params, headers=till.headers())
            assert response.status_code == 200, response.text
            found += [item["receipt_number"] for item in response.json()["items"]]
            cursor = response.json()["next_cursor"]
            if cursor is None:
                return found

    assert await numbers() == await numbers(limit=2) == await numbers(limit=5) == [f"BL-{n}" for n in range(1, 6)]
    assert await numbers(dossier_code=CODE) == ["BL-1", "BL-2", "BL-3", "BL-4"]
    assert await numbers(agency="H08.16") == ["BL-5"]
    assert await numbers(agency="H08") == [f"BL-{n}" for n in range(1, 6)]
    assert await numbers(from_="2023-03-02", to="2023-03-03") == ["BL-2", "BL-3"]
    assert await numbers(from_="2023-03-02T09:00:00+07:00", to="2023-03-03T08:59:59+07:00") == ["BL-2"]
    beyond = ("from=0001-01-01T00:00:00%2B14:00", "to=9999-12-31T23:59:59.999999Z", "to=9999-12-31", "agency=%00")
    for query in ("from=yesterday", "cursor=x", "limit=501", *beyond):
        response = await till.client.get(f"/v1/payments?{query}", headers=till.headers())
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


async def test_refunds_are_refused_clearly_for_now(a_till: TillMaker) -> None:
    till = await a_till()
    till.neighbours.know(CODE)
    payment_id = (await collect(till)).json()["id"]
    response = await till.client.post(
        f"/v1/payments/{payment_id}/refunds", json={"amount_vnd": 1_000, "reason": "Nộp thừa"}, headers=till.headers()
    )
    assert (response.status_code, response.json()["code"]) == (409, "refund_not_available")


async def test_row_level_security_shows_a_raw_session_its_agencies_only(a_till: TillMaker) -> None:
    till = await a_till()
    for number, code in enumerate((CODE, "H08.16-230301-0001")):
        till.neighbours.know(code)
        await collect(till, dossier_code=code, receipt_number=f"BL-{number}")
    raw = await asyncpg.connect(till.urls.api)
    try:
        for agencies, seen in (("", 0), ("H08.15", 1), ("H08", 2), ("H0", 0), ("*", 2)):
            await raw.execute("SELECT set_config('hub.agencies', $1, false)", agencies)
            for table in ("charge", "ledger", "dossier"):
                assert await raw.fetchval(f"SELECT count(*) FROM {table}") == seen
        await raw.execute("SELECT set_config('hub.agencies', 'H08.16', false)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await raw.execute("INSERT INTO dossier VALUES ('H08.15-230301-0002', 'H08.15')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await raw.execute("ALTER TABLE charge DISABLE ROW LEVEL SECURITY")
    finally:
        await raw.close()


async def test_the_ledger_only_grows_even_for_its_owner(a_till: TillMaker) -> None:
    till = await a_till()
    till.neighbours.know(CODE)
    await collect(till)
    for url in (till.urls.api, till.urls.system, till.urls.owner):
        raw = await asyncpg.connect(url)
        try:
            for sql in ("UPDATE ledger SET amount_vnd = 0", "DELETE FROM ledger", "TRUNCATE ledger"):
                with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.RaiseError)):
                    await raw.execute(sql)
        finally:
            await raw.close()
    assert (await till.rows("SELECT amount_vnd FROM ledger")) == [{"amount_vnd": 50_000}]


async def test_money_names_the_exchange_it_came_with(a_till: TillMaker) -> None:
    """So that the gateway finds out what it did not record; and the event goes on in the caller's trace."""
    till = await a_till()
    till.neighbours.know(CODE)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = till.headers() | {"Hub-Exchange-Id": "exchange-1", "traceparent": trace}
    assert (await till.client.post("/v1/payments/counter", json=a_payment(), headers=headers)).status_code == 201
    [event] = await published(till.system)
    assert (event["traceparent"], event["sequence"]) == (trace, 1)
    assert await kept_exchanges(till) == [("exchange-1", "test-client", [CODE])]


async def test_a_callback_names_its_exchange_once(a_till: TillMaker) -> None:
    till = await a_till(payer="hold")
    await till.request(CODE)
    await till.wait_for("payment.link_ready")
    body = await till.confirm()
    for exchange in ("exchange-1", "exchange-2"):  # the second is a repeat: it has no effect
        answer = await till.client.post(
            "/callbacks/payment-platform", content=body, headers={"Hub-Exchange-Id": exchange}
        )
        assert answer.status_code == 200
    assert [event["sequence"] for event in await published(till.system)] == [1, 2], "link_ready, completed"
    assert await kept_exchanges(till) == [("exchange-1", "payment-platform", [CODE])]


async def kept_exchanges(till: Till) -> list[tuple[str, str, list[str]]]:
    window = {"after": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    headers = till.neighbours.tokens.internal_headers("gateway")
    answer = await till.client.get("/internal/exchanges", params=window, headers=headers)
    assert answer.status_code == 200, answer.text
    return [(item["exchange_id"], item["client_id"], item["dossier_codes"]) for item in answer.json()["items"]]
