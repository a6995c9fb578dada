"""Bulk replay over REST: `/v1/sync/retries` (scopes sync:operate and sync:read; agencies by row-level security)."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Request, Response
from pydantic import Field

from shared import web
from shared.auth import Caller
from shared.errors import NotFound
from shared.idempotency import IdempotencyKeyReused, Key, RequestInProgress
from shared.web import InReading, InTransaction, PageSize, errors, requires
from sync_national import replaying
from sync_national.answering import because, once, place_of
from sync_national.replaying import CountDiffers, PlanNotOpen

router = web.router(tags=["synchronisation"], prefix="/v1/sync/retries")

Reader = Annotated[Caller, requires("sync:read")]
Operator = Annotated[Caller, requires("sync:operate")]
Code = Annotated[str, Field(min_length=1, max_length=100)]
Reason = Annotated[str, Field(max_length=500)]
_REPEATED = (IdempotencyKeyReused, RequestInProgress)


class Filter(web.Body):
    """Which dossiers; without any member all that failed, are parked, or whose outcome cannot be told."""

    state: Annotated[list[Literal["failed", "parked", "unknown"]], Field(min_length=1)] | None = None
    agency: Code | None = None
    """With its sub-agencies."""
    owner: Literal["partner", "hub", "poison"] | None = None
    reason: Reason | None = None
    codes: Annotated[list[Code], Field(min_length=1, max_length=5000)] | None = None
    incident: UUID | None = None


class PlanRequest(web.Body):
    """A plan; nothing is tried before it is confirmed."""

    filter: Filter = Filter()
    reason: Reason = ""
    per_second: Annotated[int, Field(ge=1)] | None = None
    """Dossiers a second; at most (and without it) what the service allows."""


class ConfirmRequest(web.Body):
    """`count`: what the caller was shown; another number in the plan is refused."""

    count: int | None = None


class SampleDossier(web.Answer):
    """One of the first dossiers of a plan."""

    code: str
    agency_code: str
    state: str | None
    reason: str | None
    owner: str | None


class ReplayRecord(web.Answer):
    """A plan, or how far it has been carried out, without its list."""

    id: str
    destination: str
    kind: Literal["retry", "repair"]
    state: Literal["planned", "expired", "running", "done", "cancelled"]
    filter: dict[str, Any]
    reason: str
    per_second: int
    count: int
    executed: int
    planned_by: str
    planned_at: datetime
    expires_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None
    cancelled_by: str | None
    finished_at: datetime | None
    reconciliation: str | None
    verification: str | None


class Replay(ReplayRecord):
    """With what became of its dossiers so far, where they stand now, and the first of them."""

    outcomes: dict[str, int]
    states: dict[str, int]
    sample: list[SampleDossier]


class Replays(web.Answer):
    """A page, the newest first."""

    items: list[ReplayRecord]
    next_cursor: str | None


def rate(request: Request, asked: int | None) -> int:
    """Dossiers a second, never more than the service allows."""
    allowed: int = request.app.state.replays_per_second
    return min(asked or allowed, allowed)


@router.post("", status_code=201, response_model=Replay, responses=errors(*_REPEATED))
async def plan_retries(
    request: Request, tx: InTransaction, caller: Operator, body: PlanRequest, key: Key = None
) -> Response:
    """Freeze the list of dossiers that fit, and show how many and which; confirm to let it run."""
    wanted = body.filter.model_dump(mode="json", exclude_none=True)
    if states := wanted.pop("state", None):
        wanted["states"] = states

    async def act() -> Replay:
        destination: str = request.app.state.courier.destination
        return Replay(
            **await replaying.plan(
                tx, destination, caller.agencies, wanted, body.reason, rate(request, body.per_second), caller.name
            )
        )

    return await once(
        request,
        tx,
        caller,
        key,
        act,
        status=201,
        headers=lambda it: {"Location": f"/v1/sync/retries/{it.id}", **because(body.reason)},
    )


@router.get("")
async def list_retries(
    request: Request, rx: InReading, _caller: Reader, cursor: str | None = None, limit: PageSize = 100
) -> Replays:
    """Plans, replays and repairs, the newest first."""
    destination: str = request.app.state.courier.destination
    rows = await replaying.listed(rx, destination, place_of(cursor), limit + 1)
    page = rows[:limit]
    more = web.encode_cursor(page[-1]["id"]) if len(rows) > limit else None
    return Replays(items=[ReplayRecord(**row) for row in page], next_cursor=more)


@router.get("/{replay_id}", responses=errors(NotFound))
async def read_retries(replay_id: UUID, rx: InReading, _caller: Reader) -> Replay:
    """A plan with its sample and its progress."""
    return Replay(**await replaying.shown(rx, str(replay_id)))


@router.post(
    "/{replay_id}/confirm", response_model=Replay, responses=errors(NotFound, PlanNotOpen, CountDiffers, *_REPEATED)
)
async def confirm_retries(
    replay_id: UUID,
    request: Request,
    tx: InTransaction,
    caller: Operator,
    body: ConfirmRequest | None = None,
    key: Key = None,
) -> Response:
    """Let the plan run, as it was shown."""

    async def act() -> Replay:
        count = body.count if body else None
        return Replay(**await replaying.confirm(tx, str(replay_id), count, caller.name, web.cause(request)))

    return await once(request, tx, caller, key, act, headers=lambda it: because(it.reason))


@router.post("/{replay_id}/cancel", response_model=Replay, responses=errors(NotFound, PlanNotOpen, *_REPEATED))
async def cancel_retries(
    replay_id: UUID, request: Request, tx: InTransaction, caller: Operator, key: Key = None
) -> Response:
    """Execute no more of it; what was executed stays done."""

    async def act() -> Replay:
        return Replay(**await replaying.cancel(tx, str(replay_id), caller.name))

    return await once(request, tx, caller, key, act, headers=lambda it: because(it.reason))
