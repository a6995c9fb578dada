"""Routes of the catalogue: public reference data, changed under `catalogue:write`.

`/internal/agencies` gives the other services the names (the console's reports): events carry codes only.
"""

from datetime import date
from typing import Annotated

from fastapi import Path, Query, Request, Response

from dossier import catalogue_store as store
from dossier import cataloguing
from dossier.catalogue import Agency, newest
from dossier.catalogue_bodies import (
    AgencyAnswer,
    AgencyBody,
    AgencyCode,
    AgencyPage,
    ProcedureAnswer,
    ProcedureBody,
    ProcedureCode,
    ProcedurePage,
    ProcedureVersions,
    Successions,
    a_procedure,
    agency_answer,
    procedure_answer,
)
from dossier.cataloguing import Catalogue
from dossier.refusal import AliasTaken
from shared import clock, exchanges, web
from shared.agency_codes import canonical
from shared.auth import Caller
from shared.errors import AgencyNotPermitted, InvalidRequest, NotFound

router = web.router(tags=["catalogue"])
internal_router = web.router(tags=["internal"])

Cursor = Annotated[str | None, Query(max_length=500)]
Day = Annotated[date | None, Query(description="As in force on this day; today when absent")]
Search = Annotated[
    str | None, Query(max_length=200, description="Words that begin words of the name; accents do not count")
]


@router.get(
    "/v1/agencies",
    response_model=AgencyPage,
    responses=web.errors(InvalidRequest),
    dependencies=[web.requires("catalogue:read")],
)
async def list_agencies(
    *,
    rx: web.InReading,
    request: Request,
    search: Search = None,
    parent: str | None = None,
    day: Annotated[date | None, Query(description="Only those valid on this day")] = None,
    cursor: Cursor = None,
    limit: web.PageSize = 100,
) -> AgencyPage:
    """Agencies in order of their codes, with those that are no longer valid unless a `day` is asked for."""
    above, after = None if parent is None else canonical(parent), _after(cursor)
    if search is None:
        found = await store.agencies(rx, above, after, limit + 1, day)
    else:
        named = _catalogue(request).find_agencies(search)
        found = [it for it in named if it.code > after and above in {None, it.parent}]
        found = [it for it in found if day is None or it.is_valid_on(day)][: limit + 1]
    return AgencyPage(
        items=[agency_answer(it) for it in found[:limit]],
        next_cursor=web.encode_cursor(found[limit - 1].code) if len(found) > limit else None,
    )


@router.get(
    "/v1/agencies/{code}",
    response_model=AgencyAnswer,
    responses=web.errors(NotFound),
    dependencies=[web.requires("catalogue:read")],
)
async def get_agency(code: str, rx: web.InReading) -> AgencyAnswer:
    """One agency, by its code, an alias, or the code's former form."""
    found = await store.agency(rx, code)
    if found is None:
        raise NotFound
    return agency_answer(found)


@router.put(
    "/v1/agencies/{code}",
    response_model=AgencyAnswer,
    responses=web.errors(InvalidRequest, AgencyNotPermitted, AliasTaken) | {201: {"model": AgencyAnswer}},
)
async def put_agency(
    *,
    code: Annotated[AgencyCode, Path()],
    body: AgencyBody,
    request: Request,
    response: Response,
    caller: Annotated[Caller, web.requires("catalogue:write")],
    tx: web.InTransaction,
) -> AgencyAnswer:
    """Create the agency or change it; the same body again changes nothing."""
    caller.require_agency(code)
    if code in (body.parent, body.successor):
        raise InvalidRequest("An agency is neither its own parent nor its own successor")
    members = body.model_dump(exclude={"vertical"})
    it = Agency(code=code, **{**members, "aliases": tuple(body.aliases), "is_vertical": body.vertical})
    if await cataloguing.put_agency(tx, _catalogue(request), it):
        response.status_code = 201
    await exchanges.keep(tx, web.exchange_id(request), caller.client_id)
    return agency_answer(it)


