"""Reading routes and ratings; intake is in `intake_api`, actions in `transition_api`, the catalogue in `catalogue_api`.

Another agency's dossier is 404 on all of them: row-level security does not show it. Personal data is left out
unless the request states a purpose (`Hub-Purpose`, which the gateway logs).
"""

from itertools import groupby
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request, Response

from dossier import list_store, reading_store, record_view
from dossier.answers import (
    DossierAnswer,
    DossierPage,
    HistoryAnswer,
    RatingAnswer,
    ReadAnswer,
    TrackingAnswer,
)
from dossier.bodies import RatingBody, ReadBody, SearchBody, moment_or_day, status_codes
from dossier.cataloguing import Catalogue
from dossier.handling import Procedures
from dossier.list_store import Filters, Place
from dossier.person import PersonKeys
from dossier.refusal import AlreadyRated, PurposeRequired
from shared import clock, exchanges, idempotency, strict_json, web
from shared.agency_codes import canonical
from shared.auth import Caller
from shared.db import Database, Reading
from shared.errors import InvalidRequest, NotFound
from shared.idempotency import IdempotencyKeyReused, Key, RequestInProgress

router = web.router(tags=["dossiers"])
internal_router = web.router(tags=["internal"])

Reader = Annotated[Caller, web.requires("dossier:read")]
Include = Annotated[Literal["history"] | None, Query()]
Cursor = Annotated[str | None, Query(max_length=500)]
_COUNTED = 1_000
Short = Annotated[str | None, Query(max_length=255)]


def _filters(
    *,
    request: Request,
    agency: Short = None,
    status: Short = None,
    procedure: Short = None,
    channel: Annotated[Literal["counter", "online", "post"] | None, Query()] = None,
    received_from: Short = None,
    received_to: Short = None,
    overdue: bool | None = None,
    external_reference: Short = None,
    verdict: Annotated[Literal["differs"] | None, Query()] = None,
    late_within_hours: Annotated[int | None, Query(ge=1, le=2000)] = None,
) -> Filters:
    """The query of a list; times are RFC 3339 or days, `received_to` includes the day it names.

    `verdict=differs`: late here or by the national rule, but not both. `late_within_hours`: working hours.
    """
    return Filters(
        agency=None if agency is None else _agency_code(request, agency),
        statuses=status_codes(status),
        procedure=procedure,
        channel=channel,
        received_from=moment_or_day("received_from", received_from, end=False),
        received_to=moment_or_day("received_to", received_to, end=True),
        overdue=overdue,
        external_reference=external_reference,
        verdicts_differ=verdict is not None,
        late_until=None if late_within_hours is None else _procedures(request).hours_ahead(late_within_hours),
    )


@router.get("/v1/dossiers", response_model=DossierPage)
async def list_dossiers(
    *,
    request: Request,
    caller: Reader,
    rx: web.InReading,
    filters: Annotated[Filters, Depends(_filters)],
    purpose: web.Purpose = None,
    include: Include = None,
    counted: bool = False,
    cursor: Cursor = None,
    limit: web.PageSize = 100,
) -> Response:
    """Dossiers in the order of their codes; `received_…` by the reception, `overdue` and `late_…` by the due time.

    With `counted` also how many there are (1,001: more than 1,000).
    """
    count = await list_store.count(rx, filters, caller.agencies, _COUNTED + 1) if counted else None
    person_keys = _person_keys(request) if purpose else None
    return await _page(
        rx, caller, filters, cursor, limit, person_keys=person_keys, with_history=include is not None, count=count
    )


@router.post("/v1/dossiers/search", response_model=DossierPage, responses=web.errors(PurposeRequired))
async def search(
    *, request: Request, caller: Reader, rx: web.InReading, body: SearchBody, purpose: web.Purpose = None
) -> Response:
    """A person's dossiers, for a stated purpose."""
    if not purpose:
        raise PurposeRequired
    agency = None if body.agency is None else _agency_code(request, body.agency)
    person_keys = _person_keys(request)
    filters = Filters(
        agency=agency, statuses=status_codes(body.status), person_hashes=person_keys.hashes(body.personal_id)
    )
    return await _page(rx, caller, filters, body.cursor, body.limit, person_keys=person_keys, with_history=False)


@router.get("/v1/dossiers/{code}", response_model=DossierAnswer, responses=web.errors(NotFound))
async def read(
    *,
    request: Request,
    code: web.DossierInPath,
    _caller: Reader,
    rx: web.InReading,
    purpose: web.Purpose = None,
    include: Include = None,
) -> Response:
    """One dossier with its clock; with `Hub-Purpose` also `applicant`, `form` and `attachments`."""
    row = await reading_store.one(rx, code)
    if row is None:
        raise NotFound
    now = clock.now()
    found = record_view.item(_person_keys(request).shown(row) if purpose else row, now, personal=bool(purpose))
    found["combined"] = row["combined"]
    found["clock"] = record_view.clock(row, _procedures(request), now)
    found["next_actions"] = record_view.next_actions(row, now)
    if include is not None:
        found["history"] = record_view.history(await reading_store.history(rx, [code]))
    return _json(found)


