"""What operators see and do: counts, lists, one dossier with its attempts, another try."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared import clock, outbox
from shared.db import Reading, Transaction
from shared.dossiers import Dossiers
from shared.errors import Conflict, NotFound, Upstream
from shared.events import Cause
from sync_national import (
    announcing,
    evidence,
    holding,
    incident_store,
    portal_record,
    reconciliation_store,
    status_store,
)
from sync_national.change import State
from sync_national.portal_profile import Profile
from sync_national.portal_record import MappingFailed
from sync_national.syncing import TOPIC

_SHOWN_ATTEMPTS = 50
_WAITING = (State.PENDING, State.HELD, State.IN_FLIGHT, State.UNKNOWN, State.FAILED)


class NothingToRetry(Conflict):
    """The dossier is level, or a worker has it in hand."""

    code, title = "nothing_to_retry", "There is nothing to try again"


class OutcomeUnknown(Conflict):
    """An earlier push may still be running at the portal; it is asked when that cannot be any more."""

    code, title, retryable = "outcome_unknown", "The outcome of the last push is not known yet", True


async def status(rx: Reading, destination: str, calls_per_minute: int) -> dict[str, Any]:
    """The counts and figures that the database knows of a destination; `calls_per_minute` 0: it sets no limit."""
    holds = await holding.on_hold(rx, destination)
    hold = next((held for held in holds if held["agency_code"] is None), None)
    counts = {state.value: 0 for state in State} | await status_store.counts(rx, destination)
    waiting = sum(counts[state.value] for state in _WAITING)
    acknowledged = await status_store.acknowledged_last_minute(rx, destination)
    return {
        "destination": destination,
        "counts": counts,
        "oldest_unsynced_seconds": await status_store.oldest_unsynced_seconds(rx, destination),
        "acknowledged_last_minute": acknowledged,
        "throughput_per_second": round(acknowledged / 60, 2),
        "failures": await incident_store.owners(rx, destination),
        "hold": hold,
        "holds": holds,
        "drain": await holding.drain(rx, destination, waiting, hold),
        "quota_left": calls_per_minute - await status_store.calls_this_minute(rx, destination)
        if calls_per_minute
        else None,
        "last_reconciliation": _last(await reconciliation_store.newest_done(rx, destination)),
    }


def _last(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    differing = row["compared"] - row["equal"]
    kept = {name: row[name] for name in ("id", "source", "finished_at", "compared")}
    return kept | {"differing": differing}


async def listed(
    rx: Reading,
    destination: str,
    *,
    state: State | None,
    agency: str | None,
    after: str | None,
    limit: int,
    agencies: Sequence[str],
) -> list[Mapping[str, Any]]:
    """Dossiers in the order of their codes, one more than `limit` when there are more."""
    return await status_store.listed(rx, destination, state, agency, after, limit + 1, agencies=agencies)


async def one(rx: Reading, destination: str, code: str, before: int | None = None) -> dict[str, Any]:
    """One dossier with its attempts as they are kept (those before a number), newest first. Raises `NotFound`."""
    row = await status_store.one(rx, destination, code)
    if row is None:
        raise NotFound
    attempts = await evidence.attempts_of(rx, destination, code, _SHOWN_ATTEMPTS, before)
    digest = await status_store.accepted_digest(rx, destination, code)
    return {**row, "accepted_digest": digest, "attempts": attempts}


async def record_now(dossiers: Dossiers, profile: Profile, code: str) -> Mapping[str, Any] | None:
    """The record as it would be sent now; None when it cannot be made."""
    try:
        item = (await dossiers.read([code])).get(code)
        return None if item is None else portal_record.prepare(item, profile).record
    except (Upstream, MappingFailed):
        return None


def shown(found: dict[str, Any], now: Mapping[str, Any] | None) -> dict[str, Any]:
    """As who may see it sees it. `now`: the dossier's record of now; None without a purpose, or while it is away."""
    attempts = [_attempt(kept, now) for kept in found["attempts"]]
    return {**found, "attempts": attempts, "accepted_digest": None if now is None else found["accepted_digest"]}


def _attempt(kept: Mapping[str, Any], now: Mapping[str, Any] | None) -> dict[str, Any]:
    """Whole where `now` proves to be what was sent, else without the citizen's data; never with the digest."""
    request = dict(kept["request"] or {})
    digest, record = request.pop("digest", None), None
    if now is not None and digest and request["record"]:
        record = portal_record.revealed(request["record"], now, digest)
    if record is not None:
        request["record"] = record
    return {**kept, "request": request or None, "is_masked": record is None}


async def retry(tx: Transaction, destination: str, code: str, cause: Cause) -> Mapping[str, Any]:
    """Let a worker look at the dossier now. Raises `NotFound`, `NothingToRetry`, `OutcomeUnknown`."""
    row = await status_store.locked_one(tx, destination, code)
    if row is None:
        raise NotFound
    state = State(row["state"])
    if state in {State.SYNCED, State.IN_FLIGHT}:
        raise NothingToRetry(state=state.value)
    if state is State.UNKNOWN and row["due_at"] is not None:
        raise OutcomeUnknown(retry_after_seconds=max(1, int((row["due_at"] - clock.now()).total_seconds()) + 1))
    await status_store.try_again(tx, destination, code)
    if state is State.PARKED:
        news = announcing.unparked(code, destination, row["desired_version"], clock.now(), cause)
        await outbox.publish(tx, TOPIC, [news])
    found = await status_store.one(tx, destination, code)
    assert found is not None
    return found
