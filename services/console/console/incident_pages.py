"""Incidents: failures of one cause, whose fault they are, and how one is resolved."""

from typing import Any, Literal
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from console import page_route, rendering
from console.form import Form, Posted
from console.hub import Ask, Hub, Refused, place_of, rest_of
from console.page_route import Cursor, Operator, SignedIn

router = page_route.router("/console/sync/incidents")

_PATH = "/v1/sync/incidents"
_PAGE = 50


@router.get("")
async def incidents(
    request: Request,
    operator: SignedIn,
    state: Literal["open", "resolved", "all"] = "open",
    owner: Literal["partner", "hub", "poison", ""] = "",
    cursor: Cursor = None,
) -> Response:
    """The open ones, or all; the newest first."""
    hub: Hub = request.app.state.hub
    wanted = {"state": "" if state == "all" else state, "owner": owner}
    narrowed = {name: value for name, value in wanted.items() if value}
    found = await hub.get(operator.token, _PATH, limit=_PAGE, **narrowed, **place_of(cursor))
    return rendering.page(
        request,
        "incidents.html",
        items=found["items"],
        state=state,
        owner=owner,
        more=rest_of(found, state=state, owner=owner),
    )


@router.get("/{incident_id}")
async def incident(incident_id: UUID, request: Request, operator: SignedIn) -> Response:
    """One of them, and the form that resolves it."""
    return await _shown(request, operator, incident_id)


@router.post("/{incident_id}")
async def resolve(incident_id: UUID, request: Request, operator: SignedIn, form: Posted) -> Response:
    """Its cause is removed: on to the replay that it offers."""
    hub: Hub = request.app.state.hub
    body: dict[str, Any] = {"reason": form.text("reason")}
    if rate := form.number("per_second"):
        body["per_second"] = rate
    try:
        done = await hub.act(operator.token, Ask(f"{_PATH}/{incident_id}/resolve", form.key, body))
    except Refused as refused:
        return await _shown(request, operator, incident_id, refused, form)
    offered = done["offered"]
    on = f"/console/sync/replays/{offered['id']}" if offered else f"/console/sync/incidents/{incident_id}"
    return RedirectResponse(on, 303, rendering.HEADERS)


async def _shown(
    request: Request, operator: Operator, incident_id: UUID, refused: Refused | None = None, form: Form | None = None
) -> Response:
    hub: Hub = request.app.state.hub
    it = await hub.get(operator.token, f"{_PATH}/{incident_id}")
    return rendering.page(request, "incident.html", status=409 if refused else 200, it=it, refused=refused, form=form)
