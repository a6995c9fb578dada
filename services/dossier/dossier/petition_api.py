"""Petitions: filed by a portal or a desk, handled within the days of QĐ 766, counted for its indicators."""

from datetime import datetime
from typing import Annotated, Any

import asyncpg
from fastapi import Path, Query, Request, Response
from pydantic import StringConstraints

from dossier import petition, petition_store, petitioning
from dossier.bodies import (
    IMPORT_SCOPE,
    ActorBody,
    AgencyCode,
    DossierCode,
    LongText,
    Moment,
    moment_or_day,
)  # fmt: skip
from dossier.cataloguing import Catalogue
from dossier.deadline import WorkingCalendar
from dossier.petition import Asked, Petition, PetitionAction, PetitionState, Score
from dossier.petition_answers import PetitionAnswer, PetitionCounts, PetitionPage
from dossier.petition_store import Row, a_petition
from dossier.refusal import (
    ActionNotForRole,
    AgencyNotValid,
    AlreadyRated,
    ExternalReferenceTaken,
    TimeGoesBack,
    TransitionNotAllowed,
)  # fmt: skip
from shared import clock, exchanges, idempotency, strict_json, web
from shared.auth import Caller
from shared.db import Transaction
from shared.errors import AgencyNotPermitted, NotFound
from shared.idempotency import IdempotencyKeyReused, Key, RequestInProgress
from shared.web import Body

router = web.router(tags=["petitions"])
Id = Annotated[str, Path(min_length=1, max_length=100)]
Reader = Annotated[Caller, web.requires("dossier:read")]
Since = Annotated[str | None, Query(alias="from", max_length=40, description="Received: day or time, inclusive")]
Until = Annotated[str | None, Query(alias="to", max_length=40, description="Received: day (included) or time")]


class PetitionBody(Body):
    """A petition about an agency, or about one of its dossiers. `at`: when it was received."""

    agency_code: AgencyCode
    dossier_code: DossierCode | None = None
    subject: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    external_reference: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    actor: ActorBody | None = None
    at: Moment | None = None


class StepBody(Body):
    """One step with a petition (`dossier.petition`)."""

    action: PetitionAction
    reason: LongText | None = None
    text: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    score: Score | None = None
    actor: ActorBody | None = None
    at: Moment | None = None


