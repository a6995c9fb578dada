"""Routes of the catalogue: public reference data, changed under `catalogue:write`.

`/internal/agencies` gives the other services the names (the console's reports): events carry codes only.
"""

from datetime import date
from typing import Annotated, Any

from fastapi import Path, Query, Request, Response
from pydantic import Field, StringConstraints, model_validator

from dossier import catalogue_store as store
from dossier import cataloguing
from dossier.bodies import VISIBLE, Code
from dossier.catalogue import (
    AGENCY_CODE,
    PROCEDURE_CODE,
    Agency,
    Channel,
    ChannelLimit,
    Component,
    Fee,
    FeeKind,
    OnlineLevel,
    Procedure,
    Result,
    in_force,
)
from dossier.cataloguing import Catalogue
from dossier.deadline import Limit, SupplementPolicy, Unit
from dossier.refusal import AliasTaken
from shared import clock, exchanges, web
from shared.agency_codes import canonical
from shared.auth import Caller
from shared.errors import AgencyNotPermitted, InvalidRequest, NotFound

router = web.router(tags=["catalogue"])
internal_router = web.router(tags=["internal"])

_MAX_VND = 10**12

Name = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=VISIBLE)]
AgencyCode = Annotated[str, StringConstraints(pattern=AGENCY_CODE, max_length=35)]
ProcedureCode = Annotated[str, StringConstraints(pattern=PROCEDURE_CODE)]
Level = Annotated[str, StringConstraints(min_length=1, max_length=50)] | Annotated[int, Field(ge=0, le=9)]


class AgencyBody(web.Body):
    """An agency. `valid_from` absent: always; `valid_to`: its last day."""

    name: Name
    level: Level = "department"
    parent: AgencyCode | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    successor: AgencyCode | None = None
    aliases: list[Code] = Field(default_factory=list, max_length=50)
    vertical: bool = Field(default=False, strict=True)
    """Of a ministry: not among the province's totals."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "AgencyBody":
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError("valid_to lies before valid_from")
        return self


class AgencyAnswer(web.Answer):
    """An agency as stored."""

    code: str
    name: str
    level: str | int
    parent: str | None
    valid_from: date | None
    valid_to: date | None
    successor: str | None
    aliases: list[str]
    vertical: bool


class AgencyPage(web.Answer):
    """A page of agencies in order of their codes."""

    items: list[AgencyAnswer]
    next_cursor: str | None


class LimitBody(web.Body):
    """A processing time for one channel."""

    channel: Channel
    value: int = Field(ge=0, le=3650)
    unit: Unit


class FeeBody(web.Body):
    """One fee or charge, in đồng."""

    code: Code
    name: Name
    kind: FeeKind = "fee"
    amount_vnd: int = Field(ge=0, le=_MAX_VND)


class ComponentBody(web.Body):
    """A paper of the dossier."""

    code: Code
    name: Name
    required: bool = True


class ResultBody(web.Body):
    """A document the procedure ends with."""

    code: Code
    name: Name


class ProcedureBody(web.Body):
    """A procedure. A channel without a limit of its own takes the first one's."""

    name: Name
    field_code: Code
    field_name: Name
    online_level: OnlineLevel = "full"
    limits: list[LimitBody] = Field(min_length=1, max_length=3)
    fees: list[FeeBody] = Field(default_factory=list, max_length=100)
    components: list[ComponentBody] = Field(default_factory=list, max_length=200)
    results: list[ResultBody] = Field(default_factory=list, max_length=100)
    agencies: list[AgencyCode | Annotated[str, StringConstraints(pattern=r"^\*$")]] = Field(
        default_factory=lambda: ["*"], min_length=1, max_length=2000
    )
    supplement_policy: SupplementPolicy = "extend"
    valid_from: date | None = None

    @model_validator(mode="after")
    def _one_limit_per_channel(self) -> "ProcedureBody":
        channels = [entry.channel for entry in self.limits]
        if len(set(channels)) != len(channels):
            raise ValueError("a channel has two limits")
        return self


class ProcedureAnswer(web.Answer):
    """A version of a procedure as stored."""

    code: str
    version: int
    name: str
    field_code: str
    field_name: str
    online_level: OnlineLevel
    limits: list[dict[str, Any]]
    fees: list[dict[str, Any]]
    components: list[dict[str, Any]]
    results: list[dict[str, Any]]
    agencies: list[str]
    supplement_policy: SupplementPolicy
    valid_from: date | None


class ProcedurePage(web.Answer):
    """A page of procedures in order of their codes."""

    items: list[ProcedureAnswer]
    next_cursor: str | None


