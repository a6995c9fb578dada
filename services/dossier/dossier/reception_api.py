"""What a desk took in for other agencies, and what is counted of how dossiers were handled."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Query, Request, Response

from dossier import reception_store
from dossier.bodies import AgencyCode, moment_or_day
from dossier.cataloguing import Catalogue
from dossier.record import STATUS_NAMES, Status
from shared import clock, strict_json, web
from shared.auth import Caller
from shared.web import Answer

router = web.router(tags=["dossiers"])
Reader = Annotated[Caller, web.requires("dossier:read")]
Agency = Annotated[AgencyCode | None, Query()]
_A_YEAR = timedelta(days=366)


class ReceptionAnswer(Answer):
    """A dossier whose papers `receiving_agency_code` took in for `agency_code`."""

    code: str
    receiving_agency_code: str
    agency_code: str
    procedure_code: str
    status: str
    submitted_at: datetime
    handed_over_at: datetime | None
    received_at: datetime | None


class ReceptionPage(Answer):
    """A page of them."""

    items: list[ReceptionAnswer]
    next_cursor: str | None


class HandlingCount(Answer):
    """Of the dossiers that an agency received in a period.

    `received_by_another`: papers taken in by another agency's desk · `digitised`: with a digitised component ·
    `reused`: with a component that was not asked for again, `reused_components` of them · `supplement_requests` in all,
    `repeatedly_supplemented` dossiers with more than one, `legal_exceptions` that were named for those.
    """

    agency_code: str
    received: int
    received_by_another: int
    digitised: int
    reused: int
    reused_components: int
    electronic_results: int
    supplement_requests: int
    repeatedly_supplemented: int
    legal_exceptions: int


class HandlingCounts(Answer):
    """Counted per agency."""

    as_of: datetime
    items: list[HandlingCount]


@router.get("/v1/dossiers/receptions", response_model=ReceptionPage)
async def received_for_others(
    *,
    request: Request,
    _caller: Reader,
    rx: web.InReading,
    receiver: Agency = None,
    handed_over: Annotated[bool | None, Query()] = None,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    limit: web.PageSize = 100,
) -> Response:
    """What the caller's desks took in for other agencies, in order of the codes; `handed_over=false`: still there."""
    place = web.decode_cursor(cursor, 1)
    after = "" if place is None else str(place[0])
    rows = await reception_store.page(rx, _code(request, receiver), handed_over, after, limit + 1)
    items = [
        {
            "receiving_agency_code": row["receiver_code"],
            "status": STATUS_NAMES[Status(row["status"])],
            **{name: value for name, value in row.items() if name not in ("receiver_code", "status")},
        }
        for row in rows[:limit]
    ]
    following = web.encode_cursor(items[-1]["code"]) if len(rows) > limit else None
    return _json({"items": items, "next_cursor": following})


@router.get("/v1/dossiers/counts", response_model=HandlingCounts)
async def counted(
    *,
    request: Request,
    _caller: Reader,
    rx: web.InReading,
    agency: Agency = None,
    since: Annotated[str | None, Query(alias="from", max_length=40, description="Day or time, inclusive")] = None,
    until: Annotated[str | None, Query(alias="to", max_length=40, description="Day (included) or time")] = None,
) -> Response:
    """Digitised, reused, supplemented, received for others: per agency, of what it received in the period.

    Without `to` until now, without `from` a year back.
    """
    now = clock.now()
    before = moment_or_day("to", until, end=True) or now
    rows = await reception_store.counts(
        rx, _code(request, agency), moment_or_day("from", since, end=False) or before - _A_YEAR, before
    )
    return _json({"as_of": now, "items": [dict(row) for row in rows]})


def _code(request: Request, agency: str | None) -> str | None:
    catalogue: Catalogue = request.app.state.catalogue
    found = None if agency is None else catalogue.find_agency(agency)
    return agency if found is None else found.code


def _json(value: Any) -> Response:
    return Response(strict_json.dumps(value), media_type="application/json")
