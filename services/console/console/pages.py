"""The operators' pages under /console: home, synchronisation, one dossier, the two reports."""

import asyncio
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse

from console import api, clock_view, journey, overview, page_route, rendering, reporting, spreadsheet, store
from console.form import Posted
from console.hub import Ask, Hub, Part, Refused, path
from console.page_route import Operator, SignedIn
from console.report import Period
from console.reporting import Report
from shared import clock
from shared.agency_codes import canonical_dossier
from shared.errors import HubError, InvalidRequest, NotFound
from shared.web import errors

router = page_route.router("/console")
lost = page_route.router("/console")
"""Included last: what no other route of the console is."""

Kind = Literal["agencies", "fees"]
_MOST_TROUBLED = 10


@router.get("")
async def home(request: Request, operator: SignedIn) -> Response:
    """Where one starts: search by code, and the numbers of the day."""
    today = clock.local_date(clock.now())
    start = Period(today, today).start
    as_of = await api.freshness(request)
    async with api.database(request).reading(operator.caller.agencies) as rx:
        counts = await store.today(rx, start, clock.now())
    return rendering.page(request, "home.html", counts=counts, as_of=as_of, today=today)


@router.get("/sync")
async def sync(request: Request, operator: SignedIn) -> Response:
    """How level the national portal is with us, live."""
    return rendering.page(request, "sync.html", **await _sync_now(request, operator))


@router.get("/sync/live")
async def sync_live(request: Request, operator: SignedIn) -> Response:
    """The part of the page that renews itself every two seconds."""
    return rendering.page(request, "sync_live.html", **await _sync_now(request, operator))


@router.get("/dossiers")
async def find_dossier(code: Annotated[str, Query(max_length=100)] = "") -> Response:
    """From the search box to the dossier's page."""
    wanted = canonical_dossier(code.strip())
    return RedirectResponse(f"/console/dossiers/{quote(wanted, safe='')}" if wanted else "/console", 303)


@router.get("/dossiers/{code}")
async def dossier(code: str, request: Request, operator: SignedIn) -> Response:
    """Every hop of one dossier in order of time."""
    return await _dossier(request, operator, code)


@router.post("/dossiers/{code}")
async def retry(code: str, request: Request, operator: SignedIn, form: Posted) -> Response:
    """Let the portal have one dossier again, now."""
    hub: Hub = request.app.state.hub
    ask = Ask(path("/v1/sync/dossiers/{}/retry", code), form.key, purpose=form.text("reason"))
    try:
        await hub.act(operator.token, ask)
    except Refused as refused:
        return await _dossier(request, operator, code, refused)
    return RedirectResponse(path("/console/dossiers/{}", code), 303, rendering.HEADERS)


async def _dossier(request: Request, operator: Operator, code: str, refused: Refused | None = None) -> Response:
    hub: Hub = request.app.state.hub
    record = await hub.get(operator.token, path("/v1/dossiers/{}", code))
    history, exchanges, payments, sync_state, tracking = await hub.parts(
        operator.token,
        (path("/v1/dossiers/{}/history", code), {}),
        ("/v1/exchanges", {"dossier_code": code, "limit": 200}),
        ("/v1/payments", {"dossier_code": code}),
        (path("/v1/sync/dossiers/{}", code), {}),
        (path("/v1/tracking/{}", code), {}),
    )
    async with api.database(request).reading(operator.caller.agencies) as rx:
        seen = await store.hops(rx, code)
    hops = journey.in_order(
        journey.exchanges(exchanges.items()),
        journey.transitions(history.items()),
        journey.identity(seen),
        journey.payments(seen),
        journey.pushes(sync_state.document),
    )
    missing = _missing(
        ("lịch sử hồ sơ", history), ("nhật ký trao đổi", exchanges), ("thanh toán", payments), ("đồng bộ", sync_state)
    )
    return rendering.page(
        request,
        "dossier.html",
        status=409 if refused else 200,
        refused=refused,
        tracks=clock_view.tracks(record["clock"], record["verdicts"]),
        steps=clock_view.steps(record["clock"]),
        # What can be done first, what is still in its way after it.
        actions=sorted(record["next_actions"], key=lambda it: it["blocked_by"] is not None),
        dossier=record,
        tracking=tracking.document or {},
        payments=payments.items(),
        sync=sync_state.document,
        hops=[hop for hop in hops if not hop.is_read],
        reads=[hop for hop in hops if hop.is_read],
        missing=missing,
    )


