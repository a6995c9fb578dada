"""`GET /v1/events`: the delivery matrix of a ministry's event, and of all that concern a dossier."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query, Request

from gateway import following, store_events
from gateway.exchange import agency_of
from gateway.following import Following
from shared import web
from shared.auth import Caller
from shared.errors import FieldError, InvalidRequest, NotFound

router = web.router(tags=["gateway"])
_NAME = r"^[^\x00-\x1f\x7f-\x9f]*$"
"""As `cloud_event` lets them in: no control characters, of which PostgreSQL keeps no NUL."""


class EventDelivery(web.Answer):
    """How far one event has come; a time is null until then.

    `state`: how far it came, or why not further: past (the dossier had come further already, or it says nothing here),
    waiting (for a fact), unmatched (no such dossier yet), unmapped (type or value without a meaning yet), refused (by
    the life of the dossier or the client's agencies), parked (poison, or a fault of ours). `reason` says more.
    """

    client_id: str
    source: str
    id: str
    type: str
    dossier_code: str | None
    exchange_id: str | None
    accepted_at: datetime
    stored_at: datetime
    published_at: datetime | None
    taken_at: datetime | None
    """When the dossier service took it in."""
    applied_at: datetime | None
    synced_at: datetime | None
    state: Literal[
        "stored", "published", "applied", "synced", "past", "waiting", "unmatched", "unmapped", "refused", "parked",
        "unknown",
    ]  # fmt: skip
    reason: str | None
    owner: Literal["partner", "hub", "poison"] | None
    action: str | None
    happened_at: datetime | None
    version: int | None
    """Of the dossier, that has it."""
    vocabulary_version: int | None
    sync_state: str | None
    """How the dossier stands with the nation."""
    unknown: list[str]
    """Columns that could not be told: the service that keeps them does not answer."""


class EventDeliveries(web.Answer):
    """A page, in the order in which the gateway stored them."""

    items: list[EventDelivery]
    next_cursor: str | None


@router.get("/v1/events", responses=web.errors(NotFound))
async def read_events(
    request: Request,
    rx: web.InReading,
    caller: Annotated[Caller, web.requires("dossier:read")],
    source: Annotated[str | None, Query(min_length=1, max_length=500, pattern=_NAME)] = None,
    id: Annotated[str | None, Query(min_length=1, max_length=255, pattern=_NAME)] = None,  # noqa: A002 - the contract's name
    dossier_code: Annotated[str | None, Query(min_length=1, max_length=255, pattern=_NAME), web.PRESENT_FORM] = None,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
    limit: web.PageSize = 100,
) -> EventDeliveries:
    """Where an event (`source` and `id`) or all events of a dossier (`dossier_code`) stand.

    A ministry sees what it has sent itself, an operator what concerns the dossiers of its agencies.
    """
    if (source is None) != (id is None) or (source is None) == (dossier_code is None):
        raise InvalidRequest(errors=[FieldError("query:source", "source and id, or dossier_code")])
    known: dict[following.Name, Any] | None = {}
    followed: Following = request.app.state.following
    if dossier_code is not None:
        known = await followed.outcomes([], dossier_code)
    # Others' events are not even looked at: the cursor names the last one of a page.
    sees_others = caller.role == "operator" and (dossier_code is None or _covers(caller, dossier_code))
    sender = None if sees_others else caller.client_id
    names = list(known or {})
    rows = await store_events.found(rx, source, id, dossier_code, names, _place(cursor), limit + 1, sender)
    seen = [row for row in rows[:limit] if _sees(caller, row, known or {})]
    if not seen and cursor is None and not (dossier_code and _covers(caller, dossier_code)):
        raise NotFound
    last = rows[limit - 1] if len(rows) > limit else None
    return EventDeliveries(
        items=await _delivered(followed, seen),
        next_cursor=last and web.encode_cursor(last["recorded_at"].isoformat(), last["source"], last["event_id"]),
    )


async def _delivered(followed: Following, rows: list[Any]) -> list[EventDelivery]:
    names = [(row["client_id"], row["source"], row["event_id"]) for row in rows]
    outcomes = await followed.outcomes(names) if names else {}
    found = outcomes or {}
    versions = [(it["dossier_code"], it["version"]) for it in found.values() if it["version"] is not None]
    synced = await followed.acknowledged(versions)
    items = []
    for name, row in zip(names, rows, strict=True):
        outcome = found.get(name)
        version = None if outcome is None else (outcome["dossier_code"], outcome["version"])
        item = following.matrix(row, outcome, None if version is None else (synced or {}).get(version))
        told = following.stage(item, is_dossier_away=outcomes is None, is_sync_away=synced is None)
        items.append(EventDelivery(**item | told))
    return items


def _sees(caller: Caller, row: Any, known: dict[following.Name, Any]) -> bool:
    if row["client_id"] == caller.client_id:
        return True
    outcome = known.get((row["client_id"], row["source"], row["event_id"]))
    code = (outcome or {}).get("dossier_code") or row["dossier_code"] or ""
    return caller.role == "operator" and _covers(caller, code)


def _covers(caller: Caller, dossier_code: str) -> bool:
    return caller.covers(agency_of(dossier_code) or "*")


def _place(cursor: str | None) -> tuple[datetime, str, str] | None:
    parts = web.decode_cursor(cursor, 3)
    if parts is None:
        return None
    at = web.time_in_cursor(parts[0])
    if not isinstance(parts[1], str) or not isinstance(parts[2], str):
        raise InvalidRequest("The cursor is not one of ours")
    return at, parts[1], parts[2]
