"""The payment platform of the national portal, version 1.0.6: INIT, QUERY, GET_BILL and the payer's page (wire §2).

INIT's error_code: "0" done, "97" wrong checksum, "02" a field is wrong, "03" MaThamChieu was used before, "04" unknown
partner, "99" refused. MaLoi of QUERY and CONFIRM: "00" done, "01" unknown reference, "24" the payer failed, the others
as above. Only "0" and "00" are known from the wire; the others are the sandbox's own.
"""

import asyncio
import html
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox import checksum, payment_platform_store
from sandbox.faults import Behaviour, PaymentSwitches
from sandbox.payment_platform_bill import bill
from sandbox.payment_platform_message import fault_of_init, fault_of_query
from sandbox.payment_platform_store import Decision, Payment
from sandbox.store import Store, now_ms

TRANSACTION_STATES: Mapping[str, str] = {"waiting": "3", "held": "3", "paid": "1", "failed": "4"}
MAX_FORM_BYTES = 1000


class PaymentPlatform:
    """The platform's endpoints. `woken` is set when a payer or a callback may have become due."""

    def __init__(
        self,
        store: Store,
        behaviour: Behaviour[PaymentSwitches],
        *,
        partner_code: str,
        secret: str,
        payer_ms: int,
    ) -> None:
        self.store = store
        self.behaviour = behaviour
        self.partner_code, self.secret = partner_code, secret
        self.woken = asyncio.Event()
        self._payer_ms = payer_ms

    def routes(self) -> list[Route]:
        return [
            Route("/payment-platform/init", self._endpoint("INIT", self._init), methods=["POST"]),
            Route("/payment-platform/query", self._endpoint("QUERY", self._query), methods=["POST"]),
            Route("/payment-platform/bill", self._endpoint("GET_BILL", self._bill), methods=["POST"]),
            Route("/payment-platform/pay/{reference}", self._page, methods=["GET"]),
            Route("/payment-platform/pay/{reference}", self._payers_click, methods=["POST"]),
        ]

    def decide(self, reference: str, decision: Decision) -> bool:
        """Let the payer pay, fail, or do nothing; False when the payment is already paid."""
        payment = payment_platform_store.find(self.store, reference)
        if payment is None or payment.state == "paid":
            return False
        if decision == "hold" and payment.state == "failed":
            return False
        payment_platform_store.decide(self.store, [(reference, decision, self.callback_copies(reference))])
        self.woken.set()
        return True

    def callback_copies(self, reference: str) -> int | None:
        """How often CONFIRM is sent for this payment; None when it gets lost."""
        switches = self.behaviour.switches
        if self.behaviour.hits(reference, switches.lose_callbacks, "lost"):
            return None
        return 2 if self.behaviour.hits(reference, switches.duplicate_callbacks, "twice") else 1

    # the wire

    def _endpoint(self, kind: str, serve: Callable[[dict[str, Any], str], Response]) -> Callable[..., Any]:
        async def endpoint(request: Request) -> Response:
            message = _object_of(await request.body())

            def execute() -> Response:
                if message is None:
                    return self._failure(kind, "02", "Nội dung không phải là JSON")
                return serve(message, base)

            base = f"{request.url.scheme}://{request.headers.get('host', 'localhost')}/payment-platform/pay/"
            answer = await self.behaviour.play(
                kind,
                execute,
                lambda: self._failure(kind, "99", "Hệ thống từ chối giao dịch"),
            )
            if kind == "INIT" and self.behaviour.switches.init_answer_seconds:
                await asyncio.sleep(self.behaviour.switches.init_answer_seconds)
            return answer

        return endpoint

    def _failure(self, kind: str, code: str, text: str, message: Mapping[str, Any] | None = None) -> Response:
        if kind == "INIT":
            return _json({"error_code": code, "message": text})
        return _json(self._reply(kind, code, text, message or {}))

    def _reply(self, kind: str, code: str, text: str, message: Mapping[str, Any]) -> dict[str, Any]:
        empty = dict.fromkeys(checksum.QUERY_REPLY, "")
        asked = {name: str(message.get(name, "")) for name in ("MaThamChieu", "ThoiGianGD")}
        reply = {**empty, **asked, "LoaiBanTin": kind, "MaLoi": code, "MaDoiTac": self.partner_code}
        return {**reply, "MoTaLoi": text, "MaXacThuc": checksum.checksum(reply, checksum.QUERY_REPLY, self.secret)}

    def _judge(self, kind: str, message: dict[str, Any], fields: tuple[str, ...]) -> Response | None:
        """The refusal of a message that is not genuine or not well-formed, or None."""
        fault = (fault_of_init if kind == "INIT" else fault_of_query)(message)
        if fault is None and message["LoaiBanTin"] != kind:
            fault = f"LoaiBanTin phải là {kind}"
        if fault is not None:
            return self._failure(kind, "02", fault, message)
        if message["MaDoiTac"] != self.partner_code:
            return self._failure(kind, "04", "Đối tác không tồn tại", message)
        if not checksum.is_genuine(message, fields, self.secret):
            return self._failure(kind, "97", "Sai MaXacThuc", message)
        return None

    # the services

    def _init(self, message: dict[str, Any], base: str) -> Response:
        refused = self._judge("INIT", message, checksum.INIT)
        if refused is not None:
            return refused
        reference = message["MaThamChieu"]
        known = payment_platform_store.find(self.store, reference)
        if known is None:
            return self._link(self._begin(message, base + quote(reference, safe="")), reference)
        is_same = (str(known.amount_vnd), known.transaction_time, known.description) == (
            message["SoTien"],
            message["ThoiGianGD"],
            message["ThongTinGiaoDich"],
        )
        if not is_same or self.behaviour.switches.repeated_init == "error":
            return self._failure("INIT", "03", f"MaThamChieu {reference} đã tồn tại")
        payment_platform_store.count_repeated_init(self.store, reference)
        return self._link(known.url, reference)

    def _begin(self, message: dict[str, Any], url: str) -> str:
        switches = self.behaviour.switches
        wait_ms = self._payer_ms if switches.pay_after_ms is None else switches.pay_after_ms
        pays_at = None if switches.payer == "hold" else now_ms() + wait_ms
        payment_platform_store.add(self.store, message, url, pays_at)
        self.woken.set()
        return url

    def _link(self, url: str, reference: str) -> Response:
        # A JSON string inside the JSON: that is how the wire has it.
        inner = orjson.dumps({"UrlThanhToan": url, "MaThamChieu": reference}).decode()
        return _json({"error_code": "0", "message": inner})

    def _query(self, message: dict[str, Any], _base: str) -> Response:
        refused = self._judge("QUERY", message, checksum.QUERY)
        if refused is not None:
            return refused
        payment = payment_platform_store.find(self.store, message["MaThamChieu"])
        if payment is None:
            return self._failure("QUERY", "01", "Không tìm thấy giao dịch", message)
        reply = {
            "LoaiBanTin": "QUERY",
            "MaLoi": "00",
            "MoTaLoi": "Thành công",
            "MaDoiTac": self.partner_code,
            "MaThamChieu": payment.reference,
            "SoTien": str(payment.amount_vnd),
            "MaTienTe": payment.currency,
            "MaGiaoDich": payment.transaction_id,
            "MaNganHang": payment.bank,
            "ThoiGianGD": payment.transaction_time,
            "ThongTinGiaoDich": payment.description,
            "TrangThaiGD": TRANSACTION_STATES[payment.state],
        }
        return _json({**reply, "MaXacThuc": checksum.checksum(reply, checksum.QUERY_REPLY, self.secret)})

    def _bill(self, message: dict[str, Any], _base: str) -> Response:
        refused = self._judge("GET_BILL", message, checksum.QUERY)
        if refused is not None:
            return refused
        payment = payment_platform_store.find(self.store, message["MaThamChieu"])
        if payment is None or payment.state != "paid":
            return self._failure("GET_BILL", "01", "Không có biên lai", message)
        return Response(bill(payment), media_type="application/pdf")

    # the payer

    async def _page(self, request: Request) -> Response:
        payment = payment_platform_store.find(self.store, request.path_params["reference"])
        return HTMLResponse("Không tìm thấy giao dịch", 404) if payment is None else HTMLResponse(_payers_page(payment))

    async def _payers_click(self, request: Request) -> Response:
        body = await request.body()
        chosen = parse_qs(body[:MAX_FORM_BYTES].decode("latin-1")).get("do", [""])[0]
        reference = request.path_params["reference"]
        if chosen in ("pay", "fail"):
            self.decide(reference, "pay" if chosen == "pay" else "fail")
        return RedirectResponse(f"/payment-platform/pay/{quote(reference, safe='')}", 303)


def _payers_page(payment: Payment) -> str:
    buttons = (
        ""
        if payment.state == "paid"
        else '<form method="post"><button name="do" value="pay">Thanh toán</button> '
        '<button name="do" value="fail">Từ chối</button></form>'
    )
    states = {"waiting": "đang chờ", "held": "đang chờ", "paid": "đã thanh toán", "failed": "không thành công"}
    amount = f"{payment.amount_vnd:,}".replace(",", ".")
    return (
        "<!doctype html><html lang='vi'><head><meta charset='utf-8'><title>Thanh toán (thử nghiệm)</title></head>"
        f"<body><h1>Thanh toán hồ sơ {html.escape(payment.dossier_code)}</h1>"
        f"<p>Số tiền: {amount} đồng</p><p>Trạng thái: {states[payment.state]}</p>{buttons}</body></html>"
    )


def _object_of(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _json(value: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
