"""Events of ministries: those that are not applied, and the delivery matrix of one event or of a dossier's."""

from typing import Annotated, Literal

from fastapi import Query, Request, Response

from console import ministry_events, page_route, rendering
from console.hub import Hub, place_of, rest_of
from console.page_route import Cursor, SignedIn

router = page_route.router("/console/events")

State = Literal["", "unmatched", "unmapped", "refused", "waiting"]
_PAGE = 50


@router.get("")
async def unsettled(
    *,
    request: Request,
    operator: SignedIn,
    state: State = "",
    source: Annotated[str, Query(max_length=500)] = "",
    cursor: Cursor = None,
) -> Response:
    """What is not applied: counts by cause, and the events, the oldest first."""
    hub: Hub = request.app.state.hub
    asked = {name: value for name, value in (("state", state), ("source", source.strip())) if value}
    found = await hub.get(operator.token, "/v1/events/unsettled", **asked, limit=_PAGE, **place_of(cursor))
    return rendering.page(
        request,
        "events.html",
        state=state,
        source=source.strip(),
        totals=ministry_events.totals(found["counts"]),
        open_states={code: (ministry_events.STATES[code], note) for code, note in ministry_events.OPEN.items()},
        kinds=ministry_events.kinds(found["counts"]),
        rows=ministry_events.rows(found["items"]),
        more=rest_of(found, **asked),
    )


@router.get("/delivery")
async def delivery(
    *,
    request: Request,
    operator: SignedIn,
    source: Annotated[str, Query(max_length=500)] = "",
    id: Annotated[str, Query(max_length=255)] = "",  # noqa: A002 - the contract's name
    dossier_code: Annotated[str, Query(max_length=255)] = "",
    cursor: Cursor = None,
) -> Response:
    """How far one event has come (`source` and `id`), or all events of a dossier (`dossier_code`)."""
    hub: Hub = request.app.state.hub
    given = (("source", source), ("id", id), ("dossier_code", dossier_code))
    asked = {name: value for name, value in given if value}
    found = await hub.get(operator.token, "/v1/events", **asked, limit=_PAGE, **place_of(cursor))
    return rendering.page(
        request,
        "event.html",
        dossier_code=dossier_code,
        names=ministry_events.NAMES,
        rows=ministry_events.rows(found["items"]),
        more=rest_of(found, **asked),
    )
