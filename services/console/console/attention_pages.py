"""Dossiers that need somebody: stuck, late soon, or judged otherwise here than by the nation."""

from typing import Annotated, Literal

from fastapi import Query, Request, Response

from console import api, attention, page_route, rendering
from console.hub import Hub, place_of, rest_of
from console.page_route import Cursor, SignedIn

router = page_route.router("/console/attention")

Show = Literal["stuck", "late", "differs"]
_PAGE = 50


@router.get("")
async def dossiers(
    *,
    request: Request,
    operator: SignedIn,
    show: Show = "stuck",
    kind: Annotated[str, Query(max_length=40)] = "",
    agency: Annotated[str, Query(max_length=60)] = "",
    hours: Annotated[int, Query(ge=1, le=2000)] = 16,
    cursor: Cursor = None,
) -> Response:
    """One of the three lists, with the counts of all of them."""
    hub: Hub = request.app.state.hub
    agency = agency.strip()
    lists = _lists(agency, hours)
    path, query = lists[show]
    narrowed = {"kind": kind} if kind and show == "stuck" else {}
    # Each list is counted whole, whichever of them (or kind of it) is shown.
    found, stuck, late, differs = await hub.parts(
        operator.token,
        (path, {**query, **narrowed, "limit": _PAGE, **place_of(cursor)}),
        *((each, {**asked, "limit": 1}) for each, asked in lists.values()),
    )
    if found.fault is not None:
        raise found.fault
    names = await api.names(request).within(None, operator.caller)
    return rendering.page(
        request,
        "attention.html",
        show=show,
        kind=kind,
        agency=agency,
        hours=hours,
        names=names,
        as_of=(stuck.document or {}).get("as_of"),
        kinds=attention.kinds((stuck.document or {}).get("counts", ())),
        totals={
            "stuck": attention.total(stuck.document),
            "late": attention.count(late.document),
            "differs": attention.count(differs.document),
        },
        rows=attention.rows(show, found.items(), names),
        more=rest_of(found.document, show=show, kind=kind, agency=agency, hours=hours),
    )


def _lists(agency: str, hours: int) -> dict[Show, tuple[str, dict[str, str | int]]]:
    """Where each list stands, and what narrows it."""
    own = {"agency": agency} if agency else {}
    return {
        "stuck": ("/v1/dossiers/stuck", {**own}),
        "late": ("/v1/dossiers", {**own, "late_within_hours": hours, "counted": "true"}),
        "differs": ("/v1/dossiers", {**own, "verdict": "differs", "counted": "true"}),
    }
