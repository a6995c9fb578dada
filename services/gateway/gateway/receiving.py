"""Taking in the events of ministry systems: kept untouched, published once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway import store_events
from gateway.cloud_event import Pushed
from shared.auth import Caller
from shared.db import Transaction
from shared.errors import HubError, InvalidRequest
from shared.events import Cause

TOPIC = "lgsp.ministry"


@dataclass(slots=True)
class Receipt:
    """What became of a push."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)
    dossier_codes: tuple[str, ...] = ()


async def receive(tx: Transaction, caller: Caller, cause: Cause, decoded: Sequence[Pushed | InvalidRequest]) -> Receipt:
    """Keep the new ones and publish them; a duplicate `(client, source, id)` is accepted without a second effect."""
    receipt = Receipt()
    first: dict[tuple[str, str], Pushed] = {}
    for index, event in enumerate(decoded):
        if isinstance(event, HubError):
            fields = "; ".join(f"{fault.pointer or '/'}: {fault.message}" for fault in event.errors)
            receipt.rejected.append(
                {"index": index, "code": event.code, "detail": f"{event.message}. {fields}".rstrip(". ")}
            )
        elif (event.source, event.id) in first:
            receipt.duplicates += 1
        else:
            first[event.source, event.id] = event
    fresh = await store_events.keep_new(tx, caller.client_id, cause.exchange_id, list(first.values()))
    receipt.accepted = len(fresh)
    receipt.duplicates += len(first) - len(fresh)
    codes = (event.dossier_code for event in decoded if isinstance(event, Pushed))
    receipt.dossier_codes = tuple(dict.fromkeys(code for code in codes if code))
    await store_events.publish(tx, TOPIC, fresh, _headers(caller, cause))
    return receipt


def _headers(caller: Caller, cause: Cause) -> Mapping[str, str]:
    return {
        "hub-client": caller.client_id,
        "hub-agencies": ",".join(caller.agencies),
        "hub-exchange-id": cause.exchange_id or "",
        "traceparent": cause.traceparent or "",
    }
