"""What operators see and do: counts, lists, one dossier with its attempts, another try, hold and release."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from shared import clock, outbox
from shared.db import Reading, Transaction
from shared.errors import Conflict, NotFound
from shared.events import Cause
from sync_national import announcing, evidence, incident_store, reconciliation_store, status_store
from sync_national.change import State
from sync_national.syncing import TOPIC

_SHOWN_ATTEMPTS = 50


class NothingToRetry(Conflict):
    """The dossier is level, or a worker has it in hand."""

    code, title = "nothing_to_retry", "There is nothing to try again"


class OutcomeUnknown(Conflict):
    """An earlier push may still be running at the portal; it is asked when that cannot be any more."""

    code, title, retryable = "outcome_unknown", "The outcome of the last push is not known yet", True


class Hold(NamedTuple):
    """A destination on hold."""

    destination: str
    reason: str
    held_by: str
    held_since: datetime


async def status(rx: Reading, destination: str) -> dict[str, Any]:
    """The counts and figures that the database knows of a destination."""
    hold = await status_store.hold_of(rx, destination)
    counts = {state.value: 0 for state in State} | await status_store.counts(rx, destination)
    if hold:
        counts["held"], counts["pending"] = counts["pending"], 0
    acknowledged = await status_store.acknowledged_last_minute(rx, destination)
    return {
        "destination": destination,
        "counts": counts,
        "oldest_unsynced_seconds": await status_store.oldest_unsynced_seconds(rx, destination),
        "acknowledged_last_minute": acknowledged,
        "throughput_per_second": round(acknowledged / 60, 2),
        "failures": await incident_store.owners(rx, destination),
        "hold": hold,
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
    covers_all: bool,
) -> list[Mapping[str, Any]]:
    """Dossiers in the order of their codes, one more than `limit` when there are more."""
    is_held = await status_store.hold_of(rx, destination) is not None
    if (state is State.HELD and not is_held) or (state is State.PENDING and is_held):
        return []
    stored = State.PENDING if state is State.HELD else state
    return await status_store.listed(
        rx, destination, stored, agency, after, limit + 1, is_held=is_held, covers_all=covers_all
    )


async def one(rx: Reading, destination: str, code: str) -> dict[str, Any]:
    """One dossier with its attempts, newest first. Raises `NotFound`."""
    is_held = await status_store.hold_of(rx, destination) is not None
    row = await status_store.one(rx, destination, code, is_held=is_held)
    if row is None:
        raise NotFound
    return {**row, "attempts": await evidence.attempts_of(rx, destination, code, _SHOWN_ATTEMPTS)}


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
    found = await status_store.one(tx, destination, code, is_held=False)
    assert found is not None
    return found


async def hold(tx: Transaction, destination: str, reason: str, held_by: str) -> Hold:
    """Stop pushing to a destination; a second hold changes the reason only."""
    return Hold(**await status_store.hold(tx, destination, reason, held_by))


async def release(tx: Transaction, destination: str) -> None:
    """Push again; nothing happens when there was no hold."""
    await status_store.release(tx, destination)
