"""How each national system behaves just now: one fault, and switches for what the wire document leaves open.

mode            effect (each on a share `rate` of the calls, drawn from a seeded generator)
normal          none
down            the connection is cut before anything is executed
slow            waits `seconds`, then executes and answers
error           HTTP `status` (500) with `retry_after_seconds`, when given; nothing executed
lose_answer     executes, then cuts the connection (`how: cut`) or stays silent for `seconds` and cuts (`how: hang`)
refuse          the system's own refusal in its own wire, nothing executed
flap            down for `seconds`, well for `seconds`, and so on from the moment it was ordered
expire_session  portal: every session ends at once; then each after `every_calls` calls, or by chance when `rate` < 1
html            a maintenance page with `status` (200) instead of the wire's answer
drip            executes, then answers one byte each `seconds`
endless         executes, then answers without end
reject_record   portal: a share `rate` of the dossiers (fixed by hash), or those in `codes`, are refused as bad records

`operations` limits a fault to some services of the system, `times` to so many calls. Orders outlive a restart.
"""

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, Literal, TypeVar

import orjson
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from sandbox.connection import Cut
from sandbox.store import Store

SystemName = Literal["portal", "payment", "population"]
Mode = Literal[
    "normal",
    "down",
    "slow",
    "error",
    "lose_answer",
    "refuse",
    "flap",
    "expire_session",
    "html",
    "drip",
    "endless",
    "reject_record",
]
# These two are judged by the portal itself, where it knows the session and the record.
PORTALS_OWN = frozenset(("expire_session", "reject_record"))

CALLS = Counter("sandbox_calls", "Calls of the national systems, by how they were played", ["system", "mode"])

MAINTENANCE_PAGE = (
    "<!doctype html><html lang='vi'><head><meta charset='utf-8'><title>Bảo trì</title></head>"
    "<body><h1>Hệ thống đang bảo trì</h1><p>Xin quay lại sau.</p></body></html>"
)


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fault(Strict):
    """What goes wrong, how often and for whom."""

    mode: Mode = "normal"
    rate: float = Field(default=1.0, ge=0, le=1)
    seconds: float = Field(default=2.0, ge=0, le=3600)
    status: int | None = Field(default=None, ge=200, le=599)
    retry_after_seconds: int | None = Field(default=None, ge=0)
    how: Literal["cut", "hang"] = "cut"
    operations: frozenset[str] = frozenset()
    times: int | None = Field(default=None, ge=1)
    codes: frozenset[str] = frozenset()
    every_calls: int | None = Field(default=None, ge=1)
    seed: int | None = None


class PortalSwitches(Strict):
    """`progress`: an equal progress row is ignored; or stored again and shown; or stored again and not shown.
    `error_code`: success as "0", 0 or "00". `answers`: a bad record refuses the batch, or only itself."""

    progress: Literal["ignore", "show", "neither"] = "ignore"
    error_code: Literal["string", "integer", "double_zero"] = "string"
    answers: Literal["batch", "record"] = "batch"


class PaymentSwitches(Strict):
    """`payer`: what a payer left alone does, after `pay_after_ms`. `repeated_init`: the same link, or an error.
    INIT's answer is held back
    for `init_answer_seconds`, so that CONFIRM comes before it.
    The shares of callbacks that are sent twice, never sent, forged first, or carry another amount are fixed by hash."""

    payer: Literal["pay", "fail", "hold"] = "pay"
    pay_after_ms: int | None = Field(default=None, ge=0)
    repeated_init: Literal["same", "error"] = "same"
    amount_type: Literal["integer", "string"] = "integer"
    init_answer_seconds: float = Field(default=0, ge=0, le=120)
    duplicate_callbacks: float = Field(default=0.05, ge=0, le=1)
    lose_callbacks: float = Field(default=0, ge=0, le=1)
    forge_callbacks: float = Field(default=0, ge=0, le=1)
    wrong_amounts: float = Field(default=0, ge=0, le=1)


class PopulationSwitches(Strict):
    """`birth_date`: how 037 writes a full date (yyyyMMdd or yyyy-mm-dd; the sources disagree)."""

    birth_date: Literal["compact", "dashed"] = "compact"


S = TypeVar("S", bound=Strict)


