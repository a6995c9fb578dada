"""The payment platform: INIT, QUERY, GET_BILL, the payer and the callbacks (wire §2)."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request, Response

from sandbox import checksum
from sandbox.main import create_app
from sandbox.settings import Settings
from tests.support.national_messages import CODE, SECRET, a_query, an_init
from tests.support.national_sandbox import Province

Served = Callable[..., Awaitable[str]]


class Hub:
    """The hub's callback route: keeps what comes, answers what it is told."""

    def __init__(self) -> None:
        self.confirms: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.app = FastAPI()
        self.app.add_api_route("/callback", self._confirm, methods=["POST"])

    async def _confirm(self, request: Request) -> Response:
        message = await request.json()
        self.confirms.append(message)
        status = self.answers.pop(0) if self.answers else 200
        return Response(json.dumps({"MaLoi": message["MaLoi"]}), status, media_type="application/json")

    async def hears(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(5):
            while len(self.confirms) < count:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert len(self.confirms) == count
        return self.confirms


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest_asyncio.fixture
async def payer(hub: Hub, served: Served, tmp_path: Path) -> AsyncIterator[Province]:
    callback_url = await served(hub.app) + "/callback"
    app = create_app(Settings(sandbox_file=tmp_path / "sandbox.sqlite3", callback_url=callback_url))
    async with httpx2.AsyncClient(base_url=await served(app)) as client:
        province = Province(client)
        await province.order("payment", duplicate_callbacks=0)
        yield province


def link_of(answer: dict[str, Any]) -> str:
    assert answer["error_code"] == "0"
    url: str = json.loads(answer["message"])["UrlThanhToan"]
    return url


async def test_the_payer_pays_by_himself_and_the_platform_confirms(payer: Province, hub: Hub) -> None:
    message = an_init()
    url = link_of(await payer.pay("init", message))
    assert url.endswith(f"/payment-platform/pay/{message['MaThamChieu']}")
    (confirm,) = await hub.hears(1)
    assert checksum.is_genuine(confirm, checksum.CONFIRM, SECRET)
    assert {name: confirm[name] for name in ("LoaiBanTin", "MaLoi", "MaThamChieu", "SoTien", "ThoiGianGD")} == {
        "LoaiBanTin": "CONFIRM",
        "MaLoi": "00",
        "MaThamChieu": message["MaThamChieu"],
        "SoTien": 200_000,
        "ThoiGianGD": message["ThoiGianGD"],
    }
    assert confirm["ThongTinGiaoDich"] == message["ThongTinGiaoDich"]
    (shown,) = await payer.items("payments")
    assert (shown["state"], shown["dossier_code"], shown["agency_code"]) == ("paid", CODE, "H08.15")
    assert (shown["transaction_at"], shown["callback_state"]) == ("2023-03-01T08:30:00+07:00", "delivered")
    assert shown["transaction_id"] == confirm["MaGiaoDich"]


async def test_query_follows_the_payment_and_the_bill_comes_with_it(payer: Province) -> None:
    await payer.order("payment", payer="hold")
    message = an_init()
    await payer.pay("init", message)
    assert (await payer.pay("query", a_query()))["TrangThaiGD"] == "3"
    assert (await payer.pay("bill", a_query(kind="GET_BILL")))["MaLoi"] == "01"
    place = f"/_sandbox/payments/{message['MaThamChieu']}"
    assert (await payer.client.post(place, json={"do": "fail"})).json()["state"] == "failed"
    assert (await payer.pay("query", a_query()))["TrangThaiGD"] == "4"
    assert (await payer.client.post(place, json={"do": "pay"})).json()["state"] == "paid"
    found = await payer.pay("query", a_query())
    assert (found["MaLoi"], found["TrangThaiGD"], found["SoTien"]) == ("00", "1", "200000")
    assert found["ThoiGianGD"] == message["ThoiGianGD"]
    assert (await payer.client.post(place, json={"do": "fail"})).status_code == 409
    bill = await payer.client.post("/payment-platform/bill", json=a_query(kind="GET_BILL"))
    assert bill.headers["content-type"] == "application/pdf"
    assert bill.content.startswith(b"%PDF-")
    assert (await payer.pay("query", a_query("unknown")))["MaLoi"] == "01"
    assert (await payer.client.post("/_sandbox/payments/unknown", json={"do": "pay"})).status_code == 404


async def test_a_wrong_checksum_or_partner_begins_nothing(payer: Province) -> None:
    assert (await payer.pay("init", an_init() | {"SoTien": "1"}))["error_code"] == "02"
    assert (await payer.pay("init", an_init() | {"Ip": "127.0.0.2"}))["error_code"] == "97"
    assert (await payer.pay("init", an_init(MaDoiTac="OTHER")))["error_code"] == "04"
    assert (await payer.pay("init", []))["error_code"] == "02"
    assert (await payer.pay("query", a_query() | {"MaXacThuc": "0"}))["MaLoi"] == "97"
    assert await payer.items("payments") == []


async def test_a_repeated_init_gets_the_same_link_and_by_switch_an_error(payer: Province) -> None:
    first = link_of(await payer.pay("init", an_init()))
    assert link_of(await payer.pay("init", an_init())) == first
    assert (await payer.pay("init", an_init(amount_vnd=100_000)))["error_code"] == "03"
    await payer.order("payment", repeated_init="error")
    assert (await payer.pay("init", an_init()))["error_code"] == "03"
    (shown,) = await payer.items("payments")
    assert (shown["init_count"], shown["amount_vnd"]) == (2, 200_000)


async def test_a_callback_is_tried_again_until_it_is_answered(payer: Province, hub: Hub) -> None:
    hub.answers = [500, 400, 200]
    await payer.pay("init", an_init())
    await hub.hears(3)
    (shown,) = await payer.items("payments")
    assert (shown["callbacks_sent"], shown["callbacks_answered"]) == (3, 1)


async def test_dirty_callbacks_come_on_order(payer: Province, hub: Hub) -> None:
    await payer.order("payment", duplicate_callbacks=1, forge_callbacks=0)
    await payer.pay("init", an_init())
    first, second = await hub.hears(2)
    assert first == second
    hub.confirms.clear()
    await payer.order("payment", duplicate_callbacks=0, forge_callbacks=1, wrong_amounts=1)
    await payer.pay("init", an_init("another"))
    forged, genuine = await hub.hears(2)
    assert not checksum.is_genuine(forged, checksum.CONFIRM, SECRET)
    assert checksum.is_genuine(genuine, checksum.CONFIRM, SECRET)
    assert genuine["SoTien"] == 201_000
    hub.confirms.clear()
    await payer.order("payment", forge_callbacks=0, lose_callbacks=1)
    await payer.pay("init", an_init("a-third"))
    await asyncio.sleep(0.2)
    assert await hub.hears(0) == []
    assert (await payer.pay("query", a_query("a-third")))["TrangThaiGD"] == "1"


async def test_a_failing_payer_is_confirmed_as_failed(payer: Province, hub: Hub) -> None:
    await payer.order("payment", payer="fail", amount_type="string")
    await payer.pay("init", an_init())
    (confirm,) = await hub.hears(1)
    assert (confirm["MaLoi"], confirm["SoTien"]) == ("24", "200000")
    assert checksum.is_genuine(confirm, checksum.CONFIRM, SECRET)


async def test_the_callback_may_come_before_inits_answer(payer: Province, hub: Hub) -> None:
    await payer.order("payment", init_answer_seconds=0.5)
    asking = asyncio.create_task(payer.pay("init", an_init()))
    await hub.hears(1)
    assert not asking.done()
    link_of(await asking)


async def test_a_platform_that_is_down_neither_lets_pay_nor_confirms(payer: Province, hub: Hub) -> None:
    await payer.order("payment", pay_after_ms=150)
    await payer.pay("init", an_init())
    await payer.order("payment", mode="down")
    await asyncio.sleep(0.3)
    assert [payment["state"] for payment in await payer.items("payments")] == ["waiting"]
    await payer.order("payment", mode="normal")
    await hub.hears(1)


async def test_the_payers_page_pays(payer: Province, hub: Hub) -> None:
    await payer.order("payment", payer="hold")
    url = link_of(await payer.pay("init", an_init()))
    page = await payer.client.get(url)
    assert "200.000 đồng" in page.text
    assert (await payer.client.post(url, data={"do": "pay"})).status_code == 303
    await hub.hears(1)
    assert "đã thanh toán" in (await payer.client.get(url)).text
    assert (await payer.client.get(url + "x")).status_code == 404
