"""How a portal's export file is read, declared by operators: `/v1/sync/layouts`."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path, Query, Request, Response
from pydantic import Field

from shared import web
from shared.auth import Caller
from shared.errors import AgencyNotPermitted, FieldError, InvalidRequest, NotFound
from shared.web import InReading, InTransaction, errors, requires
from sync_national import layout_store
from sync_national.answering import once, require_all_agencies
from sync_national.export_layout import MEANINGS

router = web.router(tags=["synchronisation"], prefix="/v1/sync/layouts")

Reader = Annotated[Caller, requires("sync:read")]
Operator = Annotated[Caller, requires("sync:operate")]
Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Version = Annotated[int | None, Query(ge=1, le=1_000_000)]
Column = Literal["code", "status", "due", "ended", "payment", "progress", "verdict"]
Coded = Literal["status", "payment", "verdict"]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class Declaration(web.Body):
    """Which column stands under which heading (any of several), and what its words mean on the wire."""

    headings: dict[Column, Annotated[list[Text], Field(min_length=1, max_length=20)]]
    words: dict[Coded, Annotated[dict[Text, Text], Field(max_length=200)]] = Field(default_factory=dict)
    delimiter: Annotated[str, Field(pattern=r"^[,;|\t]$")] = ","


class ExportLayout(web.Answer):
    """One version of a layout; `declared_by` is null for what the hub brings along."""

    name: str
    version: int
    headings: dict[str, list[str]]
    words: dict[str, dict[str, str]]
    delimiter: str
    declared_by: str | None
    declared_at: datetime | None


class ExportLayouts(web.Answer):
    """The newest version of each."""

    items: list[ExportLayout]
    next_cursor: None = None


@router.get("")
async def list_layouts(rx: InReading, _caller: Reader) -> ExportLayouts:
    """The newest version of each layout."""
    return ExportLayouts(items=[ExportLayout(**row) for row in await layout_store.listed(rx)])


@router.get("/{name}", responses=errors(NotFound))
async def read_layout(name: Name, rx: InReading, _caller: Reader, version: Version = None) -> ExportLayout:
    """One layout, its newest version when none is named."""
    row = await layout_store.one(rx, name, version)
    if row is None:
        raise NotFound
    return ExportLayout(**row)


@router.put("/{name}", response_model=ExportLayout, responses=errors(AgencyNotPermitted))
async def declare_layout(
    name: Name, body: Declaration, request: Request, tx: InTransaction, caller: Operator
) -> Response:
    """Declare a layout or a new version of it; the same body twice is the same version."""
    require_all_agencies(caller)
    if "code" not in body.headings:
        raise InvalidRequest(errors=[FieldError("/headings/code", "required")])
    for column, table in body.words.items():
        if not set(table.values()) <= set(MEANINGS[column]):
            allowed = ", ".join(MEANINGS[column])
            raise InvalidRequest(errors=[FieldError(f"/words/{column}", f"each means one of {allowed}")])

    async def act() -> ExportLayout:
        words: dict[str, dict[str, str]] = {column: dict(table) for column, table in body.words.items()}
        headings: dict[str, list[str]] = {column: list(names) for column, names in body.headings.items()}
        row = await layout_store.declare(tx, name, headings, words, body.delimiter, caller.name)
        return ExportLayout(**row)

    return await once(request, tx, caller, None, act)
