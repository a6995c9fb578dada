"""Safe replay: filter, plan, confirm, progress, cancel."""

import asyncio
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from console import api, page_route, rendering, words_of_work
from console.form import Form, Posted
from console.hub import Ask, Hub, Refused, place_of, rest_of
from console.page_route import Cursor, Operator, SignedIn
from shared.errors import InvalidRequest

router = page_route.router("/console/sync/replays")

_HERE = "/console/sync/replays"
_PATH = "/v1/sync/retries"
_PAGE = 20


@router.get("")
async def replays(request: Request, operator: SignedIn, cursor: Cursor = None) -> Response:
    """What was planned and replayed, and the form of a new plan."""
    return await _listed(request, operator, cursor)


@router.post("")
async def plan(request: Request, operator: SignedIn, form: Posted) -> Response:
    """Freeze what fits the filter; on to the plan."""
    hub: Hub = request.app.state.hub
    body: dict[str, Any] = {"filter": _filter(form), "reason": form.text("why")}
    if rate := form.number("per_second"):
        body["per_second"] = rate
    try:
        made = await hub.act(operator.token, Ask(_PATH, form.key, body))
    except Refused as refused:
        return await _listed(request, operator, None, refused, form)
    return RedirectResponse(f"{_HERE}/{made['id']}", 303, rendering.HEADERS)


@router.get("/{replay_id}")
async def replay(replay_id: UUID, request: Request, operator: SignedIn) -> Response:
    """A plan with its sample, or how far it has come."""
    return await _shown(request, operator, replay_id)


@router.post("/{replay_id}")
async def act(replay_id: UUID, request: Request, operator: SignedIn, form: Posted) -> Response:
    """Confirm the number that was shown, or cancel."""
    hub: Hub = request.app.state.hub
    do = form.text("do")
    if do not in {"confirm", "cancel"}:
        raise InvalidRequest
    body = {"count": form.number("count")} if do == "confirm" else None
    try:
        await hub.act(operator.token, Ask(f"{_PATH}/{replay_id}/{do}", form.key, body))
    except Refused as refused:
        return await _shown(request, operator, replay_id, refused)
    return RedirectResponse(f"{_HERE}/{replay_id}", 303, rendering.HEADERS)


def _filter(form: Form) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if states := form.many.get("state"):
        wanted["state"] = states
    for name in ("agency", "owner", "reason"):
        if text := form.text(name):
            wanted[name] = text
    if codes := form.text("codes").replace(",", " ").split():
        wanted["codes"] = codes
    return wanted


async def _listed(
    request: Request,
    operator: Operator,
    cursor: str | None,
    refused: Refused | None = None,
    form: Form | None = None,
) -> Response:
    hub: Hub = request.app.state.hub
    found, names = await asyncio.gather(
        hub.get(operator.token, _PATH, limit=_PAGE, **place_of(cursor)),
        api.names(request).within(None, operator.caller),
    )
    return rendering.page(
        request,
        "replays.html",
        status=409 if refused else 200,
        items=found["items"],
        more=rest_of(found),
        names=names,
        refused=refused,
        form=form,
    )


async def _shown(request: Request, operator: Operator, replay_id: UUID, refused: Refused | None = None) -> Response:
    hub: Hub = request.app.state.hub
    it, names = await asyncio.gather(hub.get(operator.token, f"{_PATH}/{replay_id}"), api.names(request).all())
    return rendering.page(
        request,
        "replay.html",
        status=409 if refused else 200,
        it=it,
        fits=words_of_work.fits(it["filter"], names),
        refused=refused,
    )
