"""The reports as JSON, CSV or XLSX, whichever `Accept` prefers."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import AfterValidator

from console import reporting, spreadsheet, store
from console.agencies import AgencyNames
from console.lag import Lag
from console.report import Period, PeriodInvalid
from console.reporting import Report
from shared import clock, strict_json, web
from shared.agency_codes import OLD_FORM, canonical
from shared.auth import Caller
from shared.db import Database
from shared.errors import HubError, InvalidRequest, UpstreamUnavailable

router = web.router(tags=["reports"])

_JSON = "application/json"
_OFFERED = (_JSON, spreadsheet.CSV, spreadsheet.XLSX)
_DECLARED: dict[int | str, dict[str, Any]] = {
    200: {"content": {_JSON: {"schema": {"type": "object"}}, spreadsheet.CSV: {}, spreadsheet.XLSX: {}}}
}

Province = Annotated[
    str | None,
    Query(
        pattern=rf"^[A-Z][0-9]{{2}}(\.[0-9]{{1,5}}){{0,5}}$|{OLD_FORM}",
        description="Agency code: it and what is below it",
    ),
    AfterValidator(lambda code: None if code is None else canonical(code)),
]
Vertical = Annotated[bool, Query(description="With the agencies of the ministries in the province")]
From = Annotated[date, Query(alias="from", description="First day, Vietnamese date")]
To = Annotated[date, Query(description="Last day, included")]


class NotAcceptable(HubError):
    """`Accept` names none of the formats."""

    status, code, title = 406, "not_acceptable", "None of the asked formats is offered"


_ERRORS = web.errors(NotAcceptable, InvalidRequest, PeriodInvalid, UpstreamUnavailable)


@router.get("/v1/reports/agencies", responses=_DECLARED | _ERRORS)
async def agencies_report(
    *,
    request: Request,
    caller: Annotated[Caller, web.requires("report:read")],
    first: From,
    to: To,
    province: Province = None,
    vertical: Vertical = False,
) -> Response:
    """Dossiers per agency in the period: the columns of the province's appendix 1."""
    kind = _preferred(request.headers.get("accept", ""))
    period = Period(first, to)
    behind, as_of = await lag(request).behind(), await freshness(request)
    shown = await names(request).within(province, caller)
    left_out = () if vertical else await names(request).vertical()
    async with database(request).reading(caller.agencies) as rx:
        made = await reporting.of_agencies(rx, period, province, shown, clock.now(), as_of, left_out)
    return _answer(made, behind, kind)


@router.get("/v1/reports/fees", responses=_DECLARED | _ERRORS)
async def fees_report(
    *,
    request: Request,
    caller: Annotated[Caller, web.requires("report:read")],
    first: From,
    to: To,
    province: Province = None,
    vertical: Vertical = False,
) -> Response:
    """Payments per agency in the period: the columns of the province's appendix 2."""
    kind = _preferred(request.headers.get("accept", ""))
    period = Period(first, to)
    behind, as_of = await lag(request).behind(), await freshness(request)
    shown = await names(request).within(province, caller)
    left_out = () if vertical else await names(request).vertical()
    async with database(request).reading(caller.agencies) as rx:
        made = await reporting.of_fees(rx, period, province, shown, as_of, left_out)
    return _answer(made, behind, kind)


def _answer(made: Report, behind: int, kind: str) -> Response:
    rows = [*made.items, made.total]
    if kind == _JSON:
        document = {
            "from": made.period.first,
            "to": made.period.last,
            "as_of": made.as_of,
            "behind": behind,
            "items": made.items,
            "total": made.total,
        }
        return Response(strict_json.dumps(document), media_type=_JSON, headers={"Vary": "Accept"})
    name = f"{made.title}_{made.period.first}_{made.period.last}"
    if kind == spreadsheet.CSV:
        content, name = spreadsheet.as_csv(made.columns, rows), f"{name}.csv"
    else:
        content, name = spreadsheet.as_xlsx(made.columns, rows), f"{name}.xlsx"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Vary": "Accept",
        "Hub-Behind": str(behind),
        "Hub-As-Of": made.as_of.isoformat() if made.as_of else "",
    }
    return Response(content, media_type=kind, headers=headers)


def _preferred(accept: str) -> str:
    """The offered format that `Accept` ranks highest (RFC 9110 §12.5.1). Raises `NotAcceptable`."""
    wanted = [_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    ranked = [(max((q for pattern, q in wanted if _fits(pattern, kind)), default=0.0), kind) for kind in _OFFERED]
    quality, kind = max(ranked, key=lambda pair: pair[0])  # the first of equals: JSON
    if quality <= 0:
        raise NotAcceptable
    return kind


def _range(part: str) -> tuple[str, float]:
    pattern, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
    try:
        return pattern, float(quality)
    except ValueError:
        return pattern, 0.0


def _fits(pattern: str, kind: str) -> bool:
    return pattern in {"*/*", kind} or (pattern.endswith("/*") and kind.startswith(pattern[:-1]))


def lag(request: Request) -> Lag:
    """How far the read model is behind."""
    found: Lag = request.app.state.lag
    return found


async def freshness(request: Request) -> datetime | None:
    """When the newest event taken in was published, whoever's it is. Asked before the tables are read, as the lag:
    what is said to be in them is.
    """
    system: Database = request.app.state.system_database
    async with system.reading() as rx:
        return await store.as_of(rx)


def names(request: Request) -> AgencyNames:
    """What the agencies are called."""
    found: AgencyNames = request.app.state.agency_names
    return found


def database(request: Request) -> Database:
    """The read model, as the role that sees only the caller's agencies."""
    found: Database = request.app.state.api_database
    return found