Cursor = Annotated[str | None, Query(max_length=500)]
Day = Annotated[date | None, Query(description="As in force on this day; today when absent")]


@router.get(
    "/v1/agencies",
    response_model=AgencyPage,
    responses=web.errors(InvalidRequest),
    dependencies=[web.requires("catalogue:read")],
)
async def list_agencies(
    *,
    rx: web.InReading,
    parent: str | None = None,
    day: Annotated[date | None, Query(description="Only those valid on this day")] = None,
    cursor: Cursor = None,
    limit: web.PageSize = 100,
) -> AgencyPage:
    """Agencies in order of their codes, with those that are no longer valid unless a `day` is asked for."""
    above = None if parent is None else canonical(parent)
    found = await store.agencies(rx, above, _after(cursor), limit + 1, day)
    return AgencyPage(
        items=[_agency_answer(it) for it in found[:limit]],
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
    return _agency_answer(found)


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
    return _agency_answer(it)


@router.get(
    "/v1/procedures",
    response_model=ProcedurePage,
    responses=web.errors(InvalidRequest),
    dependencies=[web.requires("catalogue:read")],
)
async def list_procedures(
    *,
    rx: web.InReading,
    field_code: str | None = None,
    day: Day = None,
    cursor: Cursor = None,
    limit: web.PageSize = 100,
) -> ProcedurePage:
    """Procedures in order of their codes, each in the version of the day."""
    found = await store.procedures(rx, day or _today(), field_code, _after(cursor), limit + 1)
    return ProcedurePage(
        items=[_procedure_answer(it) for it in found[:limit]],
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
    return _procedure_answer(in_force(known, day or _today()) or known[-1])


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
    stored, is_new = await cataloguing.put_procedure(tx, _catalogue(request), _a_procedure(code, body))
    if is_new:
        response.status_code = 201
    await exchanges.keep(tx, web.exchange_id(request), caller.client_id)
    return _procedure_answer(stored)


@internal_router.get("/internal/agencies", response_model=AgencyPage, dependencies=[web.requires_internal()])
async def internal_agencies(request: Request) -> AgencyPage:
    """All agencies at once, for services that show names."""
    async with request.app.state.api_database.reading() as rx:
        found = await store.agencies(rx, None, "", None)
    return AgencyPage(items=[_agency_answer(it) for it in found], next_cursor=None)


def _catalogue(request: Request) -> Catalogue:
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


def _today() -> date:
    return clock.local_date(clock.now())


def _after(cursor: str | None) -> str:
    place = web.decode_cursor(cursor, 1)
    return "" if place is None else str(place[0])


def _agency_answer(it: Agency) -> AgencyAnswer:
    return AgencyAnswer(
        code=it.code,
        name=it.name,
        level=it.level,
        parent=it.parent,
        valid_from=it.valid_from,
        valid_to=it.valid_to,
        successor=it.successor,
        aliases=list(it.aliases),
        vertical=it.is_vertical,
    )


def _a_procedure(code: str, body: ProcedureBody) -> Procedure:
    return Procedure(
        code=code,
        version=0,
        name=body.name,
        field_code=body.field_code,
        field_name=body.field_name,
        online_level=body.online_level,
        limits=tuple(ChannelLimit(it.channel, Limit(it.value, it.unit)) for it in body.limits),
        fees=tuple(Fee(it.code, it.name, it.kind, it.amount_vnd) for it in body.fees),
        components=tuple(Component(it.code, it.name, it.required) for it in body.components),
        results=tuple(Result(it.code, it.name) for it in body.results),
        agencies=tuple(body.agencies),
        supplement_policy=body.supplement_policy,
        valid_from=body.valid_from,
    )


def _procedure_answer(it: Procedure) -> ProcedureAnswer:
    return ProcedureAnswer(
        code=it.code,
        version=it.version,
        name=it.name,
        field_code=it.field_code,
        field_name=it.field_name,
        online_level=it.online_level,
        limits=[
            {"channel": entry.channel, "value": entry.limit.value, "unit": entry.limit.unit} for entry in it.limits
        ],
        fees=[{"code": fee.code, "name": fee.name, "kind": fee.kind, "amount_vnd": fee.amount_vnd} for fee in it.fees],
        components=[{"code": paper.code, "name": paper.name, "required": paper.is_required} for paper in it.components],
        results=[{"code": result.code, "name": result.name} for result in it.results],
        agencies=list(it.agencies),
        supplement_policy=it.supplement_policy,
        valid_from=it.valid_from,
    )
