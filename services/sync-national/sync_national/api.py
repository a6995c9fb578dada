"""The operators' routes: `/v1/sync/*` (scopes sync:read and sync:operate; agencies by row-level security)."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic import Field

from shared import web
from shared.auth import Caller
from shared.errors import NotFound
from shared.idempotency import IdempotencyKeyReused, Key, RequestInProgress
from shared.web import InReading, InTransaction, PageSize, errors, requires
from sync_national import operating, status_store
from sync_national.answering import once
from sync_national.change import State
from sync_national.hold_api import Hold
from sync_national.operating import NothingToRetry, OutcomeUnknown
from sync_national.syncing import Courier

router = web.router(tags=["synchronisation"], prefix="/v1/sync")
internal_router = web.router(tags=["internal"])

Reader = Annotated[Caller, requires("sync:read")]
Operator = Annotated[Caller, requires("sync:operate")]
_DESTINATION = "dvcqg"


class LastReconciliation(web.Answer):
    """The newest comparison that came to its end."""

    id: str
    source: Literal["portal", "file"]
    finished_at: datetime | None
    compared: int
    differing: int


class Drain(web.Answer):
    """How far what waits has gone out."""

    waiting: int
    """Dossiers that go out by themselves: pending, held, in flight, unknown, failed."""
    per_second: float
    """Acknowledged, over the last minute or since the release when that is less."""
    released_at: datetime | None
    waiting_at_release: int | None
    done_pct: float | None
    expected_at: datetime | None
    """When nothing will wait any more at this pace; null when nothing waits or moves, or a hold has no end."""


class DestinationStatus(web.Answer):
    """How one destination stands, as far as the caller's agencies go."""

    destination: str
    counts: dict[State, int]
    failures: dict[Literal["partner", "hub", "poison"], int]
    """Dossiers held up by a failure, by whose fault it is; poison: events that can never pass."""
    oldest_unsynced_seconds: float | None
    acknowledged_last_minute: int
    throughput_per_second: float
    breaker: Literal["closed", "open", "half_open"]
    hold: Hold | None
    """Of the whole destination."""
    holds: list[Hold]
    """All of them, those of agencies and planned maintenance included."""
    drain: Drain
    quota_left: int | None
    """Calls that this minute still has, when the portal grants so many only."""
    last_reconciliation: LastReconciliation | None


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
    """One visit to the portal; what was sent is shown without the citizen's data, unless a purpose is stated."""

    number: int
    at: datetime
    version: int
    progress_number: int
    outcome: str
    reason: str | None
    request: dict[str, Any] | None
    is_masked: bool
    """False: the record as it was sent, to the letter."""
    exchanges: list[Exchange]


class DossierDetail(Dossier):
    """One dossier with its attempts, newest first."""

    accepted_digest: str | None
    """BLAKE2b-128 of the record that the destination accepted, for who stated a purpose (it is made of a citizen's
    data); null otherwise, and while what it shows is not known."""
    attempts: list[Attempt]


class Dossiers(web.Answer):
    """A page."""

    items: list[Dossier]
    next_cursor: str | None


@router.get("/status")
async def get_status(request: Request, rx: InReading, _caller: Reader) -> Status:
    """Per destination: counts by state, age of the oldest unsynced change, rate, breaker, hold."""
    found = await operating.status(rx, _DESTINATION, request.app.state.portal_calls_per_minute)
    return Status(destinations=[DestinationStatus(**found, breaker=request.app.state.portal.breaker)])


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
    rows = await operating.listed(
        rx, _DESTINATION, state=state, agency=agency, after=after, limit=limit, agencies=caller.agencies
    )
    page = rows[:limit]
    more = web.encode_cursor(page[-1]["code"]) if len(rows) > limit else None
    return Dossiers(items=[Dossier(**row) for row in page], next_cursor=more)


@router.get("/dossiers/{code}", responses=errors(NotFound))
async def get_dossier(
    code: web.DossierInPath,
    request: Request,
    caller: Reader,
    purpose: web.Purpose = None,
    attempts_before: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
) -> DossierDetail:
    """One dossier with its attempts still kept, request and answer: the last 50, or the 50 before a number.

    Evidence keeps no citizen's data. With `Hub-Purpose` (and scope dossier:read) what was sent is shown in full where
    the dossier's data of now prove to be what was sent then (`is_masked` false).
    """
    async with request.app.state.api_database.reading(caller.agencies) as rx:
        found = await operating.one(rx, _DESTINATION, code, attempts_before)
    now = None
    if purpose and "dossier:read" in caller.scopes:
        courier: Courier = request.app.state.courier
        now = await operating.record_now(courier.dossiers, request.app.state.portal.profile, code)
    return DossierDetail(**operating.shown(found, now))


@router.post(
    "/dossiers/{code}/retry",
    response_model=Dossier,
    responses=errors(NotFound, NothingToRetry, OutcomeUnknown, IdempotencyKeyReused, RequestInProgress),
)
async def retry_dossier(
    code: web.DossierInPath, request: Request, tx: InTransaction, caller: Operator, key: Key = None
) -> Response:
    """Try one dossier again, now."""

    async def act() -> web.Answer:
        tx.on_commit(lambda: request.app.state.courier.bell.ring_in(0.0))
        return Dossier(**await operating.retry(tx, _DESTINATION, code, web.cause(request)))

    return await once(request, tx, caller, key, act, [code])


class VersionAsked(web.Body):
    """Has the nation this version?"""

    code: Annotated[str, Field(max_length=100)]
    version: Annotated[int, Field(ge=0, lt=2**31)]


class AcknowledgedQuestion(web.Body):
    """Versions of dossiers."""

    dossiers: Annotated[list[VersionAsked], Field(max_length=500)]


class AcknowledgedVersion(web.Answer):
    """Null: not yet. The time is that of the first attempt kept that had it, else of the last acknowledgement."""

    code: str
    version: int
    state: str
    acknowledged_at: datetime | None


class AcknowledgedAnswer(web.Answer):
    """Of the dossiers known here."""

    items: list[AcknowledgedVersion]


@internal_router.post("/internal/sync/acknowledged", dependencies=[web.requires_internal()])
async def internal_acknowledged(request: Request, body: AcknowledgedQuestion) -> AcknowledgedAnswer:
    """Since when the nation has these versions, for the gateway's delivery matrix."""
    asked = [(it.code, it.version) for it in body.dossiers]
    async with request.app.state.runtime.system_database.reading() as rx:
        rows = await status_store.acknowledged(rx, _DESTINATION, asked)
    return AcknowledgedAnswer(items=[AcknowledgedVersion(**row) for row in rows])