@router.get(
    "/v1/procedures",
    response_model=ProcedurePage,
    responses=web.errors(InvalidRequest),
    dependencies=[web.requires("catalogue:read")],
)
async def list_procedures(
    *,
    rx: web.InReading,
    request: Request,
    search: Search = None,
    field_code: str | None = None,
    day: Day = None,
    cursor: Cursor = None,
    limit: web.PageSize = 100,
) -> ProcedurePage:
    """Procedures in order of their codes, each in the version of the day."""
    after = _after(cursor)
    if search is None:
        found = await store.procedures(rx, day or _today(), field_code, after, limit + 1)
    else:
        named = _catalogue(request).find_procedures(search, day or _today())
        found = [it for it in named if it.code > after and field_code in {None, it.field_code}][: limit + 1]
    return ProcedurePage(
        items=[procedure_answer(it) for it in found[:limit]],
        next_cursor=web.encode_cursor(found[limit - 1].code) if len(found) > limit else None,
    )


@router.get(
    "/v1/procedures/{code}",
    response_model=ProcedureAnswer,
    responses=web.errors(NotFound),
    dependencies=[web.requires("catalogue:read")],
)
async def get_procedure(
    code: str,
    rx: web.InReading,
    day: Day = None,
) -> ProcedureAnswer:
    """The version in force on the day; of a procedure not yet in force, its newest version."""
    known = await store.versions(rx, code)
    if not known:
        raise NotFound
    return procedure_answer(newest(known, day or _today()) or known[-1])


@router.get(
    "/v1/procedures/{code}/versions",
    response_model=ProcedureVersions,
    responses=web.errors(NotFound),
    dependencies=[web.requires("catalogue:read")],
)
async def list_procedure_versions(code: str, rx: web.InReading) -> ProcedureVersions:
    """All versions, the oldest first; a dossier keeps the one that it was filed under."""
    known = await store.versions(rx, code)
    if not known:
        raise NotFound
    return ProcedureVersions(items=[procedure_answer(it) for it in known])


@router.put(
    "/v1/procedures/{code}",
    response_model=ProcedureAnswer,
    responses=web.errors(InvalidRequest) | {201: {"model": ProcedureAnswer}},
)
async def put_procedure(
    *,
    code: Annotated[ProcedureCode, Path()],
    body: ProcedureBody,
    request: Request,
    response: Response,
    caller: Annotated[Caller, web.requires("catalogue:write")],
    tx: web.InTransaction,
) -> ProcedureAnswer:
    """Make a new version unless the one with this `valid_from` says the same already."""
    stored, is_new = await cataloguing.put_procedure(tx, _catalogue(request), a_procedure(code, body))
    if is_new:
        response.status_code = 201
    await exchanges.keep(tx, web.exchange_id(request), caller.client_id)
    return procedure_answer(stored)


@internal_router.get("/internal/agencies", response_model=AgencyPage, dependencies=[web.requires_internal()])
async def internal_agencies(request: Request) -> AgencyPage:
    """All agencies at once, for services that show names."""
    async with request.app.state.api_database.reading() as rx:
        found = await store.agencies(rx, None, "", None)
    return AgencyPage(items=[agency_answer(it) for it in found], next_cursor=None)


@internal_router.get(
    "/internal/agencies/successions", response_model=Successions, dependencies=[web.requires_internal()]
)
async def internal_successions(request: Request) -> Successions:
    """The agencies that have ended, and who has their dossiers today: `shared.succession`."""
    return Successions(items=dict(_catalogue(request).successions().now))


def _catalogue(request: Request) -> Catalogue:
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


def _today() -> date:
    return clock.local_date(clock.now())


def _after(cursor: str | None) -> str:
    place = web.decode_cursor(cursor, 1)
    return "" if place is None else str(place[0])
