"""Incidents over REST: `/v1/sync/incidents` (scopes sync:read and sync:operate; agencies by row-level security)."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Request, Response
from pydantic import Field

from shared import web
from shared.auth import Caller
from shared.errors import AgencyNotPermitted, NotFound
from shared.idempotency import IdempotencyKeyReused, Key, RequestInProgress
from shared.web import InReading, InTransaction, PageSize, errors, requires
from sync_national import incident_store, resolving
from sync_national.answering import because, once, place_of
from sync_national.replay_api import Replay, rate
from sync_national.resolving import IncidentOver

router = web.router(tags=["synchronisation"], prefix="/v1/sync/incidents")

Reader = Annotated[Caller, requires("sync:read")]
Operator = Annotated[Caller, requires("sync:operate")]
Fault = Literal["partner", "hub", "poison"]


class IncidentSample(web.Answer):
    """The first failure of it."""

    code: str
    reason: str


class Incident(web.Answer):
    """Failures of one cause."""

    id: str
    destination: str
    owner: Fault
    """partner: the portal refused or is away; hub: our mapping; poison: an event that can never pass."""
    message: str
    """What their reasons have in common."""
    state: Literal["open", "resolved"]
    count: int
    """Failed visits so far."""
    dossiers: int
    """Dossiers that it holds up now."""
    agencies: int
    first_at: datetime
    last_at: datetime
    sample: IncidentSample
    resolved_at: datetime | None
    resolved_by: str | None
    """Null when it ended by itself: its dossiers have all passed."""
    resolution: str | None
    replay: str | None
    """The plan of its replay, `/v1/sync/retries/{id}`."""


class Incidents(web.Answer):
    """A page, the newest first."""

    items: list[Incident]
    next_cursor: str | None


class ResolvedIncident(Incident):
    """With the replay it offers; nothing is tried before that is confirmed."""

    offered: Replay | None


class ResolveRequest(web.Body):
    """What was done about it."""

    reason: Annotated[str, Field(max_length=500)] = ""
    per_second: Annotated[int, Field(ge=1)] | None = None


@router.get("")
async def list_incidents(
    request: Request,
    rx: InReading,
    _caller: Reader,
    state: Literal["open", "resolved"] | None = None,
    owner: Fault | None = None,
    cursor: str | None = None,
    limit: PageSize = 100,
) -> Incidents:
    """Failures by cause, the newest first."""
    destination: str = request.app.state.courier.destination
    rows = await incident_store.listed(rx, destination, state, owner, place_of(cursor), limit + 1)
    page = rows[:limit]
    more = web.encode_cursor(page[-1]["id"]) if len(rows) > limit else None
    return Incidents(items=[Incident(**row) for row in page], next_cursor=more)


@router.get("/{incident_id}", responses=errors(NotFound))
async def read_incident(incident_id: UUID, rx: InReading, _caller: Reader) -> Incident:
    """One of them; its dossiers: `POST /v1/sync/retries` with the filter `incident` shows them as a plan."""
    row = await incident_store.one(rx, str(incident_id))
    if row is None:
        raise NotFound
    return Incident(**row)


@router.post(
    "/{incident_id}/resolve",
    response_model=ResolvedIncident,
    responses=errors(NotFound, AgencyNotPermitted, IncidentOver, IdempotencyKeyReused, RequestInProgress),
)
async def resolve_incident(
    incident_id: UUID,
    request: Request,
    tx: InTransaction,
    caller: Operator,
    body: ResolveRequest | None = None,
    key: Key = None,
) -> Response:
    """Its cause is removed: the dossiers it still holds up are offered as a replay, to be confirmed."""
    asked = body or ResolveRequest()

    async def act() -> ResolvedIncident:
        pace = rate(request, asked.per_second)
        return ResolvedIncident(**await resolving.resolve(tx, str(incident_id), caller, asked.reason, pace))

    return await once(request, tx, caller, key, act, headers=lambda _: because(asked.reason))
