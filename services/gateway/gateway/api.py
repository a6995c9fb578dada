"""The gateway's own resources: pushed events and the exchange log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import ConfigDict

from gateway import cloud_event, header, receiving, store_exchanges
from gateway.call import CALL, Call
from gateway.exchange import agency_of
from shared import idempotency, strict_json, web
from shared.auth import Caller
from shared.errors import AgencyNotPermitted, FieldError, InvalidRequest, NotFound, PayloadTooLarge
from shared.events import Cause
from shared.idempotency import Key, RequestInProgress

router = web.router(tags=["gateway"])


class RejectedEvent(web.Answer):
    """One event that was not taken, by its place in the batch."""

    index: int
    code: str
    detail: str


class EventsAnswer(web.Answer):
    """What became of the pushed events."""

    accepted: int
    duplicates: int
    rejected: list[RejectedEvent]


_EVENT_SCHEMA = {"type": "object", "required": ["specversion", "id", "source", "type"], "additionalProperties": True}
_EVENTS_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            cloud_event.STRUCTURED: {"schema": _EVENT_SCHEMA},
            cloud_event.BATCH: {"schema": {"type": "array", "items": _EVENT_SCHEMA, "maxItems": 500}},
            "application/json": {"schema": {}},
        },
    }
}


@router.post(
    "/v1/events",
    status_code=202,
    response_model=EventsAnswer,
    responses=web.errors(cloud_event.UnsupportedEvents, PayloadTooLarge, RequestInProgress),
    openapi_extra=_EVENTS_BODY,
)
async def push_events(
    request: Request,
    tx: web.InTransaction,
    caller: Annotated[Caller, web.requires("event:push")],
    key: Key = None,
) -> Response:
    """Take CloudEvents (structured, binary or batch); a repeated `(source, id)` has no second effect."""
    headers = request.scope["headers"]
    decoded = cloud_event.decode(request.headers.get("content-type", ""), headers, await request.body())
    call: Call = request.scope[CALL]
    cause = Cause(call.exchange_id, header.traced(call.incoming.traceparent))

    async def take() -> Response:
        receipt = await receiving.receive(tx, caller, cause, decoded)
        call.dossier_codes = receipt.dossier_codes
        answer = {"accepted": receipt.accepted, "duplicates": receipt.duplicates, "rejected": receipt.rejected}
        return Response(strict_json.dumps(answer), 202, media_type="application/json")

    # In binary mode the event's own id stands in a header: under one key, another id is another request.
    attributes = sorted(b"%b: %b\n" % pair for pair in headers if pair[0] == b"content-type" or pair[0][:3] == b"ce-")
    asked = b"".join(attributes) + await request.body()
    return await idempotency.once(tx, request, caller, key, take, content=asked)


class ExchangeAnswer(web.Answer):
    """One record of the exchange log. Digests are SHA-256 in hex; null stands for an empty body."""

    model_config = ConfigDict(extra="forbid")

    id: UUID
    kind: str
    client_id: str | None
    subject: str | None
    role: str | None
    method: str
    route: str
    path: str
    status: int
    upstream_status: int | None
    purpose: str | None
    received_at: datetime
    answered_at: datetime
    recorded_at: datetime
    request_sha256: str | None
    response_sha256: str | None
    dossier_count: int
    chain: UUID
    seq: int
    previous: str
    digest: str


class ExchangePage(web.Answer):
    """A page of the exchange log."""

    items: list[ExchangeAnswer]
    next_cursor: str | None


@router.get("/v1/exchanges", response_model=ExchangePage, responses=web.errors(NotFound, AgencyNotPermitted))
async def exchanges(
    rx: web.InReading,
    caller: Annotated[Caller, web.requires("audit:read")],
    dossier_code: Annotated[str | None, Query(max_length=100), web.PRESENT_FORM] = None,
    cursor: str | None = None,
    limit: web.PageSize = 100,
) -> Response:
    """Every exchange that concerned one dossier, single calls and lines of batches alike, oldest first.

    Without `dossier_code` the whole log, newest first: only for callers of all agencies, as an exchange has none.
    """
    place = _place(cursor)
    if dossier_code is None:
        caller.require_agency("*")
        rows = await store_exchanges.newest(rx, place, limit + 1)
    else:
        _require_sight(caller, dossier_code)
        rows = await store_exchanges.of_dossier(rx, dossier_code, place, limit + 1)
    page = [_shown(row) for row in rows[:limit]]
    more = len(rows) > limit
    after = web.encode_cursor(str(page[-1]["id"]), page[-1]["seq"]) if more else None
    return Response(strict_json.dumps({"items": page, "next_cursor": after}), media_type="application/json")


def _require_sight(caller: Caller, dossier_code: str) -> None:
    agency = agency_of(dossier_code)
    if agency is None:
        raise InvalidRequest(errors=[FieldError("query:dossier_code", "a dossier's code")])
    if not caller.covers(agency):
        raise NotFound


def _place(cursor: str | None) -> tuple[str, int] | None:
    parts = web.decode_cursor(cursor, 2)
    if parts is None:
        return None
    if not (isinstance(parts[0], str) and isinstance(parts[1], int) and _is_uuid(parts[0])):
        raise InvalidRequest("The cursor is not one of ours")
    return parts[0], parts[1]


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name in ExchangeAnswer.model_fields:
        value = row[name]
        shown[name] = bytes(value).hex() if isinstance(value, bytes | memoryview) else value
        if name in ("id", "chain"):
            shown[name] = str(value)
    return shown


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text  # Python reads other ways to write one, too
    except ValueError:
        return False
