"""The sandbox's controls: what the national systems hold and how they behave (`api.md`, Sandbox control)."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect

from sandbox import payment_platform_store, population_store, portal_store
from sandbox.faults import Behaviour
from sandbox.payment_platform import PaymentPlatform
from sandbox.population import Population
from sandbox.population_store import Person
from sandbox.portal import Portal
from sandbox.portal_filer import Filer, FilingOrder
from sandbox.store import Store
from shared import problems, strict_json
from shared.errors import Conflict, FieldError, InvalidRequest, NotFound

MAX_LINE_BYTES = 65_536
PEOPLE_AT_ONCE = 2_000
_PERSONAL_ID = re.compile(r"[0-9]{12}")
_OLD_ID = re.compile(r"[0-9]{9}")
_BIRTH = re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))?")
_PERSON_FIELDS = frozenset(("personal_id", "full_name", "date_of_birth", "gender", "old_id", "address", "refused"))

router = APIRouter(prefix="/_sandbox", tags=["sandbox controls"])
operations = APIRouter(tags=["operations"], include_in_schema=False)


@dataclass(frozen=True, slots=True)
class NationalSystems:
    """The three systems that this process plays, with their memory."""

    store: Store
    portal: Portal
    payment: PaymentPlatform
    population: Population

    def behaviours(self) -> dict[str, Behaviour[Any]]:
        return {
            "portal": self.portal.behaviour,
            "payment": self.payment.behaviour,
            "population": self.population.behaviour,
        }


class PayersOrder(BaseModel):
    """What the payer of one payment shall do."""

    model_config = ConfigDict(extra="forbid")

    do: Literal["pay", "fail", "hold"]


class ResetOrder(BaseModel):
    """Which systems to empty and make normal again; all by default."""

    model_config = ConfigDict(extra="forbid")

    systems: list[Literal["portal", "payment", "population"]] = ["portal", "payment", "population"]


class ForgetOrder(BaseModel):
    """Dossiers that the portal loses."""

    model_config = ConfigDict(extra="forbid")

    codes: Annotated[list[str], Field(min_length=1, max_length=10_000)]


class AlterOrder(BaseModel):
    """Members of a stored record to overwrite."""

    model_config = ConfigDict(extra="forbid")

    code: str
    members: dict[str, Any]


Cursor = Annotated[int, Query(ge=0, description="next_cursor of the page before")]
Limit = Annotated[int, Query(ge=1, le=500)]


@router.post("/faults")
async def order_fault(request: Request) -> dict[str, Any]:
    """Change how a system behaves: `mode` starts a fault, other names are its parameters and the switches."""
    order = strict_json.loads(await request.body())
    systems = _systems(request)
    behaviours = systems.behaviours()
    name = order.pop("system", None) if isinstance(order, dict) else None
    if not isinstance(name, str) or name not in behaviours:
        raise InvalidRequest(errors=[FieldError("/system", f"must be one of {', '.join(behaviours)}")])
    try:
        behaviours[name].order(order)
    except ValidationError as failure:
        raise problems.invalid(failure) from failure
    if name == "portal" and order.get("mode") == "expire_session":
        systems.portal.sessions.end_all()
    systems.payment.woken.set()
    return behaviours[name].shown()


@router.get("/faults")
async def show_faults(request: Request) -> dict[str, Any]:
    """How every system behaves now."""
    return {"items": [behaviour.shown() for behaviour in _systems(request).behaviours().values()]}


@router.get("/portal/dossiers")
async def list_dossiers(request: Request, cursor: Cursor = 0, limit: Limit = 100) -> Response:
    """What the portal holds: record, progress rows, and how often each was written."""
    return _page(*portal_store.page(_systems(request).store, cursor, limit))


@router.get("/counts")
async def show_counts(request: Request) -> dict[str, Any]:
    """How much each system holds."""
    store = _systems(request).store
    return {
        "portal": portal_store.counts(store),
        "payment": payment_platform_store.counts(store),
        "population": {"people": population_store.count(store)},
    }


@router.post("/population")
async def load_population(request: Request) -> dict[str, int]:
    """Add people, one JSON object a line. A bad line is refused by its number; the lines before it may be stored."""
    store = _systems(request).store
    people: list[Person] = []
    stored = number = 0
    async for line in _lines(request):
        number += 1
        if line.strip():
            people.append(_person(line, number))
        if len(people) == PEOPLE_AT_ONCE:
            population_store.load(store, people)
            stored += len(people)
            people.clear()
    population_store.load(store, people)
    return {"stored": stored + len(people)}


@router.post("/portal/forget")
async def forget_dossiers(request: Request, order: ForgetOrder) -> dict[str, int]:
    """The portal loses these dossiers, as after restoring an older copy of its data."""
    return {"forgotten": portal_store.forget(_systems(request).store, order.codes)}


@router.post("/portal/alter")
async def alter_dossier(request: Request, order: AlterOrder) -> dict[str, Any]:
    """Somebody changes a stored record at the portal, behind the province's back."""
    if not portal_store.alter(_systems(request).store, order.code, order.members):
        raise NotFound("No such dossier")
    return {"code": order.code}