class Behaviour(Generic[S]):
    """The fault and the switches of one system."""

    def __init__(self, system: SystemName, switches: S, seed: int, store: Store) -> None:
        self.system = system
        self.fault = Fault()
        self.switches = switches
        self._default_switches = switches
        self._default_seed = self.seed = seed
        self._store = store
        self._recall()
        self._begin()

    def order(self, changes: dict[str, Any]) -> None:
        """Take an order of the controls: a `mode` starts a new fault, any other name is a switch that stays.

        Raises pydantic's ValidationError for names and values that are not there; nothing is changed then.
        """
        fault_fields = {name: value for name, value in changes.items() if name in Fault.model_fields}
        others = {name: value for name, value in changes.items() if name not in Fault.model_fields}
        if fault_fields and "mode" not in fault_fields:
            fault_fields = {**self.fault.model_dump(), **fault_fields}
        switches = type(self.switches).model_validate({**self.switches.model_dump(), **others})
        if fault_fields:
            self.fault = Fault.model_validate(fault_fields)
        self.switches = switches
        self._begin()
        self._remember()

    def reset(self) -> None:
        """Normal again, with the switches of the beginning."""
        self.fault, self.switches = Fault(), self._default_switches
        self._begin()
        self._remember()

    def shown(self) -> dict[str, Any]:
        """For `GET /_sandbox/faults`."""
        return {
            "system": self.system,
            **self.fault.model_dump(mode="json", exclude_defaults=True),
            "mode": self.fault.mode,
            **self.switches.model_dump(mode="json"),
        }

    @property
    def is_down(self) -> bool:
        """Whether the system is wholly away, so that it does nothing of its own accord either."""
        return (
            self.fault.mode == "down"
            and self.fault.rate == 1
            and not self.fault.operations
            and self._times_left is None
        )

    def hits(self, key: str, share: float, purpose: str) -> bool:
        """Whether `key` belongs to the `share` of keys chosen for `purpose`; the same answer in every run."""
        if share <= 0:
            return False
        digest = hashlib.sha256(f"{self.seed}|{purpose}|{key}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < share * 2**64

    def draws(self) -> bool:
        """Whether this call is one of those that the fault's rate and number of times let through."""
        if self._times_left == 0 or (self.fault.rate < 1 and self._random.random() >= self.fault.rate):
            return False
        if self._times_left is not None:
            self._times_left -= 1
        return True

    def _strikes(self, operation: str) -> Mode:
        fault = self.fault
        if fault.mode == "normal" or fault.mode in PORTALS_OWN:
            return "normal"
        if fault.operations and operation not in fault.operations:
            return "normal"
        if fault.mode == "flap":
            period = max(fault.seconds, 0.001)
            is_down = int((time.monotonic() - self._since) / period) % 2 == 0
            return "down" if is_down else "normal"
        return fault.mode if self.draws() else "normal"

    async def play(
        self,
        operation: str,
        execute: Callable[[], Response],
        refuse: Callable[[], Response],
    ) -> Response:
        """Answer one call: as the system would, or as the fault wants it."""
        mode = self._strikes(operation)
        CALLS.labels(self.system, mode).inc()
        if mode == "slow":
            await asyncio.sleep(self.fault.seconds)
        if mode in ("normal", "slow"):
            return execute()
        if mode == "refuse":
            return refuse()
        if mode in ("error", "html"):
            return self._page(mode)
        if mode in ("drip", "endless"):
            answer = execute()
            content = self._endless() if mode == "endless" else self._drip(bytes(answer.body))
            return StreamingResponse(content, answer.status_code, media_type=answer.media_type)
        if mode == "lose_answer":
            execute()
            await asyncio.sleep(self.fault.seconds if self.fault.how == "hang" else 0)
        return Cut()

    def _page(self, mode: Mode) -> Response:
        fault = self.fault
        headers = {} if fault.retry_after_seconds is None else {"Retry-After": str(fault.retry_after_seconds)}
        if mode == "html":
            return Response(MAINTENANCE_PAGE, fault.status or 200, headers, media_type="text/html")
        return Response(b"Internal Server Error", fault.status or 500, headers, media_type="text/plain")

    async def _drip(self, content: bytes) -> AsyncIterator[bytes]:
        for place in range(len(content)):
            yield content[place : place + 1]
            await asyncio.sleep(self.fault.seconds)

    async def _endless(self) -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65_536
            await asyncio.sleep(0)

    def _begin(self) -> None:
        self.seed = self._default_seed if self.fault.seed is None else self.fault.seed
        self._random = random.Random(self.seed)
        self._since = time.monotonic()
        self._times_left = self.fault.times

    def _remember(self) -> None:
        chosen = orjson.dumps(
            {"fault": self.fault.model_dump(mode="json"), "switches": self.switches.model_dump(mode="json")}
        )
        self._store.connection.execute("INSERT OR REPLACE INTO behaviour VALUES (?, ?)", (self.system, chosen))

    def _recall(self) -> None:
        row = self._store.connection.execute("SELECT chosen FROM behaviour WHERE system = ?", (self.system,)).fetchone()
        if row is not None:
            chosen = orjson.loads(row[0])
            self.fault = Fault.model_validate(chosen["fault"])
            self.switches = type(self.switches).model_validate(chosen["switches"])
