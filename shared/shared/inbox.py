"""The inbox: every event has its effect once, in order per dossier, and what cannot pass waits visibly.

An event that cannot be handled is *parked* with reason and owner; later events of the same key park behind it. All are
tried again when their reader starts: the repair of what failed comes with a start. One that only came too early *waits*
in the same place (`waiting`) and is taken up by the fact when it comes (`resume`). The head row per (reader, key) is
locked by the reader and by whoever un-parks: it keeps the two apart.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from shared import events
from shared.db import Reading, Transaction
from shared.errors import Owner
from shared.events import Event

_FIRST = """
INSERT INTO inbox (source, event_id) SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT DO NOTHING RETURNING source, event_id
"""
_HEADS = """
SELECT key, (SELECT waiting FROM parked p WHERE p.reader = h.reader AND p.key = h.key ORDER BY id LIMIT 1) AS waiting
FROM parked_head h WHERE reader = $1 AND key = ANY($2::text[]) ORDER BY key FOR UPDATE
"""
_PARK = """
INSERT INTO parked (reader, key, source, event_id, value, headers, reason, owner, waiting)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::text[], $8::text[],
                         $9::bool[])
"""
_PARK_HEADS = """
INSERT INTO parked_head (reader, key) SELECT DISTINCT $1, k FROM unnest($2::text[]) AS k ORDER BY 2
ON CONFLICT DO NOTHING
"""
_PARKED_KEYS = """
SELECT key FROM parked_head h WHERE reader = $1
  AND NOT EXISTS (SELECT FROM parked p WHERE p.reader = h.reader AND p.key = h.key AND p.source = $2) ORDER BY key
