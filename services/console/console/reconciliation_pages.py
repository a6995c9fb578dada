"""What reconciliations found: the list, and the record of one as a leader prints it and signs."""

from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from console import rendering
from console.hub import Hub
from console.page_route import Operator, PageRoute, signed_in

router = APIRouter(prefix="/console/reconciliations", tags=["pages"], route_class=PageRoute, include_in_schema=False)

SignedIn = Annotated[Operator, Depends(signed_in)]
Cursor = Annotated[str | None, Query(max_length=500)]
_PATH = "/v1/sync/reconciliations"
_PAGE = 50
_PRINTED = 500
"""Differences on one printed record; more stand on its next pages."""


@router.get("")
async def reconciliations(request: Request, operator: SignedIn, cursor: Cursor = None) -> Response:
    """The newest first."""
    hub: Hub = request.app.state.hub
    found = await hub.get(operator.token, _PATH, limit=_PAGE, **_place(cursor))
    return rendering.page(request, "reconciliations.html", items=found["items"], more=_more(found))


@router.get("/{reconciliation_id}")
async def reconciliation(
    reconciliation_id: UUID, request: Request, operator: SignedIn, cursor: Cursor = None
) -> Response:
    """One record with its differences."""
    hub: Hub = request.app.state.hub
    it = await hub.get(operator.token, f"{_PATH}/{reconciliation_id}", limit=_PRINTED, **_place(cursor))
    return rendering.page(request, "reconciliation.html", it=it, more=_more(it), is_first=cursor is None)


def _place(cursor: str | None) -> dict[str, str]:
    return {"cursor": cursor} if cursor else {}


def _more(found: dict[str, Any]) -> str | None:
    return quote(found["next_cursor"], safe="") if found["next_cursor"] else None
