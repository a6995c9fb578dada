"""Reconciliation: begun here or with a file of the portal, its record as a leader prints it and signs, its repair."""

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from console import page_route, rendering
from console.form import Form, Posted, pieces
from console.hub import Ask, Hub, Refused, place_of, rest_of
from console.page_route import Cursor, Operator, SignedIn

router = page_route.router("/console/reconciliations")

Kind = Literal[
    "missing_there", "missing_here", "status_differs", "time_differs", "verdict_differs", "payment_differs",
    "progress_differs", "record_differs", "",
]  # fmt: skip
_HERE = "/console/reconciliations"
_PATH = "/v1/sync/reconciliations"
_PAGE = 50
_PRINTED = 500
"""Differences on one printed record; more stand on its next pages."""
_CSV, _XLSX = "text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_ZIP = b"PK\x03\x04"


@router.get("")
async def reconciliations(request: Request, operator: SignedIn, cursor: Cursor = None) -> Response:
    """The newest first, and the form that begins one through the portal's read service."""
    return await _listed(request, operator, cursor)


@router.post("")
async def begin(request: Request, operator: SignedIn, form: Posted) -> Response:
    """Ask the portal about every dossier of a period."""
    hub: Hub = request.app.state.hub
    try:
        begun = await hub.act(operator.token, Ask(_PATH, form.key, _period(form)))
    except Refused as refused:
        return await _listed(request, operator, None, refused, form)
    return RedirectResponse(f"{_HERE}/{begun['id']}", 303, rendering.HEADERS)


@router.get("/file")
async def choose_file(request: Request, operator: SignedIn) -> Response:
    """The form for an export file of the portal."""
    return await _asking_for_a_file(request, operator)


@router.post("/file")
async def begin_with_file(request: Request, operator: SignedIn, form: Posted) -> Response:
    """Compare with a file: CSV, or XLSX by what it is and not by its name."""
    hub: Hub = request.app.state.hub
    if form.file is None or not form.file.size:
        return await _asking_for_a_file(request, operator, Refused("", ["/file"]), form)
    kind = _XLSX if await form.file.read(len(_ZIP)) == _ZIP else _CSV
    query = {**_period(form), "layout": form.text("layout"), "as_of": form.moment("as_of") or ""}
    query["name"] = (form.file.filename or "")[-255:]
    target = f"{_PATH}?{urlencode({name: text for name, text in query.items() if text})}"
    try:
        begun = await hub.send_file(operator.token, target, form.key, kind, form.file.size, pieces(form.file))
    except Refused as refused:
        return await _asking_for_a_file(request, operator, refused, form)
    return RedirectResponse(f"{_HERE}/{begun['id']}", 303, rendering.HEADERS)


@router.get("/{reconciliation_id}")
async def reconciliation(
    reconciliation_id: UUID, request: Request, operator: SignedIn, kind: Kind = "", cursor: Cursor = None
) -> Response:
    """One record with its differences, of one kind or all."""
    return await _shown(request, operator, reconciliation_id, kind, cursor)


@router.post("/{reconciliation_id}")
async def repair(reconciliation_id: UUID, request: Request, operator: SignedIn, form: Posted) -> Response:
    """One approval: what differs is pushed, and then compared again."""
    hub: Hub = request.app.state.hub
    body: dict[str, Any] = {"reason": form.text("reason")}
    if rate := form.number("per_second"):
        body["per_second"] = rate
    try:
        await hub.act(operator.token, Ask(f"{_PATH}/{reconciliation_id}/repair", form.key, body))
    except Refused as refused:
        return await _shown(request, operator, reconciliation_id, refused=refused)
    return RedirectResponse(f"{_HERE}/{reconciliation_id}", 303, rendering.HEADERS)


def _period(form: Form) -> dict[str, str]:
    given = {name: form.text(name) for name in ("from", "to", "reason")}
    return {name: text for name, text in given.items() if text}


async def _listed(
    request: Request, operator: Operator, cursor: str | None, refused: Refused | None = None, form: Form | None = None
) -> Response:
    hub: Hub = request.app.state.hub
    found = await hub.get(operator.token, _PATH, limit=_PAGE, **place_of(cursor))
    return rendering.page(
        request,
        "reconciliations.html",
        status=409 if refused else 200,
        items=found["items"],
        more=rest_of(found),
        refused=refused,
        form=form,
    )


async def _asking_for_a_file(
    request: Request, operator: Operator, refused: Refused | None = None, form: Form | None = None
) -> Response:
    hub: Hub = request.app.state.hub
    layouts = await hub.get(operator.token, "/v1/sync/layouts")
    return rendering.page(
        request,
        "reconciliation_file.html",
        status=409 if refused else 200,
        layouts=layouts["items"],
        refused=refused,
        form=form,
    )


async def _shown(
    request: Request,
    operator: Operator,
    id_: UUID,
    kind: str = "",
    cursor: str | None = None,
    refused: Refused | None = None,
) -> Response:
    hub: Hub = request.app.state.hub
    narrowed = {"kind": kind} if kind else {}
    it = await hub.get(operator.token, f"{_PATH}/{id_}", limit=_PRINTED, **narrowed, **place_of(cursor))
    return rendering.page(
        request,
        "reconciliation.html",
        status=409 if refused else 200,
        it=it,
        kind=kind,
        more=rest_of(it, kind=kind),
        is_first=cursor is None,
        is_moving=_is_moving(it),
        refused=refused,
    )


def _is_moving(it: Mapping[str, Any]) -> bool:
    """Whether the page will tell something else soon."""
    repair = it["repair"]
    if it["state"] in {"waiting", "running"}:
        return True
    return bool(repair and repair["state"] != "cancelled" and repair["verification"] is None)
