"""Hold and release: nothing is pushed for what is on hold; changes go on being collected.

```
hold      by hand, of the destination or of an agency with its sub-agencies, until it is released
calendar  planned maintenance holds from `starts_at` to `ends_at` by itself; release or cancel ends it earlier
drain     what waited when the hold ended goes out at the portal's pace; the forecast is what waits over that pace
```
Who holds an agency covers it, who holds the destination covers all agencies. What a worker has in hand when a hold
begins is finished.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from shared import clock
from shared.auth import Caller
from shared.db import Reading, Transaction
from shared.errors import AgencyNotPermitted, Conflict, FieldError, InvalidRequest, NotFound
from sync_national import hold_store

WHOLE = "*"
_LONGEST = timedelta(days=31)
_FARTHEST = timedelta(days=400)


class MaintenanceOver(Conflict):
    """It has ended or was cancelled before."""

    code, title = "maintenance_over", "This maintenance is over or cancelled"


class Wanted(NamedTuple):
    """What should be held, and why."""

    destination: str
    agency: str | None
    reason: str

    @property
    def scope(self) -> str:
        """As it is stored."""
        return self.agency or WHOLE


async def on_hold(rx: Reading, destination: str) -> list[dict[str, Any]]:
    """Everything on hold now, the whole destination first."""
    return [_shown(row) for row in await hold_store.listed(rx, destination)]


async def hold(tx: Transaction, caller: Caller, wanted: Wanted) -> dict[str, Any]:
    """Stop pushing; a second hold changes the reason only. Raises `AgencyNotPermitted`."""
    _require(caller, wanted.scope)
    await hold_store.hold(tx, wanted.destination, wanted.scope, wanted.reason, caller.name)
    held = await on_hold(tx, wanted.destination)
    return next(it for it in held if it["agency_code"] == wanted.agency and it["maintenance"] is None)


async def release(tx: Transaction, caller: Caller, destination: str, agency: str | None) -> None:
    """Push again; nothing happens when there was no hold. Raises `AgencyNotPermitted`."""
    _require(caller, agency or WHOLE)
    await hold_store.release(tx, destination, agency or WHOLE, caller.name)
    await hold_store.watch(tx, destination)


async def plan(
    tx: Transaction, caller: Caller, wanted: Wanted, starts_at: datetime, ends_at: datetime
) -> dict[str, Any]:
    """Write maintenance into the calendar. Raises `AgencyNotPermitted`, `InvalidRequest`."""
    _require(caller, wanted.scope)
    if ends_at <= max(starts_at, clock.now()):
        raise InvalidRequest(errors=[FieldError("/ends_at", "after starts_at, and not past")])
    if starts_at > clock.now() + _FARTHEST:
        raise InvalidRequest(errors=[FieldError("/starts_at", f"at most {_FARTHEST.days} days from now")])
    if ends_at - starts_at > _LONGEST:
        raise InvalidRequest(errors=[FieldError("/ends_at", f"at most {_LONGEST.days} days after starts_at")])
    id_ = await hold_store.plan(tx, wanted.destination, wanted.scope, starts_at, ends_at, wanted.reason, caller.name)
    return await planned(tx, id_)


async def planned(rx: Reading, id_: str) -> dict[str, Any]:
    """One entry of the calendar. Raises `NotFound`."""
    row = await hold_store.planned(rx, id_)
    if row is None:
        raise NotFound
    return _entry(row)


async def calendar(rx: Reading, destination: str, before: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest entry first."""
    return [_entry(row) for row in await hold_store.calendar(rx, destination, before, limit)]


async def cancel(tx: Transaction, caller: Caller, id_: str) -> dict[str, Any]:
    """It does not happen, or ends now. Raises `NotFound`, `AgencyNotPermitted`, `MaintenanceOver`."""
    row = await hold_store.planned(tx, id_, for_update=True)
    if row is None:
        raise NotFound
    _require(caller, row["scope"])
    if row["state"] not in {"planned", "running"}:
        raise MaintenanceOver(state=row["state"])
    await hold_store.cancel(tx, id_, caller.name)
    await hold_store.watch(tx, row["destination"])
    return await planned(tx, id_)


async def drain(rx: Reading, destination: str, waiting: int, hold: Mapping[str, Any] | None) -> dict[str, Any]:
    """How far what waits has gone out, and when it will be through if the portal keeps its pace.

    `hold`: of the whole destination, as `on_hold` tells it.
    """
    row = await hold_store.drain(rx, destination)
    pace = row["acknowledged"] / max(1.0, row["seconds"])
    return {
        "waiting": waiting,
        "per_second": round(pace, 2),
        "released_at": row["released_at"],
        "waiting_at_release": row["waiting"],
        "done_pct": _done_pct(row["waiting"], waiting),
        "expected_at": _expected(waiting, pace, hold, clock.now()),
    }


def _done_pct(then: int | None, now: int) -> float | None:
    """Rounded down; what came since the release counts as waiting."""
    return None if not then else max(0, then - now) * 1000 // then / 10


def _expected(waiting: int, pace: float, held: Mapping[str, Any] | None, present: datetime) -> datetime | None:
    """None when nothing waits, nothing moves, or nobody knows when the hold ends."""
    begins = present if held is None else held["ends_at"]
    if not waiting or not pace or begins is None:
        return None
    return begins + timedelta(seconds=round(waiting / pace))


def _require(caller: Caller, scope: str) -> None:
    if not (WHOLE in caller.agencies or (scope != WHOLE and caller.covers(scope))):
        raise AgencyNotPermitted


def _shown(row: Any) -> dict[str, Any]:
    found = dict(row)
    scope, maintenance = found.pop("scope"), found.pop("maintenance_id")
    whole = None if scope == WHOLE else scope
    return {**found, "agency_code": whole, "maintenance": None if maintenance is None else str(maintenance)}


def _entry(row: dict[str, Any]) -> dict[str, Any]:
    scope = row.pop("scope")
    return {**row, "agency_code": None if scope == WHOLE else scope}