@router.get("/reports/{kind}", responses=errors(InvalidRequest))
async def report(
    *,
    kind: Kind,
    request: Request,
    operator: SignedIn,
    first: Annotated[date | None, Query(alias="from")] = None,
    to: date | None = None,
    province: api.Province = None,
    form: Annotated[str, Query(alias="format", pattern="^(csv|xlsx)$")] = "",
) -> Response:
    """One of the two tables, on the page or as a file."""
    operator.caller.require_scope("report:read")
    today = clock.local_date(clock.now())
    period = Period(first or date(today.year, 1, 1), to or today)
    made, behind = await asyncio.gather(_report(request, operator, kind, period, province), _behind(request))
    if form:
        return _file(made, form)
    template = "report_agencies.html" if kind == "agencies" else "report_fees.html"
    return rendering.page(request, template, report=made, behind=behind, province=province or "", kind=kind)


@lost.get("/{rest:path}")
async def no_such_page(rest: str, _operator: SignedIn) -> Response:
    """A slash too many leads to the page without it (the framework would name the service's own address)."""
    if rest and not rest.endswith("/"):
        raise NotFound
    return RedirectResponse(f"/console/{quote(rest.strip('/'))}".rstrip("/"), 303, rendering.HEADERS)


async def _report(request: Request, operator: Operator, kind: Kind, period: Period, province: str | None) -> Report:
    names = await api.names(request).within(province, operator.caller)
    as_of, left_out = await api.freshness(request), await api.names(request).vertical()
    async with api.database(request).reading(operator.caller.agencies) as rx:
        if kind == "agencies":
            return await reporting.of_agencies(rx, period, province, names, clock.now(), as_of, left_out)
        return await reporting.of_fees(rx, period, province, names, as_of, left_out)


async def _behind(request: Request) -> int | None:
    try:
        return await api.lag(request).behind()
    except HubError:
        return None  # the page says so; the figures are still the last known ones


def _file(made: Report, form: str) -> Response:
    rows = [*made.items, made.total]
    kind, make = (spreadsheet.CSV, spreadsheet.as_csv) if form == "csv" else (spreadsheet.XLSX, spreadsheet.as_xlsx)
    name = f"{made.title}_{made.period.first}_{made.period.last}.{form}"
    headers = {**rendering.HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(make(made.columns, rows), headers=headers, media_type=kind)


async def _sync_now(request: Request, operator: Operator) -> dict[str, Any]:
    hub: Hub = request.app.state.hub
    status = await hub.get(operator.token, "/v1/sync/status")
    destinations = [overview.destination(entry) for entry in status["destinations"]]
    counts = {it.state: it.count for one in destinations for it in one.slices}
    wanted = [state for state in overview.TROUBLED if counts.get(state)]
    questions: list[tuple[str, dict[str, str | int]]] = [
        ("/v1/sync/dossiers", {"state": state, "limit": _MOST_TROUBLED}) for state in wanted
    ]
    found = await hub.parts(operator.token, *questions)
    troubled = [item for part in found for item in part.items()][:_MOST_TROUBLED]
    return {"destinations": destinations, "troubled": troubled}


def _missing(*parts: tuple[str, Part]) -> list[str]:
    """What could not be read; a dossier that a service does not know yet is not missing."""
    return [name for name, part in parts if part.fault is not None and part.fault.status != 404]
