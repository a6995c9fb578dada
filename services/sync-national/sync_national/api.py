"""The operators' routes: `/v1/sync/*` (scopes sync:read and sync:operate; agencies by row-level security)."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Header, Request, Response
from pydantic import Field

from shared import exchanges, idempotency, web
from shared.auth import Caller
from shared.db import Transaction
from shared.errors import AgencyNotPermitted, NotFound
from shared.idempotency import IdempotencyKeyReused, RequestInProgress
from shared.web import InReading, InTransaction, PageSize, errors, requires
from sync_national import operating
from sync_national.change import State
from sync_national.operating import NothingToRetry, OutcomeUnknown

router = web.router(tags=["synchronisation"], prefix="/v1/sync")

Reader = Annotated[Caller, requires("sync:read")]
Operator = Annotated[Caller, requires("sync:operate")]
Key = Annotated[str | None, Header(alias="Idempotency-Key")]
Destination = Literal["dvcqg"]
_DESTINATION: Destination = "dvcqg"


class Hold(web.Answer):
    """A destination on hold."""

    destination: str
    reason: str
    held_by: str
    held_since: datetime


class DestinationStatus(web.Answer):
    """How one destination stands, as far as the caller's agencies go."""

    destination: str
    counts: dict[State, int]
    oldest_unsynced_seconds: float | None
    acknowledged_last_minute: int
    throughput_per_second: float
    breaker: Literal["closed", "open", "half_open"]
    hold: Hold | None
    quota_left: int | None
    last_reconciliation: None


class Status(web.Answer):
    """All destinations."""

    destinations: list[DestinationStatus]


class Dossier(web.Answer):
    """Desired and acknowledged, side by side."""

    code: str
    destination: str
    agency_code: str
    status_code: int
    state: State
    desired_version: int
    acknowledged_version: int
    desired_progress: int
    acknowledged_progress: int
    tries: int
    reason: str | None
    owner: Literal["partner", "hub", "poison"] | None
    next_try_at: datetime | None
    unsynced_since: datetime | None
    acknowledged_at: datetime | None
    changed_at: datetime


class Exchange(web.Answer):
    """One call to the portal that this dossier was part of."""

    service: str
    is_updating: bool | None
    at: datetime
    took_ms: int
    records: int
    http_status: int | None
    error_code: str | None
    message: str


class Attempt(web.Answer):
    """One visit to the portal; what was sent is shown without the citizen's data."""

    number: int
    at: datetime
    version: int
    progress_number: int
    outcome: str
    reason: str | None
    request: dict[str, Any] | None
    exchanges: list[Exchange]


class DossierDetail(Dossier):
    """One dossier with its attempts, newest first."""

    attempts: list[Attempt]


class Dossiers(web.Answer):
    """A page."""

    items: list[Dossier]
    next_cursor: str | None


class HoldRequest(web.Body):
    """Maintenance begins."""

    destination: Destination = _DESTINATION
    reason: Annotated[str, Field(max_length=500)] = ""


class ReleaseRequest(web.Body):
    """Maintenance is over."""

    destination: Destination = _DESTINATION


@router.get("/status")
async def get_status(request: Request, rx: InReading, _caller: Reader) -> Status:
    """Per destination: counts by state, age of the oldest unsynced change, rate, breaker, hold."""
    found = await operating.status(rx, _DESTINATION)
    breaker = request.app.state.portal.breaker
    return Status(destinations=[DestinationStatus(**found, breaker=breaker, quota_left=None, last_reconciliation=None)])


@router.get("/dossiers")
async def list_dossiers(
    rx: InReading,
    caller: Reader,
    state: State | None = None,
    agency: web.AgencyFilter = None,
    cursor: str | None = None,
    limit: PageSize = 100,
) -> Dossiers:
    """In the order of their codes; `agency` covers its sub-agencies."""
    place = web.decode_cursor(cursor, 1)
    after = str(place[0]) if place else None
    covers_all = "*" in caller.agencies
    rows = await operating.listed(
        rx, _DESTINATION, state=state, agency=agency, after=after, limit=limit, covers_all=covers_all
    )
    page = rows[:limit]
    more = web.encode_cursor(page[-1]["code"]) if len(rows) > limit else None
    return Dossiers(items=[Dossier(**row) for row in page], next_cursor=more)


@router.get("/dossiers/{code}", responses=errors(NotFound))
async def get_dossier(code: str, rx: InReading, _caller: Reader) -> DossierDetail:
    """One dossier with every attempt still kept, request and answer."""
    return DossierDetail(**await operating.one(rx, _DESTINATION, code))


@router.post(
    "/dossiers/{code}/retry",
    response_model=Dossier,
    responses=errors(NotFound, NothingToRetry, OutcomeUnknown, IdempotencyKeyReused, RequestInProgress),
)
async def retry_dossier(code: str, request: Request, tx: InTransaction, caller: Operator, key: Key = None) -> Response:
    """Try one dossier again, now."""

    async def act() -> web.Answer:
        tx.on_commit(lambda: request.app.state.courier.bell.ring_in(0.0))
        return Dossier(**await operating.retry(tx, _DESTINATION, code, web.cause(request)))

    return await _once(request, tx, caller, key, act, [code])


@router.post(
    "/hold",
    response_model=Hold,
    responses=errors(AgencyNotPermitted, IdempotencyKeyReused, RequestInProgress),
)
async def hold_destination(
    request: Request, tx: InTransaction, caller: Operator, body: HoldRequest | None = None, key: Key = None
) -> Response:
    """Push nothing to the destination until it is released; changes go on being collected."""
    _require_all_agencies(caller)
    asked = body or HoldRequest()

    async def act() -> web.Answer:
        held = await operating.hold(tx, asked.destination, asked.reason, caller.client_id)
        return Hold(**held._asdict())

    return await _once(request, tx, caller, key, act)


@router.post(
    "/release",
    response_model=ReleaseRequest,
    responses=errors(AgencyNotPermitted, IdempotencyKeyReused, RequestInProgress),
)
async def release_destination(
    request: Request, tx: InTransaction, caller: Operator, body: ReleaseRequest | None = None, key: Key = None
) -> Response:
    """Push again; releasing what is not on hold changes nothing."""
    _require_all_agencies(caller)
    asked = body or ReleaseRequest()

    async def act() -> web.Answer | web.Body:
        await operating.release(tx, asked.destination)
        tx.on_commit(lambda: request.app.state.courier.bell.ring_in(0.0))
        return asked

    return await _once(request, tx, caller, key, act)


def _require_all_agencies(caller: Caller) -> None:
    """A hold stops every agency's dossiers: only who covers all of them may set it."""
    if "*" not in caller.agencies:
        raise AgencyNotPermitted


async def _once(
    request: Request,
    tx: Transaction,
    caller: Caller,
    key: str | None,
    act: Callable[[], Awaitable[web.Answer | web.Body]],
    dossier_codes: Sequence[str] = (),
) -> Response:
    """Act, or give the first answer again when the key was used before."""
    if key is not None:
        asked = idempotency.digest_of(request.method, request.url.path, await request.body())
        stored = await idempotency.claim(tx, caller.client_id, key, asked)
        if stored is not None:
            headers = {**stored.headers, idempotency.REPLAYED: "true"}
            return Response(stored.body, stored.status, headers=headers, media_type="application/json")
    answer = (await act()).model_dump_json().encode()
    await exchanges.keep(tx, web.exchange_id(request), caller.client_id, dossier_codes)
    if key is not None:
        await idempotency.keep(tx, caller.client_id, key, 200, answer)
    return Response(answer, media_type="application/json")
