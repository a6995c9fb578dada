"""Hold and release: what is on hold now, how it drains, and the calendar of planned maintenance."""

import asyncio
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from console import api, overview, page_route, rendering
from console.form import Form, Posted
from console.hub import Ask, Hub, Refused, path, place_of, rest_of
from console.page_route import Cursor, Operator, SignedIn
from shared.errors import InvalidRequest

router = page_route.router("/console/sync/holds")

_HERE = "/console/sync/holds"
_CALENDAR = "/v1/sync/maintenance"
_PAGE = 50


@router.get("")
async def holds(request: Request, operator: SignedIn, cursor: Cursor = None) -> Response:
    """What is on hold, the forecast of the drain, and the calendar."""
    return await _shown(request, operator, cursor)


@router.post("")
async def act(request: Request, operator: SignedIn, form: Posted) -> Response:
    """One of the page's forms: hold, release, plan or cancel."""
    hub: Hub = request.app.state.hub
    try:
        await hub.act(operator.token, _asked(form))
    except Refused as refused:
        return await _shown(request, operator, None, refused, form)
    return RedirectResponse(_HERE, 303, rendering.HEADERS)


def _asked(form: Form) -> Ask:
    reason, do = form.text("reason"), form.text("do")
    if do == "cancel":
        return Ask(path(_CALENDAR + "/{}/cancel", form.text("id")), form.key, purpose=reason)
    body: dict[str, Any] = {"destination": form.text("destination")}
    if agency := form.text("agency"):
        body["agency"] = agency
    if do == "release":
        return Ask("/v1/sync/release", form.key, body, purpose=reason)
    body["reason"] = reason
    if do == "hold":
        return Ask("/v1/sync/hold", form.key, body)
    if do == "plan":
        when = {"starts_at": form.moment("starts_at"), "ends_at": form.moment("ends_at")}
        return Ask(_CALENDAR, form.key, {**body, **when})
    raise InvalidRequest


async def _shown(
    request: Request,
    operator: Operator,
    cursor: str | None = None,
    refused: Refused | None = None,
    form: Form | None = None,
) -> Response:
    hub: Hub = request.app.state.hub
    status, calendar, names = await asyncio.gather(
        hub.get(operator.token, "/v1/sync/status"),
        hub.get(operator.token, _CALENDAR, limit=_PAGE, **place_of(cursor)),
        api.names(request).within(None, operator.caller),
    )
    return rendering.page(
        request,
        "holds.html",
        status=409 if refused else 200,
        destinations=[overview.destination(entry) for entry in status["destinations"]],
        calendar=calendar["items"],
        more=rest_of(calendar),
        names=names,
        refused=refused,
        form=form,
    )
