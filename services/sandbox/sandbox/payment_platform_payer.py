"""The payer and the platform's callbacks: what happens by itself after INIT.

One loop looks for what is due in the store: payers who decide, CONFIRMs to send (so both survive a restart). A CONFIRM
that is not answered with 200 and a MaLoi is sent again after 0.2 s, 0.4 s, 0.8 s … at most 30 s, `tries` times in all.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

from sandbox import payment_platform_store
from sandbox.checksum import CONFIRM, checksum
from sandbox.payment_platform import PaymentPlatform
from sandbox.payment_platform_store import Payment
from sandbox.store import now_ms

BATCH = 200
IDLE_SECONDS = 5.0
FIRST_WAIT_MS = 200
LONGEST_WAIT_MS = 30_000
MAX_ANSWER_BYTES = 65_536
ANSWER_FAILED = "24"

log = logging.getLogger("sandbox.payer")


class Payer:
    """Runs beside the platform; `run` returns only when it is cancelled."""

    def __init__(
        self, platform: PaymentPlatform, *, callback_url: str, concurrency: int, tries: int, seconds: float
    ) -> None:
        self._platform = platform
        self._url = callback_url
        self._concurrency = concurrency
        self._tries = tries
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._sending: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        connector = aiohttp.TCPConnector(limit=self._concurrency)
        async with aiohttp.ClientSession(connector=connector, timeout=self._timeout) as session:
            try:
                while True:
                    self._platform.woken.clear()
                    if self._platform.behaviour.is_down:  # nobody can pay and nobody confirms
                        await self._platform.woken.wait()
                        continue
                    self._pay()
                    self._call(session)
                    await self._rest()
            finally:
                for task in self._sending.values():
                    task.cancel()
                await asyncio.gather(*self._sending.values(), return_exceptions=True)

    def _pay(self) -> None:
        platform = self._platform
        due = payment_platform_store.due_to_pay(platform.store, BATCH)
        if due:
            decision = platform.behaviour.switches.payer
            payment_platform_store.decide(
                platform.store, [(reference, decision, platform.callback_copies(reference)) for reference in due]
            )

    def _call(self, session: aiohttp.ClientSession) -> None:
        free = self._concurrency - len(self._sending)
        if free <= 0:
            return
        due = payment_platform_store.due_callbacks(self._platform.store, len(self._sending) + free)
        for payment in [one for one in due if one.reference not in self._sending][:free]:
            self._sending[payment.reference] = asyncio.create_task(self._confirm(session, payment))

    async def _rest(self) -> None:
        """Until something is due, a callback ends, or an INIT or an order comes in."""
        store, moments = self._platform.store, []
        moments.append(payment_platform_store.next_payer(store))
        if len(self._sending) < self._concurrency:
            moments.append(payment_platform_store.next_callback(store, self._sending))
        known = [moment - now_ms() for moment in moments if moment is not None]
        seconds = min([IDLE_SECONDS, *(max(wait_ms, 0) / 1000 for wait_ms in known)])
        try:
            async with asyncio.timeout(seconds):
                await self._platform.woken.wait()
        except TimeoutError:
            pass

    async def _confirm(self, session: aiohttp.ClientSession, payment: Payment) -> None:
        platform = self._platform
        try:
            if platform.behaviour.hits(payment.reference, platform.behaviour.switches.forge_callbacks, "forged"):
                await self._send(session, {**self._message(payment), "MaXacThuc": "0" * 64})
            message = self._message(payment)
            answered = await self._send(session, message)
            wait_ms = min(FIRST_WAIT_MS * 2**payment.callback_tries, LONGEST_WAIT_MS)
            payment_platform_store.settle_callback(
                platform.store, payment, answered=answered, tries=self._tries, wait_ms=wait_ms
            )
        finally:
            del self._sending[payment.reference]
            platform.woken.set()

    def _message(self, payment: Payment) -> dict[str, Any]:
        platform, switches = self._platform, self._platform.behaviour.switches
        amount = payment.amount_vnd
        if platform.behaviour.hits(payment.reference, switches.wrong_amounts, "amount"):
            amount += 1000
        message = {
            "LoaiBanTin": "CONFIRM",
            "MaLoi": "00" if payment.state == "paid" else ANSWER_FAILED,
            "MaDoiTac": platform.partner_code,
            "MaThamChieu": payment.reference,
            "SoTien": amount if switches.amount_type == "integer" else str(amount),
            "MaTienTe": payment.currency,
            "MaGiaoDich": payment.transaction_id,
            "MaNganHang": payment.bank,
            "ThoiGianGD": payment.transaction_time,
            "ThongTinGiaoDich": payment.description,
        }
        return {**message, "MaXacThuc": checksum(message, CONFIRM, platform.secret)}

    async def _send(self, session: aiohttp.ClientSession, message: Mapping[str, Any]) -> bool:
        """Post one CONFIRM; True when it was answered as the wire wants."""
        headers = {"Content-Type": "application/json"}
        try:
            async with session.post(self._url, data=orjson.dumps(message), headers=headers) as response:
                body = await response.content.read(MAX_ANSWER_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("callback not delivered: %s", type(error).__name__)
            return False
        return response.status == 200 and _code_of(body) in ("00", message["MaLoi"])


def _code_of(body: bytes) -> object:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return answer.get("MaLoi") if isinstance(answer, dict) else None
