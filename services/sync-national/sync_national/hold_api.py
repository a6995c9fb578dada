"""Hold, release and the calendar of maintenance: `/v1/sync/hold`, `/v1/sync/release`, `/v1/sync/maintenance`."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from shared import web
from shared.auth import Caller
from shared.errors import AgencyNotPermitted, NotFound
from shared.idempotency import IdempotencyKeyReused, Key, RequestInProgress
from shared.web import InReading, InTransaction, PageSize, errors, requires
from sync_national import holding
from sync_national.answering import because, once, place_of
from sync_national.holding import MaintenanceOver, Wanted

router = web.router(tags=["synchronisation"], prefix="/v1/sync")

Reader = Annotated[Caller, requires("sync:read")]
Operator = Annotated[Caller, requires("sync:operate")]
Destination = Literal["dvcqg"]
Agency = Annotated[str, Field(min_length=1, max_length=35, pattern=r"^[A-Z]\d{2}(\.\d{1,5})*$")]
_DESTINATION: Destination = "dvcqg"
_REPEATED = (IdempotencyKeyReused, RequestInProgress)


class Hold(web.Answer):
    """A destination, or an agency's dossiers at it, on hold."""

    destination: str
    agency_code: str | None
    """Null: the whole destination; an agency's hold covers its sub-agencies."""
    reason: str
    held_by: str
    held_since: datetime
    ends_at: datetime | None
    maintenance: str | None
    """The calendar's entry that holds it; null for a hold by hand."""


class HoldRequest(web.Body):
    """Maintenance begins."""

    destination: Destination = _DESTINATION
    agency: Agency | None = None
    reason: Annotated[str, Field(max_length=500)] = ""


class ReleaseRequest(web.Body):
    """Maintenance is over."""

    destination: Destination = _DESTINATION
    agency: Agency | None = None


class MaintenanceRequest(HoldRequest):
    """Planned: it holds by itself from `starts_at` to `ends_at`, at most 31 days."""

    starts_at: AwareDatetime
    ends_at: AwareDatetime


class Maintenance(web.Answer):
    """An entry of the calendar."""

    id: str
    destination: str
    agency_code: str | None
    state: Literal["planned", "running", "over", "cancelled"]
    starts_at: datetime
    ends_at: datetime
    reason: str
    planned_by: str
    planned_at: datetime
    cancelled_by: str | None
    cancelled_at: datetime | None


class Calendar(web.Answer):
    """A page, the newest entry first."""

    items: list[Maintenance]
    next_cursor: str | None


@router.post("/hold", response_model=Hold, responses=errors(AgencyNotPermitted, *_REPEATED))
async def hold_destination(
    request: Request, tx: InTransaction, caller: Operator, body: HoldRequest | None = None, key: Key = None
) -> Response:
    """Push nothing to the destination, or nothing of an agency, until it is released; changes go on being collected."""
    asked = body or HoldRequest()

    async def act() -> Hold:
        return Hold(**await holding.hold(tx, caller, Wanted(asked.destination, asked.agency, asked.reason)))

    return await once(request, tx, caller, key, act, headers=lambda _: because(asked.reason))


@router.post("/release", response_model=ReleaseRequest, responses=errors(AgencyNotPermitted, *_REPEATED))
async def release_destination(
    request: Request,
    tx: InTransaction,
    caller: Operator,
    body: ReleaseRequest | None = None,
    key: Key = None,
) -> Response:
    """Push again; releasing what is not on hold changes nothing. Maintenance that is running ends."""
    asked = body or ReleaseRequest()

    async def act() -> ReleaseRequest:
        await holding.release(tx, caller, asked.destination, asked.agency)
        tx.on_commit(lambda: request.app.state.courier.bell.ring_in(0.0))
        return asked

    return await once(request, tx, caller, key, act)


@router.post(
    "/maintenance", status_code=201, response_model=Maintenance, responses=errors(AgencyNotPermitted, *_REPEATED)
)
async def plan_maintenance(
    request: Request, tx: InTransaction, caller: Operator, body: MaintenanceRequest, key: Key = None
) -> Response:
    """Write maintenance into the calendar."""

    async def act() -> Maintenance:
        wanted = Wanted(body.destination, body.agency, body.reason)
        return Maintenance(**await holding.plan(tx, caller, wanted, body.starts_at, body.ends_at))

    return await once(
        request,
        tx,
        caller,
        key,
        act,
        status=201,
        headers=lambda it: {"Location": f"/v1/sync/maintenance/{it.id}", **because(body.reason)},
    )


@router.get("/maintenance")
async def list_maintenance(
    rx: InReading, _caller: Reader, cursor: str | None = None, limit: PageSize = 100
) -> Calendar:
    """The calendar, the newest entry first."""
    rows = await holding.calendar(rx, _DESTINATION, place_of(cursor), limit + 1)
    page = rows[:limit]
    more = web.encode_cursor(page[-1]["id"]) if len(rows) > limit else None
    return Calendar(items=[Maintenance(**row) for row in page], next_cursor=more)


@router.get("/maintenance/{maintenance_id}", responses=errors(NotFound))
async def read_maintenance(maintenance_id: UUID, rx: InReading, _caller: Reader) -> Maintenance:
    """One entry of the calendar."""
    return Maintenance(**await holding.planned(rx, str(maintenance_id)))


@router.post(
    "/maintenance/{maintenance_id}/cancel",
    response_model=Maintenance,
    responses=errors(NotFound, AgencyNotPermitted, MaintenanceOver, *_REPEATED),
)
async def cancel_maintenance(
    maintenance_id: UUID, request: Request, tx: InTransaction, caller: Operator, key: Key = None
) -> Response:
    """It does not happen; one that is running ends now."""

    async def act() -> Maintenance:
        tx.on_commit(lambda: request.app.state.courier.bell.ring_in(0.0))
        return Maintenance(**await holding.cancel(tx, caller, str(maintenance_id)))

    return await once(request, tx, caller, key, act)