@router.get("/v1/dossiers/{code}/history", response_model=HistoryAnswer, responses=web.errors(NotFound))
async def history(code: web.DossierInPath, _caller: Reader, rx: web.InReading) -> Response:
    """All transitions, oldest first."""
    rows = await reading_store.history(rx, [code])
    if not rows:
        raise NotFound
    return _json({"items": record_view.history(rows), "next_cursor": None})


@router.get("/v1/tracking/{code}", response_model=TrackingAnswer, responses=web.errors(NotFound))
async def track(request: Request, code: web.DossierInPath, _caller: Reader) -> Response:
    """Where a dossier of any agency stands; no personal data."""
    database: Database = request.app.state.api_database
    async with database.reading() as rx:
        row = await reading_store.one(rx, code)
    if row is None:
        raise NotFound
    return _json(record_view.tracking(row, _catalogue(request)))


@router.post(
    "/v1/ratings",
    status_code=201,
    response_model=RatingAnswer,
    responses=web.errors(NotFound, AlreadyRated, IdempotencyKeyReused, RequestInProgress),
)
async def rate(
    request: Request,
    caller: Annotated[Caller, web.requires("dossier:write")],
    tx: web.InTransaction,
    body: RatingBody,
    key: Key = None,
) -> Response:
    """How satisfied the applicant was; once per dossier."""

    async def act() -> Response:
        at = body.at or clock.now()
        if not await reading_store.rate(tx, body.dossier_code, body.score, at, caller.client_id):
            raise AlreadyRated if await reading_store.exists(tx, body.dossier_code) else NotFound
        await exchanges.keep(tx, web.exchange_id(request), caller.client_id, [body.dossier_code])
        answer = {"dossier_code": body.dossier_code, "score": body.score, "at": at}
        return Response(strict_json.dumps(answer), 201, media_type="application/json")

    return await idempotency.once(tx, request, caller, key, act)


@internal_router.post("/internal/dossiers/read", response_model=ReadAnswer, dependencies=[web.requires_internal()])
async def internal_read(request: Request, body: ReadBody) -> Response:
    """Whole records for a neighbour that acts; unknown codes are left out, and what cannot be read."""
    database: Database = request.app.state.system_database
    codes = sorted(set(body.codes))
    async with database.reading() as rx:
        rows = await reading_store.many(rx, codes)
        progress = await reading_store.progress(rx, codes) if body.view == "sync" else []
    by_code = {code: list(found) for code, found in groupby(progress, key=lambda row: row["code"])}
    catalogue, shown = _catalogue(request), _person_keys(request).shown_each(rows)
    return _json(
        {"items": [record_view.internal(row, body.view, catalogue, by_code.get(row["code"], [])) for row in shown]}
    )


async def _page(
    rx: Reading,
    caller: Caller,
    filters: Filters,
    cursor: str | None,
    limit: int,
    *,
    person_keys: PersonKeys | None,
    with_history: bool,
    count: int | None = None,
) -> Response:
    """`person_keys` are given when a purpose was stated."""
    personal = person_keys is not None
    after = _place(cursor, filters)
    rows = await list_store.page(rx, filters, caller.agencies, after, limit + 1, personal=personal)
    now = clock.now()
    shown = rows[:limit] if person_keys is None else [person_keys.shown(row) for row in rows[:limit]]
    items: list[dict[str, Any]] = [record_view.item(row, now, personal=personal) for row in shown]
    if with_history:
        found = await reading_store.history(rx, [it["code"] for it in items])
        by_code = {code: list(rows) for code, rows in groupby(found, key=lambda row: row["code"])}
        for it in items:
            it["history"] = record_view.history(by_code.get(it["code"], []))
    following = _cursor(rows[limit - 1], filters) if len(rows) > limit else None
    counted = {} if count is None else {"count": count}
    return _json({"items": items, "next_cursor": following, **counted})


def _cursor(last: list_store.Row, filters: Filters) -> str:
    if filters.order == "code":
        return web.encode_cursor(last["code"])
    return web.encode_cursor(last["code"], last[filters.order].isoformat())


def _place(cursor: str | None, filters: Filters) -> Place | None:
    """The last row of the page before; a cursor of another order is none of ours."""
    parts = web.decode_cursor(cursor, 1 if filters.order == "code" else 2)
    if parts is None:
        return None
    code, at = parts[0], None if len(parts) == 1 else web.time_in_cursor(parts[1])
    if not isinstance(code, str):
        raise InvalidRequest("The cursor is not one of ours")
    return Place(code, at)


def _catalogue(request: Request) -> Catalogue:
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


def _agency_code(request: Request, text: str) -> str:
    """The agency meant by a code in any form, or an alias; what is unknown stays as it is."""
    found = _catalogue(request).find_agency(text)
    return canonical(text) if found is None else found.code


def _person_keys(request: Request) -> PersonKeys:
    keys: PersonKeys = request.app.state.person_keys
    return keys


def _procedures(request: Request) -> Procedures:
    procedures: Procedures = request.app.state.procedures
    return procedures


def _json(value: Any) -> Response:
    return Response(strict_json.dumps(value), media_type="application/json")
