"""Ministries' events as this service knows them: what stands open, replays; for the gateway what became of each."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import Field

from dossier import ministry_replay_store, ministry_replaying, ministry_store
from dossier.ministry_answers import (
    NAME,
    ConfirmRequest,
    EventOutcome,
    EventReplay,
    ReplayRequest,
    UnsettledCount,
    UnsettledPage,
    require_operator,
)
from dossier.ministry_replaying import CountDiffers, PlanNotOpen
from dossier.ministry_store import UNUSABLE, State
from shared import exchanges, idempotency, web
from shared.auth import Caller
from shared.db import Database, Transaction
from shared.errors import AgencyNotPermitted, InvalidRequest, NotFound
from shared.idempotency import IdempotencyKeyReused, Key, RequestInProgress
from shared.web import InReading, InTransaction, errors, requires

router = web.router(tags=["events"], prefix="/v1/events")
internal_router = web.router(tags=["internal"])

Reader = Annotated[Caller, requires("dossier:read")]
Operator = Annotated[Caller, requires("sync:operate")]
Watcher = Annotated[Caller, requires("sync:read")]
_REPEATED = (IdempotencyKeyReused, RequestInProgress, AgencyNotPermitted)
_MOST_OF_A_DOSSIER = 500


@router.get("/unsettled")
async def list_unsettled(
    rx: InReading,
    caller: Reader,
    state: Annotated[list[State] | None, Query()] = None,
    client_id: Annotated[str | None, Query(max_length=255, pattern=NAME)] = None,
    source: Annotated[str | None, Query(max_length=500, pattern=NAME)] = None,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: web.PageSize = 100,
) -> UnsettledPage:
    """Events that are not applied: counts by client, source, type and reason, and the events, the oldest first.

    A ministry sees its own, an operator those about the dossiers of its agencies (of all agencies: every one).
    """
    place = web.decode_cursor(cursor, 1)
    after = 0 if place is None else place[0]
    if type(after) is not int or not 0 <= after < 2**63:
        raise InvalidRequest("The cursor is not one of ours")
    seen = ministry_store.Seen(caller.client_id, caller.role == "operator", client_id, source)
    rows = await ministry_store.page(rx, after, state, seen, limit + 1)
    return UnsettledPage(
        counts=[UnsettledCount(**dict(row)) for row in await ministry_store.counts(rx, seen)],
        items=[_shown(row) for row in rows[:limit]],
        next_cursor=web.encode_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None,
    )


@router.post("/replays", status_code=201, response_model=EventReplay, responses=errors(*_REPEATED))
async def plan_replay(
    request: Request, tx: InTransaction, caller: Operator, body: ReplayRequest, key: Key = None
) -> Response:
    """Freeze the list of a ministry's events from a time on; confirm to have those tried again that are not applied."""
    require_operator(caller)

    async def act() -> Response:
        id_ = await ministry_replay_store.plan(tx, caller.client_id, **body.model_dump())
        return await _answered(request, tx, caller, await ministry_replaying.shown(tx, id_), status=201)

    return await idempotency.once(tx, request, caller, key, act)


@router.get("/replays/{replay_id}", responses=errors(NotFound, AgencyNotPermitted))
async def read_replay(replay_id: UUID, rx: InReading, caller: Watcher) -> EventReplay:
    """A plan with its sample and its progress."""
    require_operator(caller)
    return _replay(await ministry_replaying.shown(rx, str(replay_id)))


@router.post(
    "/replays/{replay_id}/confirm",
    response_model=EventReplay,
    responses=errors(NotFound, PlanNotOpen, CountDiffers, *_REPEATED),
)
async def confirm_replay(
    replay_id: UUID, request: Request, tx: InTransaction, caller: Operator, body: ConfirmRequest | None = None,
    key: Key = None,
) -> Response:  # fmt: skip
    """Let the plan run, as it was shown."""
    require_operator(caller)
    asked = body or ConfirmRequest()

    async def act() -> Response:
        row = await ministry_replaying.confirm(tx, str(replay_id), asked.count, caller.client_id)
        return await _answered(request, tx, caller, row)

    return await idempotency.once(tx, request, caller, key, act)


@router.post(
    "/replays/{replay_id}/cancel", response_model=EventReplay, responses=errors(NotFound, PlanNotOpen, *_REPEATED)
)
async def cancel_replay(
    replay_id: UUID, request: Request, tx: InTransaction, caller: Operator, key: Key = None
) -> Response:
    """Try no more of it; what was applied stays applied."""
    require_operator(caller)

    async def act() -> Response:
        row = await ministry_replaying.cancel(tx, str(replay_id), caller.client_id)
        return await _answered(request, tx, caller, row)

    return await idempotency.once(tx, request, caller, key, act)


class Named(web.Body):
    """An event by its names."""

    client_id: str
    source: str
    id: str


class OutcomesQuestion(web.Body):
    """These events, and all of a dossier."""

    events: Annotated[list[Named], Field(max_length=500, default_factory=list)]
    dossier_code: str | None = None


class OutcomesAnswer(web.Answer):
    """What is known of those asked about; the others have not come yet."""

    items: list[EventOutcome]


@internal_router.post("/internal/events/outcomes", dependencies=[web.requires_internal()])
async def internal_outcomes(request: Request, body: OutcomesQuestion) -> OutcomesAnswer:
    """What became of ministries' events, for the gateway's delivery matrix."""
    database: Database = request.app.state.system_database
    named = [(it.client_id, it.source, it.id) for it in body.events]
    async with database.reading() as rx:
        rows = [*await ministry_store.outcomes(rx, named)]
        if body.dossier_code is not None:
            rows += await ministry_store.of_code(rx, body.dossier_code, _MOST_OF_A_DOSSIER)
        rows += await ministry_store.parked(rx, named)
    return OutcomesAnswer(items=[_shown(row) for row in {row["id"]: row for row in rows}.values()])


def _shown(row: Mapping[str, Any]) -> EventOutcome:
    fault = "hub" if (row["reason"] or "").startswith(ministry_store.HUB_FAULT) else "partner"
    owner = row.get("owner") or (fault if row["state"] in (*UNUSABLE, "expired") else None)
    return EventOutcome(
        number=row["id"],
        id=row["event_id"],
        owner=owner,
        applied_at=row["settled_at"] if row["state"] == "applied" else None,
        **{
            name: row[name]
            for name in ("client_id", "source", "type", "dossier_code", "state", "reason", "action", "happened_at",
                         "version", "vocabulary_version", "published_at", "taken_at")
        },
    )  # fmt: skip


def _replay(row: Mapping[str, Any]) -> EventReplay:
    renamed = {"count": row["planned_count"], "executed": row["executed_count"], "id": str(row["id"])}
    kept = {name: row[name] for name in EventReplay.model_fields if name in row and name not in ("id", "sample")}
    return EventReplay(**kept, **renamed, sample=[_shown(it) for it in row["sample"]])


async def _answered(
    request: Request, tx: Transaction, caller: Caller, row: Mapping[str, Any], status: int = 200
) -> Response:
    await exchanges.keep(tx, web.exchange_id(request), caller.client_id)
    place = {"Location": f"/v1/events/replays/{row['id']}"} if status == 201 else {}
    return Response(_replay(row).model_dump_json(), status, place, "application/json")