"""
_MISSING = """
SELECT id FROM unnest(CAST(:ids AS text[])) AS id
WHERE NOT EXISTS (SELECT FROM inbox WHERE source = :source AND event_id = id OFFSET 0)
"""  # OFFSET 0: looked up by its key, one by one; as a join it was at times planned over the whole inbox


@dataclass(frozen=True, slots=True)
class Park:
    """An event that stays: why, and whose fault; `waiting` when it only came too early."""

    event: Event
    reason: str
    owner: Owner
    waiting: bool = False


NO_EVENT = "/lgsp/poison"
"""Source of what stands in the place of bytes that are no event. Nothing can be done with it but to look at it."""
Handler = Callable[[Transaction, Sequence[Event]], Awaitable[Sequence[Park]]]
"""Takes at most one event per key; returns those that must stay. Raises for bugs. Calls no remote system."""


def key_of(event: Event) -> str:
    """What orders an event: its dossier."""
    return event.key


async def first_time(tx: Transaction, batch: Sequence[Event]) -> list[Event]:
    """Record `(origin, id)` of the batch in this transaction; those never seen before, in order."""
    ordered = sorted({(event.origin, event.id) for event in batch})  # one lock order for all readers
    if not ordered:
        return []
    rows = await tx.raw.fetch(_FIRST, [source for source, _ in ordered], [id_ for _, id_ in ordered])
    new = {(row["source"], row["event_id"]) for row in rows}
    fresh = []
    for event in batch:
        if (event.origin, event.id) in new:
            new.discard((event.origin, event.id))
            fresh.append(event)
    return fresh


async def missing(rx: Reading, source: str, ids: Sequence[str]) -> list[str]:
    """Which of these ids this service has never seen (asked by the publisher's receipt check)."""
    return [row["id"] for row in await rx.rows(_MISSING, source=source, ids=list(ids))]


async def apply(tx: Transaction, reader: str, batch: Sequence[Event], handler: Handler) -> list[Park]:
    """Hand a batch of new events to the handler, one per key at a time; park what must stay."""
    blocked = await _locked_heads(tx, reader, [key_of(event) for event in batch])
    parks: list[Park] = []
    queues: dict[str, list[Event]] = {}
    for event in batch:
        queues.setdefault(key_of(event), []).append(event)
    while queues:
        ready = [queue.pop(0) for key, queue in sorted(queues.items()) if key not in blocked]
        if ready:
            for refused in await handler(tx, ready):
                parks.append(refused)
                blocked[key_of(refused.event)] = refused.waiting
        for key in [key for key, queue in queues.items() if not queue]:
            del queues[key]
        if not ready:
            break
    for key, queue in queues.items():
        parks += [Park(event, "behind an earlier event", "partner", blocked[key]) for event in queue]
    await park(tx, reader, parks)
    return parks


async def parked_keys(rx: Reading, reader: str) -> list[str]:
    """What is held up by events that could be tried again."""
    return [row["key"] for row in await rx.raw.fetch(_PARKED_KEYS, reader, NO_EVENT)]


async def resume(
    tx: Transaction, reader: str, keys: Sequence[str], handler: Handler, *, parked_too: bool = False
) -> None:
    """Take up the waiting events of these keys in order, in this transaction (`parked_too`: the parked as well)."""
    heads = list(await _locked_heads(tx, reader, keys))
    queues: dict[str, list[Mapping[str, object]]] = {key: [] for key in heads}
    for row in await tx.raw.fetch(
        "SELECT * FROM parked WHERE reader = $1 AND key = ANY($2::text[]) ORDER BY id", reader, heads
    ):
        queues[row["key"]].append(row)
    done: list[object] = []
    while ready := {
        key: queue.pop(0) for key, queue in queues.items() if queue and (parked_too or queue[0]["waiting"])
    }:
        stays = {key_of(park.event): park for park in await handler(tx, list(_decoded(ready.values())))}
        for key, row in ready.items():
            if key in stays:
                await _keep(tx, row, stays[key])
                queues[key] = []
            else:
                done.append(row["id"])
    if done:
        await tx.raw.execute("DELETE FROM parked WHERE id = ANY($1::bigint[])", done)
    await tx.raw.execute(
        "DELETE FROM parked_head h WHERE reader = $1 AND key = ANY($2::text[]) AND NOT EXISTS "
        "(SELECT FROM parked p WHERE p.reader = h.reader AND p.key = h.key)",
        reader,
        heads,
    )


async def counts(rx: Reading) -> tuple[int, int]:
    """How many events are parked, and how many only wait."""
    row = await rx.row(
        "SELECT count(*) FILTER (WHERE NOT waiting) AS parked, count(*) FILTER (WHERE waiting) AS waiting FROM parked"
    )
    return (row["parked"], row["waiting"]) if row else (0, 0)


async def _locked_heads(tx: Transaction, reader: str, keys: Sequence[str]) -> dict[str, bool]:
    """The keys that are held up, and whether the event at their head only waits."""
    rows = await tx.raw.fetch(_HEADS, reader, sorted(set(keys)))
    return {row["key"]: bool(row["waiting"]) for row in rows}


async def park(tx: Transaction, reader: str, parks: Sequence[Park]) -> None:
    """Write these down, with the heads that make later events of their keys park behind them."""
    if not parks:
        return
    keys = [key_of(park.event) for park in parks]
    await tx.raw.execute(_PARK_HEADS, reader, keys)
    await tx.raw.execute(
        _PARK,
        reader,
        keys,
        [park.event.origin for park in parks],
        [park.event.id for park in parks],
        [events.written(park.event).decode() for park in parks],
        [orjson.dumps(dict(park.event.headers)).decode() for park in parks],
        [park.reason for park in parks],
        [park.owner for park in parks],
        [park.waiting for park in parks],
    )


async def _keep(tx: Transaction, row: Mapping[str, object], park: Park) -> None:
    await tx.raw.execute(
        "UPDATE parked SET reason = $2, owner = $3, waiting = $4 WHERE id = $1",
        row["id"],
        park.reason,
        park.owner,
        park.waiting,
    )


def _decoded(rows: object) -> Iterator[Event]:
    for row in rows:  # type: ignore[attr-defined]  # asyncpg's records
        yield events.decode(row["value"].encode(), row["headers"])
