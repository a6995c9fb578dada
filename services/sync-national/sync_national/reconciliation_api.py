"""Reconciliation over REST: `/v1/sync/reconciliations`."""

import hashlib
import tempfile
import zlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import IO, Annotated, Any, Literal, TypeVar
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import AwareDatetime, Field, ValidationError

from shared import clock, problems, strict_json, web
from shared.auth import Caller
from shared.db import Transaction
from shared.errors import FieldError, HubError, InvalidRequest, NotFound, PayloadTooLarge
from shared.idempotency import IdempotencyKeyReused, Key, RequestInProgress
from shared.web import InReading, InTransaction, PageSize, errors, requires
from sync_national import layout_store, reconciliation_store, replaying
from sync_national.answering import because, once, place_of
from sync_national.comparison import Kind
from sync_national.reconciliation_store import Wish
from sync_national.reconciling import NoReadService
from sync_national.replay_api import Replay, rate
from sync_national.replaying import NotRepairable

router = web.router(tags=["synchronisation"], prefix="/v1/sync/reconciliations")

Reader = Annotated[Caller, requires("sync:read")]
Operator = Annotated[Caller, requires("sync:operate")]
Reason = Annotated[str, Field(max_length=500)]
MAX_FILE_BYTES = 256 * 1024 * 1024
_PIECE = 1024 * 1024
_OLDEST_EXPORT = datetime(2015, 1, 1, tzinfo=UTC)
_CLOCKS_DIFFER = timedelta(minutes=5)
_FORMATS: Mapping[str, Literal["csv", "xlsx"]] = {
    "text/csv": "csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
P = TypeVar("P", bound="Period")
_REPEATED = (IdempotencyKeyReused, RequestInProgress)


class UnsupportedExport(HubError):
    """A body that is neither JSON nor an export file."""

    status, code, title = 415, "unsupported_media_type", "JSON, text/csv or an XLSX file"


class Period(web.Body):
    """Dossiers filed before the end of `to` and last changed after the beginning of `from`; local days."""

    from_: Annotated[date | None, Field(alias="from")] = None
    to: date | None = None
    reason: Reason = ""


class FilePeriod(Period):
    """With a file: the dossiers it should hold, and what it is."""

    layout: Annotated[str, Field(max_length=64)] = "dvcqg"
    as_of: AwareDatetime | None = None
    """When the portal made the file; without it: now."""
    name: Annotated[str | None, Field(max_length=255)] = None


class Repair(web.Answer):
    """The repair of a reconciliation: a replay of its differences."""

    id: str
    state: str
    count: int
    executed: int
    approved_by: str | None
    approved_at: datetime | None
    reason: str
    verification: str | None
    """The reconciliation that compared the repaired dossiers again."""


class Reconciliation(web.Answer):
    """The record of a comparison."""

    id: str
    destination: str
    source: Literal["portal", "file"]
    state: Literal["waiting", "running", "done", "failed"]
    fault: str | None
    agencies: list[str]
    period_from: date | None
    period_to: date | None
    as_of: datetime
    layout: str | None
    layout_version: int | None
    file_name: str | None
    file_format: str | None
    file_bytes: int | None
    file_sha256: str | None
    asked_by: str
    reason: str
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    verifies: str | None
    repair: Repair | None
    compared: int
    equal: int
    missing_there: int
    missing_here: int
    status_differs: int
    time_differs: int
    verdict_differs: int
    payment_differs: int
    progress_differs: int
    record_differs: int
    on_the_way: int
    changed_since: int
    not_asked_for: int
    lines: int | None
    faulty_lines: int
    faults: list[str]


class DifferenceItem(web.Answer):
    """A dossier that the two sides do not show alike; times and codes in the words of the wire."""

    code: str
    agency_code: str
    kinds: list[Kind]
    ours: dict[str, Any] | None
    theirs: dict[str, Any] | None
    state: str | None
    reason: str | None
    owner: Literal["partner", "hub", "poison"] | None


class ReconciliationDetail(Reconciliation):
    """With a page of its differences."""

    items: list[DifferenceItem]
    next_cursor: str | None


class Reconciliations(web.Answer):
    """A page, the newest first."""

    items: list[Reconciliation]
    next_cursor: str | None


class RepairRequest(web.Body):
    """One approval."""

    reason: Reason = ""
    per_second: Annotated[int, Field(ge=1)] | None = None


_BODIES = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": Period.model_json_schema()},
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in _FORMATS},
        },
    },
    "parameters": [
        {"name": name, "in": "query", "required": False, "schema": schema, "description": "with an export file"}
        for name, schema in FilePeriod.model_json_schema()["properties"].items()
    ],
}


