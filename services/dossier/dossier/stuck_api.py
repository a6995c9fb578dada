"""`GET /v1/dossiers/stuck`: what stands still, counted per kind and agency, each with what frees it."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Query, Request, Response

from dossier import stuck, stuck_store
from dossier.answers import StuckAnswer
from dossier.bodies import AgencyCode
from dossier.cataloguing import Catalogue
from dossier.record import STATUS_NAMES, Status
from dossier.stuck import StuckKind
from dossier.stuck_store import Row
from shared import clock, strict_json, web
from shared.agency_codes import agencies_within, canonical
from shared.auth import Caller
from shared.errors import InvalidRequest

router = web.router(tags=["dossiers"])
_FIRST = (datetime.fromisoformat("1990-01-01T00:00:00+00:00"), "", "")


@router.get("/v1/dossiers/stuck", response_model=StuckAnswer)
async def list_stuck(
    *,
    request: Request,
    caller: Annotated[Caller, web.requires("dossier:read")],
    rx: web.InReading,
    kind: Annotated[StuckKind | None, Query()] = None,
    agency: Annotated[AgencyCode | None, Query()] = None,
    older_than_hours: Annotated[int, Query(ge=0, le=100_000)] = 0,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    limit: web.PageSize = 100,
) -> Response:
    """Counts as of the last look (`as_of`); the list without what has moved since, the oldest first."""
    now = clock.now()
    catalogue: Catalogue = request.app.state.catalogue
    found = None if agency is None else catalogue.find_agency(agency)
    asked = agency and canonical(agency) if found is None else found.code
    place, own = _place(cursor), agencies_within(asked, caller.agencies)
    # One agency is one range of the index, none is nothing; of several the security picks what is the caller's.
    within = (kind, own[0] if own is not None and len(own) == 1 else asked, older_than_hours)
    as_of = await stuck_store.looked_at(rx)  # first: a look that ends while we read makes it no fresher than it says
    rows = [] if own == [] else await stuck_store.page(rx, *within, place, limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    answer = {
        "as_of": as_of,
        "counts": [] if own == [] else [_count(row, now) for row in await stuck_store.counts(rx, *within)],
        "items": [_item(row, now) for row in rows[:limit]],
        "next_cursor": None
        if last is None
        else web.encode_cursor(last["since"].isoformat(), last["code"], last["kind"]),
    }
    return Response(strict_json.dumps(answer), media_type="application/json")


def _count(row: Row, now: datetime) -> dict[str, Any]:
    return {**row, "oldest_age_hours": _hours(now - row["oldest_since"])}


def _item(row: Row, now: datetime) -> dict[str, Any]:
    status = Status(row["status"])
    frees = stuck.frees(row["kind"], status)
    return {
        "code": row["code"],
        "agency_code": row["agency_code"],
        "procedure_code": row["procedure_code"],
        "status": STATUS_NAMES[status],
        "due_at": row["due_at"],
        "kind": row["kind"],
        "since": row["since"],
        "age_hours": _hours(now - row["since"]),
        "frees": {"kind": frees.kind, "name": frees.name, "words": frees.words},
    }


def _hours(age: timedelta) -> float:
    return round(age.total_seconds() / 3600, 1)


def _place(cursor: str | None) -> tuple[datetime, str, str]:
    place = web.decode_cursor(cursor, 3)
    if place is None:
        return _FIRST
    since, code, kind = place
    at = web.time_in_cursor(since)
    if not isinstance(code, str) or not isinstance(kind, str):
        raise InvalidRequest("The cursor is not one of ours")
    return at, code, kind
