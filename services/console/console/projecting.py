"""Events into the read model. Every function takes at most one event per dossier and writes them in a few statements.

Order does not matter for the result: a state is kept by its version, a payment and a resolution happen once.
"""

from collections.abc import Sequence
from typing import Any

from console import store
from shared.db import Transaction
from shared.events import Event

_BRINGING_RESULTS = frozenset({"dossier.finished", "dossier.result_attached"})
_FACTS = frozenset({"dossier.identity_recorded", "dossier.payment_recorded"})
_PORTAL = "dvcqg"
# What a hop keeps of its event: nothing that names a person, and no link that could be paid by another.
_TELLING = (
    "outcome", "mismatched_fields", "payment_id", "method", "amount_vnd", "destination", "progress_number",
    "reason", "owner",
)  # fmt: skip
_PREFIX, _SUFFIX = "vn.lgsp.", ".v1"


async def dossiers(tx: Transaction, events: Sequence[Event]) -> None:
    """`lgsp.dossier`: the whole public state, and what changed it."""
    await store.put_dossiers(tx, [_state(event) for event in events])
    await store.add_hops(tx, [_dossier_hop(event) for event in events])


async def identities(tx: Transaction, events: Sequence[Event]) -> None:
    """`lgsp.identity`: outcomes of verifications."""
    await store.add_hops(tx, [_hop("lgsp.identity", event) for event in events])


async def payments(tx: Transaction, events: Sequence[Event]) -> None:
    """`lgsp.payment`: what was paid counts for the fees report, everything for the dossier's way."""
    completed = [_with_agency(event.data) for event in events if noun(event.type) == "payment.completed"]
    if completed:
        await store.put_payments(tx, completed)
    await store.add_hops(tx, [_hop("lgsp.payment", event) for event in events])


async def syncs(tx: Transaction, events: Sequence[Event]) -> None:
    """`lgsp.sync`: acknowledged, parked, un-parked."""
    states: list[dict[str, Any]] = []
    for event in events:
        data = _with_agency(event.data, event.subject)
        at = data.get("at") if noun(event.type) == "sync.acknowledged" else None
        states.append({"destination": _PORTAL, "version": 0, **data, "at": at})
    await store.put_sync(tx, states)
    await store.add_hops(tx, [_hop("lgsp.sync", event) for event in events])


def noun(type_: str) -> str:
    """`vn.lgsp.payment.completed.v1` → `payment.completed`."""
    return type_.removeprefix(_PREFIX).removesuffix(_SUFFIX)


def agency_of(dossier_code: str) -> str:
    """The agency in a code of ours: `{agency}-{yyMMdd}-{number}` (api.md, Dossiers)."""
    return dossier_code.rsplit("-", 2)[0]


def _with_agency(data: dict[str, Any], subject: str = "") -> dict[str, Any]:
    code = data.get("dossier_code") or subject
    return {"agency_code": agency_of(code), **data, "dossier_code": code}


def _state(event: Event) -> dict[str, Any]:
    at, kind = event.data["change"]["at"], noun(event.type)
    # A fact moves no due time; if it tells a new one, the event that moved it is still to come: not known since when.
    return {
        **event.data,
        "due_since": "infinity" if kind in _FACTS else at,
        "resolved_at": _resolved_at(event, kind),
        "electronic_since": at if kind in _BRINGING_RESULTS and event.data["electronic_result"] else None,
    }


def _resolved_at(event: Event, kind: str) -> str | None:
    """The first of 9 and 7, as this version knows it; a correction may have moved it."""
    if kind == "dossier.withdrawn":
        return str(event.data["change"]["at"])
    known: str | None = event.data["finished_at"] or event.data["change"].get("resolved_at")
    return known


def _dossier_hop(event: Event) -> dict[str, Any]:
    change = event.data["change"]
    return {
        "dossier_code": event.data["code"],
        "agency_code": event.data["agency_code"],
        "topic": "lgsp.dossier",
        "type": noun(event.type),
        "version": event.data["version"],
        "is_fact": noun(event.type) in _FACTS,
        "at": change["at"],
        "published_at": event.published_at,
        "due_at": event.data["due_at"],
        "detail": {"status_code": event.data["status_code"]},
    }


def _hop(topic: str, event: Event) -> dict[str, Any]:
    data = _with_agency(event.data, event.subject)
    return {
        "dossier_code": data["dossier_code"],
        "agency_code": data["agency_code"],
        "topic": topic,
        "type": noun(event.type),
        "version": data.get("version"),
        "is_fact": True,
        "at": event.time,
        "published_at": event.published_at,
        "due_at": None,
        "detail": {name: data[name] for name in _TELLING if name in data},
    }