@router.post(
    "/v1/petitions",
    status_code=201,
    response_model=PetitionAnswer,
    responses=web.errors(
        NotFound, ActionNotForRole, AgencyNotPermitted, AgencyNotValid, ExternalReferenceTaken, TimeGoesBack,
        IdempotencyKeyReused, RequestInProgress,
    ),
)  # fmt: skip
async def file(
    *,
    request: Request,
    caller: Annotated[Caller, web.requires("dossier:write")],
    tx: web.InTransaction,
    body: PetitionBody,
    key: Key = None,
) -> Response:
    """File a petition; the answer says until when each step is due."""

    async def act() -> Response:
        agency_code = _agency(request, caller, body)
        asked = Asked(
            "answer", caller.role, clock.now(), body.at, actor=_actor(body.actor), may_import=_imports(caller)
        )
        try:
            it = await petitioning.file(
                tx, asked, _calendar(request), agency_code=agency_code, dossier_code=body.dossier_code,
                subject=body.subject, external_reference=body.external_reference, client_id=caller.client_id,
                exchange_id=web.exchange_id(request),
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            raise ExternalReferenceTaken from None
        return await _answered(request, tx, caller, 201, it)

    return await idempotency.once(tx, request, caller, key, act)


@router.post(
    "/v1/petitions/{petition_id}/steps",
    response_model=PetitionAnswer,
    responses=web.errors(
        NotFound, ActionNotForRole, TransitionNotAllowed, TimeGoesBack, AlreadyRated, IdempotencyKeyReused,
        RequestInProgress,
    ),
)  # fmt: skip
async def step(
    *,
    request: Request,
    petition_id: Id,
    caller: Annotated[Caller, web.requires("dossier:transition")],
    tx: web.InTransaction,
    body: StepBody,
    key: Key = None,
) -> Response:
    """Refuse, ask for more, answer, publish, rate."""

    async def act() -> Response:
        asked = Asked(
            body.action, caller.role, clock.now(), body.at, body.reason or None, body.text or None, body.score,
            _actor(body.actor), _imports(caller),
        )  # fmt: skip
        it = await petitioning.step(
            tx, petition_id, asked, _calendar(request), client_id=caller.client_id, exchange_id=web.exchange_id(request)
        )
        return await _answered(request, tx, caller, 200, it)

    return await idempotency.once(tx, request, caller, key, act)


@router.get("/v1/petitions", response_model=PetitionPage)
async def listed(
    *,
    request: Request,
    _caller: Reader,
    rx: web.InReading,
    agency: Annotated[AgencyCode | None, Query()] = None,
    state: Annotated[PetitionState | None, Query()] = None,
    dossier_code: Annotated[DossierCode | None, Query()] = None,
    late: bool | None = None,
    since: Since = None,
    until: Until = None,
    purpose: web.Purpose = None,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    limit: web.PageSize = 100,
) -> Response:
    """Petitions in the order they came."""
    place = web.decode_cursor(cursor, 1)
    within = (_agency_filter(request, agency), *_period(since, until))
    rows = await petition_store.page(
        rx, *within, state, dossier_code, late, "" if place is None else str(place[0]), limit + 1
    )
    items = [_whole(request, row, personal=bool(purpose)) for row in rows[:limit]]
    following = web.encode_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None
    return _json({"items": items, "next_cursor": following})


@router.get("/v1/petitions/counts", response_model=PetitionCounts)
async def counted(
    *,
    request: Request,
    _caller: Reader,
    rx: web.InReading,
    agency: Annotated[AgencyCode | None, Query()] = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    """Per agency, of the petitions received in the time: late, closed, closed on time, rated, satisfied."""
    rows = await petition_store.counts(rx, _agency_filter(request, agency), *_period(since, until))
    return _json({"as_of": clock.now(), "items": [dict(row) for row in rows]})


@router.get("/v1/petitions/{petition_id}", response_model=PetitionAnswer, responses=web.errors(NotFound))
async def read(
    request: Request, petition_id: Id, _caller: Reader, rx: web.InReading, purpose: web.Purpose = None
) -> Response:
    """One petition with its steps; with `Hub-Purpose` also what it says."""
    row = await petition_store.one(rx, petition_id)
    if row is None:
        raise NotFound
    whole = _whole(request, row, personal=bool(purpose))
    return _json({**whole, "steps": [dict(it) for it in await petition_store.steps(rx, petition_id)]})


def shown(it: Petition, calendar: WorkingCalendar) -> dict[str, Any]:
    """A petition as every route answers it."""
    return {
        "petition_id": it.id,
        "agency_code": it.agency_code,
        "dossier_code": it.dossier_code,
        "state": it.state,
        "version": it.version,
        "received_at": it.received_at,
        "refused_at": it.refused_at,
        "answered_at": it.answered_at,
        "published_at": it.published_at,
        "limits": petition.limits(it, calendar),
        "late_at": it.late_at,
        "is_late": it.is_late(clock.now()),
        "score": it.score,
    }


def _whole(request: Request, row: Row, *, personal: bool) -> dict[str, Any]:
    whole = shown(a_petition(row), _calendar(request))
    whole |= {"external_reference": row["external_reference"], "answer": row["answer"]}
    return {**whole, "subject": row["subject"]} if personal else whole


def _agency(request: Request, caller: Caller, body: PetitionBody) -> str:
    """Whose petition it is. Raises `AgencyNotPermitted`, `AgencyNotValid`."""
    catalogue: Catalogue = request.app.state.catalogue
    found = catalogue.agency(body.agency_code, clock.local_date(body.at or clock.now()))
    caller.require_agency(body.agency_code if found is None else found.code)
    if found is None:
        raise AgencyNotValid
    return found.code


def _agency_filter(request: Request, text: str | None) -> str | None:
    catalogue: Catalogue = request.app.state.catalogue
    found = None if text is None else catalogue.find_agency(text)
    return text if found is None else found.code


def _period(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    return moment_or_day("from", since, end=False), moment_or_day("to", until, end=True)


def _actor(actor: ActorBody | None) -> dict[str, Any] | None:
    return None if actor is None else dict(actor.__dict__)


def _imports(caller: Caller) -> bool:
    return IMPORT_SCOPE in caller.scopes


def _calendar(request: Request) -> WorkingCalendar:
    calendar: WorkingCalendar = request.app.state.calendar
    return calendar


async def _answered(request: Request, tx: Transaction, caller: Caller, status: int, it: Petition) -> Response:
    codes = [] if it.dossier_code is None else [it.dossier_code]
    await exchanges.keep(tx, web.exchange_id(request), caller.client_id, codes)
    headers = {"location": f"/v1/petitions/{it.id}"} if status == 201 else {}
    return Response(strict_json.dumps(shown(it, _calendar(request))), status, headers, "application/json")


def _json(value: Any) -> Response:
    return Response(strict_json.dumps(value), media_type="application/json")
