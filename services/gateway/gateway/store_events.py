"""Pushed events in PostgreSQL: who sent which id already, and the outbox rows of the new ones."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.cloud_event import Pushed
from shared import strict_json
from shared.db import Reading, Transaction

_KEEP = """
INSERT INTO event_received (client_id, source, event_id, type, dossier_code, exchange_id)
SELECT $1, row.source, row.id, row.type, row.dossier_code, $2
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) AS row(source, id, type, dossier_code)
ON CONFLICT DO NOTHING RETURNING source, event_id
"""
_PUBLISH = """
INSERT INTO outbox (event_id, source, topic, key, value, headers)
SELECT row.id, row.source, $1, row.key, row.value, CAST($2 AS jsonb)
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) AS row(id, source, key, value)
"""

# Accepted: when the request came that brought it.
_FOUND = """
SELECT e.client_id, e.source, e.event_id, e.type, e.dossier_code, e.exchange_id, e.recorded_at,
  least(e.recorded_at, coalesce((SELECT min(received_at) FROM exchange x WHERE x.id = e.exchange_id), e.recorded_at))
    AS accepted_at,
  (SELECT min(published_at) FROM outbox_published p WHERE p.event_id = e.event_id
    AND p.source = e.client_id || ' ' || e.source) AS published_at
FROM (
  SELECT * FROM event_received WHERE source = $1 AND event_id = $2
  UNION SELECT * FROM event_received WHERE dossier_code = $3
  UNION SELECT r.* FROM unnest($4::text[], $5::text[], $6::text[]) AS n(client, src, eid)
    JOIN event_received r ON r.client_id = n.client AND r.source = n.src AND r.event_id = n.eid) AS e
WHERE ($7::timestamptz IS NULL OR (e.recorded_at, e.source, e.event_id) > ($7, $8, $9))
  AND ($11::text IS NULL OR e.client_id = $11)
ORDER BY e.recorded_at, e.source, e.event_id LIMIT $10
"""


async def keep_new(tx: Transaction, client_id: str, exchange_id: str | None, events: Sequence[Pushed]) -> list[Pushed]:
    """Remember the events; those that this client had not sent before, in their order."""
    if not events:
        return []
    # In one order for everybody, so that two pushes of the same events wait for each other instead of deadlocking.
    ordered = sorted(events, key=lambda event: (event.source, event.id))
    rows = await tx.raw.fetch(
        _KEEP,
        client_id,
        exchange_id,
        [event.source for event in ordered],
        [event.id for event in ordered],
        [event.type for event in ordered],
        [event.dossier_code for event in ordered],
    )
    new = {(row["source"], row["event_id"]) for row in rows}
    return [event for event in events if (event.source, event.id) in new]


async def publish(tx: Transaction, topic: str, events: Sequence[Pushed], headers: Mapping[str, str]) -> None:
    """The outbox rows, in order; the value is the ministry's own JSON and not our envelope."""
    if not events:
        return
    tx.publishes = True
    await tx.raw.execute(
        _PUBLISH,
        topic,
        strict_json.dumps(dict(headers)).decode(),
        [event.id for event in events],
        # An id is unique within its source, and a source within its client (`shared.events.Event.origin`).
        [f"{headers['hub-client']} {event.source}" for event in events],
        [event.key for event in events],
        [event.value for event in events],
    )


async def found(
    rx: Reading, source: str | None, event_id: str | None, dossier_code: str | None,
    names: Sequence[tuple[str, str, str]], place: tuple[datetime, str, str] | None, limit: int, sender: str | None,
) -> Sequence[Mapping[str, Any]]:  # fmt: skip
    """Events by source and id, or those of a dossier and these (client, source, id), after this place.

    `sender`: only those of this client.
    """
    clients, sources, ids = [list(column) for column in zip(*names, strict=True)] if names else ([], [], [])
    at, *rest = place or (None, "", "")
    rows: Sequence[Mapping[str, Any]] = await rx.raw.fetch(
        _FOUND, source, event_id, dossier_code, clients, sources, ids, at, *rest, limit, sender
    )
    return rows