@router.post(
    "",
    status_code=201,
    response_model=Reconciliation,
    openapi_extra=_BODIES,
    responses=errors(UnsupportedExport, PayloadTooLarge, NoReadService, *_REPEATED),
)
async def start_reconciliation(request: Request, caller: Operator, key: Key = None) -> Response:
    """Compare a period through the portal's read service (JSON), or with an export file (CSV or XLSX) of the portal.

    A file of at most 256 MiB is the body; its layout, period and time are given in the query.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        if not request.app.state.portal.can_be_asked:
            raise NoReadService
        asked = _parsed(Period, strict_json.loads(await request.body()))
        wish = _wish(request, caller, asked, "portal")
        async with request.app.state.api_database.transaction(caller.agencies) as tx:
            return await _created(request, tx, caller, key, wish)
    if media_type not in _FORMATS:
        raise UnsupportedExport
    asked_file = _parsed(FilePeriod, dict(request.query_params))
    async with request.app.state.api_database.reading(caller.agencies) as rx:
        layout = await layout_store.one(rx, asked_file.layout)
    if layout is None:
        raise InvalidRequest(errors=[FieldError("query:layout", "a declared layout (GET /v1/sync/layouts)")])
    with tempfile.TemporaryFile() as spool:
        size, digest = await _spooled(request, spool)
        wish = _wish(request, caller, asked_file, "file")._replace(
            as_of=asked_file.as_of,
            layout=asked_file.layout,
            layout_version=layout["version"],
            file_name=asked_file.name,
            file_format=_FORMATS[media_type],
            file_bytes=size,
            file_sha256=digest,
        )
        async with request.app.state.api_database.transaction(caller.agencies) as tx:
            return await _created(request, tx, caller, key, wish, spool)


@router.get("")
async def list_reconciliations(
    request: Request, rx: InReading, _caller: Reader, cursor: str | None = None, limit: PageSize = 100
) -> Reconciliations:
    """The newest first, without their differences."""
    destination: str = request.app.state.courier.destination
    rows = await reconciliation_store.listed(rx, destination, place_of(cursor), limit + 1)
    page = rows[:limit]
    more = web.encode_cursor(page[-1]["id"]) if len(rows) > limit else None
    return Reconciliations(items=[Reconciliation(**row) for row in page], next_cursor=more)


@router.get("/{reconciliation_id}", responses=errors(NotFound))
async def read_reconciliation(
    reconciliation_id: UUID,
    rx: InReading,
    _caller: Reader,
    kind: Annotated[Kind | None, Query()] = None,
    cursor: str | None = None,
    limit: PageSize = 100,
) -> ReconciliationDetail:
    """How far it is or what it found, with a page of the differences in the order of the codes."""
    place = web.decode_cursor(cursor, 1)
    found = await reconciliation_store.one(rx, str(reconciliation_id))
    if found is None:
        raise NotFound
    after = str(place[0]) if place else ""
    rows = await reconciliation_store.differences(rx, str(reconciliation_id), kind, after, limit + 1)
    page = rows[:limit]
    more = web.encode_cursor(page[-1]["code"]) if len(rows) > limit else None
    return ReconciliationDetail(**found, items=[DifferenceItem(**row) for row in page], next_cursor=more)


@router.post(
    "/{reconciliation_id}/repair",
    status_code=201,
    response_model=Replay,
    responses=errors(NotFound, NotRepairable, *_REPEATED),
)
async def repair_differences(
    reconciliation_id: UUID,
    request: Request,
    tx: InTransaction,
    caller: Operator,
    body: RepairRequest | None = None,
    key: Key = None,
) -> Response:
    """Approve the repair: the portal is asked about each differing dossier and gets what it lacks; then it is
    compared again (`repair.verification`). What is missing here cannot be repaired by a push.
    """
    asked = body or RepairRequest()

    async def act() -> Replay:
        pace = rate(request, asked.per_second)
        id_ = str(reconciliation_id)
        by, cause = caller.name, web.cause(request)
        return Replay(**await replaying.repair(tx, id_, caller.agencies, asked.reason, pace, by, cause))

    return await once(
        request,
        tx,
        caller,
        key,
        act,
        status=201,
        headers=lambda it: {"Location": f"/v1/sync/retries/{it.id}", **because(asked.reason)},
    )


async def _created(
    request: Request, tx: Transaction, caller: Caller, key: str | None, wish: Wish, file: IO[bytes] | None = None
) -> Response:
    async def act() -> Reconciliation:
        id_ = await reconciliation_store.create(tx, wish)
        assert id_ is not None  # only scheduled ones collide
        if file is not None:
            await _keep(tx, id_, file)
        found = await reconciliation_store.one(tx, id_)
        assert found is not None
        return Reconciliation(**found)

    def told(it: Reconciliation) -> dict[str, str]:
        return {"Location": f"/v1/sync/reconciliations/{it.id}", **because(wish.reason)}

    signed = None if file is None else f"{wish.file_sha256} {request.url.query}".encode()
    return await once(request, tx, caller, key, act, status=201, headers=told, signed=signed)


async def _keep(tx: Transaction, id_: str, file: IO[bytes]) -> None:
    file.seek(0)
    number = 0
    while piece := file.read(_PIECE):
        await reconciliation_store.add_piece(tx, id_, number, zlib.compress(piece, 1))
        number += 1


async def _spooled(request: Request, spool: IO[bytes]) -> tuple[int, str]:
    """Size and SHA-256 of the body, which now lies on disk. Raises `PayloadTooLarge`."""
    digest, size = hashlib.sha256(), 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_FILE_BYTES:
            raise PayloadTooLarge(f"An export file may have {MAX_FILE_BYTES} bytes")
        digest.update(piece)
        spool.write(piece)
    return size, digest.hexdigest()


def _wish(request: Request, caller: Caller, asked: Period, source: str) -> Wish:
    if asked.from_ and asked.to and asked.from_ > asked.to:
        raise InvalidRequest(errors=[FieldError("/to", "not before from")])
    made = asked.as_of if isinstance(asked, FilePeriod) else None
    if made and not _OLDEST_EXPORT < made < clock.now() + _CLOCKS_DIFFER:
        raise InvalidRequest(errors=[FieldError("query:as_of", "after 2015 and not in the future")])
    return Wish(
        request.app.state.courier.destination,
        source,
        caller.agencies,
        caller.name,
        asked.reason,
        period_from=asked.from_,
        period_to=asked.to,
    )


def _parsed(kind: type[P], given: Any) -> P:
    try:
        return kind.model_validate(given)
    except ValidationError as failure:
        raise problems.invalid(failure) from None
