"""Ratings read again: one by one, and counted per agency for the indicators. They are given in `api`."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response

from dossier import rating_store
from dossier.bodies import AgencyCode, moment_or_day
from dossier.cataloguing import Catalogue
from dossier.petition_answers import RatingCounts, RatingPage
from shared import clock, strict_json, web
from shared.auth import Caller

router = web.router(tags=["dossiers"])
Reader = Annotated[Caller, web.requires("dossier:read")]
Agency = Annotated[AgencyCode | None, Query()]
Since = Annotated[str | None, Query(alias="from", max_length=40, description="Day or time, inclusive")]
Until = Annotated[str | None, Query(alias="to", max_length=40, description="Day (included) or time")]


@router.get("/v1/ratings", response_model=RatingPage)
async def listed(
    *,
    request: Request,
    _caller: Reader,
    rx: web.InReading,
    agency: Agency = None,
    since: Since = None,
    until: Until = None,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    limit: web.PageSize = 100,
) -> Response:
    """Ratings in order of their dossiers' codes; the period counts by `at`."""
    place = web.decode_cursor(cursor, 1)
    after = "" if place is None else str(place[0])
    rows = await rating_store.page(rx, *_within(request, agency, since, until), after, limit + 1)
    following = web.encode_cursor(rows[limit - 1]["dossier_code"]) if len(rows) > limit else None
    return _json({"items": [dict(row) for row in rows[:limit]], "next_cursor": following})


@router.get("/v1/ratings/counts", response_model=RatingCounts)
async def counted(
    *,
    request: Request,
    _caller: Reader,
    rx: web.InReading,
    agency: Agency = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    """How many ratings of each kind per agency."""
    rows = await rating_store.counts(rx, *_within(request, agency, since, until))
    return _json({"as_of": clock.now(), "items": [dict(row) for row in rows]})


def _within(
    request: Request, agency: str | None, since: str | None, until: str | None
) -> tuple[str | None, datetime | None, datetime | None]:
    catalogue: Catalogue = request.app.state.catalogue
    found = None if agency is None else catalogue.find_agency(agency)
    code = agency if found is None else found.code
    return code, moment_or_day("from", since, end=False), moment_or_day("to", until, end=True)


def _json(value: Any) -> Response:
    return Response(strict_json.dumps(value), media_type="application/json")
