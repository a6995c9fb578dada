"""`lgsp.dossier` → the version the national portal should show. Calls no remote system: workers do."""

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from shared import clock, outbox
from shared.db import Transaction
from shared.events import Cause, Event
from shared.inbox import Handler, Park
from sync_national import announcing, incident_store, portal_record, store
from sync_national.change import Gathering
from sync_national.incident import Failure
from sync_national.store import Wanted
from sync_national.syncing import TOPIC, Courier


def follow_dossiers(courier: Courier, gathering: Gathering) -> Handler:
    """The handler of `lgsp.dossier`. Changes within the pause after the first go to the portal together."""

    async def follow(tx: Transaction, batch: Sequence[Event]) -> list[Park]:
        wanted, parks = [], []
        for event in batch:
            try:
                wanted.append(_wanted(event))
            except (KeyError, TypeError, ValueError, AttributeError) as fault:
                parks.append(Park(event, f"no dossier event: {type(fault).__name__} {fault}", "poison"))
        if wanted:
            delay_seconds = gathering.seconds(len(wanted), time.monotonic())
            freed = await store.want(tx, courier.destination, wanted, delay_seconds)
            if freed:
                await outbox.publish(tx, TOPIC, _unparked(batch, freed, courier.destination))
            tx.on_commit(lambda: courier.bell.ring_in(delay_seconds))
        # Whose they are nobody can tell: they are for those who see everything.
        await incident_store.note(
            tx, courier.destination, [Failure(park.event.subject, "*", park.owner, park.reason) for park in parks]
        )
        return parks

    return follow


def _unparked(batch: Sequence[Event], freed: Collection[str], destination: str) -> list[Event]:
    """Parked dossiers that have moved on, each told of in the trace of what moved it."""
    moved = {event.subject: event for event in batch}
    present = clock.now()
    return [
        announcing.unparked(
            code, destination, int(moved[code].data["version"]), present, Cause(None, moved[code].traceparent)
        )
        for code in freed
    ]


def _wanted(event: Event) -> Wanted:
    state = event.data
    change = state["change"]
    return Wanted(
        dossier_code=str(state["code"]),
        agency_code=str(state["agency_code"]),
        status_code=int(state["status_code"]),
        version=int(state["version"]),
        progress=int(change["from_status"] != change["to_status"]),
        recorded_at=datetime.fromisoformat(change["recorded_at"]),
        filed_at=_moment(state.get("submitted_at")),
        promised_at=_moment(state.get("due_at")),
        ended_at=_moment(state.get("ended_at") or state.get("finished_at")),
        last_at=datetime.fromisoformat(change["at"]),
        payment_flag=_payment_flag(state.get("payments")),
        national_late_at=_national_late_at(state),
    )


def _national_late_at(state: Mapping[str, Any]) -> str | None:
    """As `Wanted` has it; events of before the verdicts were told leave it open."""
    if "national_late_at" not in state:
        return None
    late = _moment(state["national_late_at"])
    return "infinity" if late is None else late.isoformat()


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _payment_flag(payments: Mapping[str, Any] | None) -> str | None:
    """As the record will say it; an event of before `online` was told leaves it open once something is paid."""
    if payments is None or (payments["paid_vnd"] and "online" not in payments):
        return None
    return portal_record.paid_how({"online": False, **payments})
