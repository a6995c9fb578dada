"""What the routes of ministries' events answer, and who may ask."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from dossier.bodies import Moment
from dossier.ministry_store import State
from shared import web
from shared.auth import Caller
from shared.errors import AgencyNotPermitted

Reason = Annotated[str, Field(max_length=500)]
NAME = r"^[^\x00-\x1f\x7f-\x9f]*$"
"""Of a client or a source: as events carry them, without control characters."""


class EventOutcome(web.Answer):
    """An event as the dossier service knows it, without its content. `reason` is null for what was applied."""

    number: int
    client_id: str
    source: str
    id: str
    type: str
    dossier_code: str | None
    state: State | Literal["parked"]
    reason: str | None
    owner: Literal["partner", "hub", "poison"] | None
    """Whose fault it is that it is not applied; null when a fact is waited for, or nothing is wrong."""
    action: str | None
    happened_at: datetime | None
    version: int | None
    """Of the dossier, that has it."""
    vocabulary_version: int | None
    published_at: datetime | None
    taken_at: datetime
    applied_at: datetime | None


class UnsettledCount(web.Answer):
    """How many of a kind stand open, and since when the oldest."""

    client_id: str
    source: str
    type: str
    state: State
    reason: str | None
    count: int
    oldest_at: datetime


class UnsettledPage(web.Answer):
    """Events that are not applied."""

    counts: list[UnsettledCount]
    items: list[EventOutcome]
    next_cursor: str | None


class ReplayRequest(web.Body):
    """Which events: those of a client, taken in from `since` on (before `until`)."""

    client_id: Annotated[str, Field(min_length=1, max_length=255)]
    source: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    since: Moment
    until: Moment | None = None
    reason: Reason = ""
    per_second: Annotated[int, Field(ge=1, le=200)] = 200


class ConfirmRequest(web.Body):
    """`count`: what the caller was shown; another number in the plan is refused."""

    count: int | None = None


class EventReplay(web.Answer):
    """A plan, or how far it has been carried out."""

    id: str
    state: Literal["planned", "running", "done", "cancelled"]
    client_id: str
    source: str | None
    since: datetime
    until: datetime | None
    reason: str
    per_second: int
    count: int
    executed: int
    outcomes: dict[str, int]
    """`already_applied`, or the state that an event has now."""
    states: dict[str, int]
    """Of the planned events, as they stand now."""
    sample: list[EventOutcome]
    planned_by: str
    planned_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None
    cancelled_by: str | None
    finished_at: datetime | None


def require_operator(caller: Caller) -> None:
    """What concerns every agency is for those who cover all of them. Raises `AgencyNotPermitted`."""
    if "*" not in caller.agencies:
        raise AgencyNotPermitted