@router.post("/portal/filings")
async def file_at_the_portal(request: Request, order: FilingOrder) -> Response:
    """A citizen files, supplements or withdraws at the portal, and the portal tells the province; its answers."""
    filer: Filer = request.app.state.filer
    return Response(orjson.dumps(await filer.carry_out(order)), media_type="application/json")


@router.get("/payments")
async def list_payments(request: Request, cursor: Cursor = 0, limit: Limit = 100) -> Response:
    """What the payment platform holds, in the order of INIT."""
    return _page(*payment_platform_store.page(_systems(request).store, cursor, limit))


@router.get("/payments/{reference}")
async def show_payment(request: Request, reference: str) -> dict[str, Any]:
    """One payment."""
    payment = payment_platform_store.find(_systems(request).store, reference)
    if payment is None:
        raise NotFound("No such payment")
    return payment.shown()


@router.post("/payments/{reference}")
async def order_payer(request: Request, reference: str, order: PayersOrder) -> dict[str, Any]:
    """Let the payer of this payment pay, fail, or do nothing until told otherwise."""
    if not _systems(request).payment.decide(reference, order.do):
        await show_payment(request, reference)
        raise Conflict("The payment is decided already")
    return await show_payment(request, reference)


@router.post("/reset")
async def reset(request: Request, order: ResetOrder | None = None) -> dict[str, Any]:
    """Everything forgotten, every behaviour normal, every session ended."""
    systems = _systems(request)
    chosen = (order or ResetOrder()).systems
    systems.store.empty(chosen)
    for name in chosen:
        systems.behaviours()[name].reset()
    if "portal" in chosen:
        systems.portal.sessions.end_all()
    systems.payment.woken.set()
    return await show_faults(request)


@operations.get("/healthz")
async def healthz() -> dict[str, str]:
    """Alive."""
    return {"status": "ok"}


@operations.get("/readyz")
async def readyz(request: Request) -> dict[str, Any]:
    """The store answers."""
    _systems(request).store.connection.execute("SELECT 1 FROM behaviour LIMIT 1")
    return {"ready": True, "dependencies": {"sqlite": "ok"}}


@operations.get("/metrics")
async def metrics() -> Response:
    """For Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _systems(request: Request) -> NationalSystems:
    systems: NationalSystems = request.app.state.systems
    return systems


def _page(items: list[dict[str, Any]], cursor: int | None) -> Response:
    following = None if cursor is None else str(cursor)
    return Response(orjson.dumps({"items": items, "next_cursor": following}), media_type="application/json")


async def _lines(request: Request) -> AsyncIterator[bytes]:
    rest = b""
    try:
        async for chunk in request.stream():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
            if len(rest) > MAX_LINE_BYTES:
                raise InvalidRequest("A line is too long")
    except ClientDisconnect:
        return
    yield rest


def _person(line: bytes, number: int) -> Person:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise _bad_line(number, "is not JSON") from None
    if not isinstance(value, dict) or not value.keys() <= _PERSON_FIELDS:
        raise _bad_line(number, f"must be an object of {', '.join(sorted(_PERSON_FIELDS))}")
    texts = {name: value.get(name) or "" for name in _PERSON_FIELDS - {"refused"}}
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(value.get("refused", False), bool):
        raise _bad_line(number, "has a field of the wrong type")
    if not (
        _PERSONAL_ID.fullmatch(texts["personal_id"])
        and (not texts["old_id"] or _OLD_ID.fullmatch(texts["old_id"]))
        and _BIRTH.fullmatch(texts["date_of_birth"])
        and texts["gender"] in ("", "male", "female")
        and texts["full_name"].strip()
    ):
        raise _bad_line(number, "has a bad personal_id, old_id, date_of_birth, gender or full_name")
    return Person(refused=value.get("refused", False), **texts)


def _bad_line(number: int, fault: str) -> InvalidRequest:
    return InvalidRequest(errors=[FieldError(f"/{number - 1}", f"line {number} {fault}")])
