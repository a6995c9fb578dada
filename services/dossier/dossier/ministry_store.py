"""Table ministry_event: every event a ministry pushed, as it came, and what became of it.

| state | means |
|---|---|
| applied | `version` of the dossier has it |
| past | nothing to do: the dossier had come further already, or it says nothing here |
| waiting | a fact is missing (identity, payment) |
| unmatched | there is no such dossier yet |
| unmapped | its type or a value in it has no meaning yet, or it is not what the contract asks for |
| refused | the life of the dossier, or the client's agencies, do not allow it; or the hub fails at it (`HUB_FAULT`) |
| expired | one of the three before this, for so long that nobody will put it right: `reason` says what was wrong |

Open ones (`OPEN`) are taken up again: by a fact, a further event, a new vocabulary, the dossier itself. The content of
what is done is forgotten after 35 days (it may name persons), of what expires at once; what became of it never.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, Literal

import orjson

from shared import events
from shared.db import Reading, Transaction
from shared.events import Event

Row = Mapping[str, Any]
State = Literal["applied", "past", "waiting", "unmatched", "unmapped", "refused", "expired"]
UNUSABLE: tuple[State, ...] = ("unmatched", "unmapped", "refused")
"""As it is; the ministry (or whoever keeps its vocabulary) can change that."""
OPEN: tuple[State, ...] = ("waiting", *UNUSABLE)
KEEP_DAYS = 35
HUB_FAULT = "hub_fault"
"""How the reason begins where the hub itself fails at an event."""
_MOST_OF_A_DOSSIER = 300
_OPEN = f"state IN {OPEN}"  # as the partial indexes have it, word for word
SHOWN = """id, client_id, source, event_id, type, dossier_code, state, reason, action, happened_at, version,
  vocabulary_version, published_at, taken_at, settled_at"""
_WORKED = "id, client_id, source, type, dossier_code, state, reason, vocabulary_version, value, headers"
_KEEP = f"""
INSERT INTO ministry_event (client_id, source, event_id, type, value, headers, published_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[])
ON CONFLICT DO NOTHING RETURNING {_WORKED}
"""
_NUMBERED = f"SELECT {_WORKED} FROM ministry_event WHERE id = ANY($1::bigint[]) AND value IS NOT NULL"
_OF_DOSSIERS = f"""
SELECT {_WORKED} FROM unnest($1::text[]) AS c(code), LATERAL (
  SELECT {_WORKED} FROM ministry_event e WHERE e.dossier_code = c.code AND e.value IS NOT NULL
    AND e.state NOT IN ('unmatched', 'unmapped') ORDER BY e.id DESC LIMIT {_MOST_OF_A_DOSSIER}) AS it
"""
# What another copy has noted since it was read stays; but what is applied was found with the dossier locked.
_NOTE = """
UPDATE ministry_event e SET dossier_code = n.code, state = n.state, reason = n.reason, action = n.action,
  happened_at = n.happened_at, version = n.version, vocabulary_version = n.vocabulary_version,
  tried_version = n.tried_version,
  settled_at = CASE WHEN n.state IN ('applied', 'past') THEN coalesce(
    CASE WHEN e.state = n.state AND e.version IS NOT DISTINCT FROM n.version THEN e.settled_at END,
    clock_timestamp()) END
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::int[], $8::int[],
            $9::int[], $10::text[])
  AS n(id, code, state, reason, action, happened_at, version, vocabulary_version, tried_version, was)
WHERE e.id = n.id AND (e.state = n.was OR n.state = 'applied')
"""
# Not ripe again before its dossier or its vocabulary is another: what fails once fails the next second too.
_FAULTED = """
UPDATE ministry_event e SET state = 'refused', reason = $3, version = NULL,
  tried_version = (SELECT d.version FROM dossier d WHERE d.code = e.dossier_code),
  vocabulary_version = (SELECT max(v.version) FROM vocabulary v WHERE v.source = e.source)
WHERE e.id = $1 AND e.state = $2
"""
# What may pass now: its dossier is there, has moved since, or a newer version of its vocabulary is.
_RIPE = f"""
SELECT {_WORKED} FROM (
  SELECT {_WORKED} FROM ministry_event e WHERE state = 'unmatched'
    AND EXISTS (SELECT FROM dossier d WHERE d.code = e.dossier_code)
  UNION
  SELECT {_WORKED} FROM ministry_event e WHERE state IN ('refused', 'waiting')
    AND EXISTS (SELECT FROM dossier d WHERE d.code = e.dossier_code AND d.version IS DISTINCT FROM e.tried_version)
  UNION
  SELECT {_WORKED} FROM ministry_event e WHERE {_OPEN} AND EXISTS (
    SELECT FROM vocabulary v WHERE v.source = e.source AND v.version > coalesce(e.vocabulary_version, 0))
) AS ripe WHERE value IS NOT NULL ORDER BY id LIMIT $1
"""
_FORGET = """
UPDATE ministry_event SET value = NULL WHERE id = ANY(ARRAY(
  SELECT id FROM ministry_event WHERE value IS NOT NULL AND state IN ('applied', 'past')
    AND settled_at < now() - make_interval(days => $1) LIMIT 5000))
"""
# What waits for a fact of ours does not: it has its place among what stands still (`stuck`).
_EXPIRE = f"""
UPDATE ministry_event SET state = 'expired', value = NULL, settled_at = clock_timestamp() WHERE id = ANY(ARRAY(
  SELECT id FROM ministry_event WHERE state IN {UNUSABLE}
    AND taken_at < now() - make_interval(days => $1) ORDER BY taken_at LIMIT 5000 FOR UPDATE SKIP LOCKED))
"""
# A client's own, and for operators what concerns the agencies of the session (of no dossier: those of all agencies).
_SEEN = """($1::text = client_id OR $2::boolean AND hub_covers(coalesce(split_part(dossier_code, '-', 1), '')))
  AND ($3::text IS NULL OR client_id = $3) AND ($4::text IS NULL OR source = $4)"""
# Two texts: with one for both questions the open ones' index would serve neither.
_PAGE_OPEN = f"SELECT {SHOWN} FROM ministry_event WHERE id > $5 AND {_OPEN} AND {_SEEN} ORDER BY id LIMIT $6"
_PAGE_OF_STATES = f"""
SELECT {SHOWN} FROM ministry_event WHERE id > $5 AND state = ANY($7::text[]) AND {_SEEN} ORDER BY id LIMIT $6
"""
_COUNTS = f"""
SELECT client_id, source, type, state, split_part(reason, ':', 1) AS reason, count(*) AS count,
  min(taken_at) AS oldest_at
FROM ministry_event WHERE {_OPEN} AND {_SEEN}
GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC LIMIT 200
"""
_PARKED = """
SELECT -p.id AS id, asked.client AS client_id, asked.src AS source, asked.eid AS event_id, '' AS type,
  NULL AS dossier_code, 'parked' AS state, p.reason, p.owner, NULL AS action, NULL AS happened_at, NULL AS version,
  NULL AS vocabulary_version, NULL AS published_at, p.parked_at AS taken_at, NULL AS settled_at
FROM unnest($1::text[], $2::text[], $3::text[]) AS asked(client, src, eid)
JOIN parked p ON p.reader = 'lgsp.ministry' AND p.source = asked.client || ' ' || asked.src AND p.event_id = asked.eid
"""
_OUTCOMES = f"""
SELECT {SHOWN} FROM ministry_event e
JOIN unnest($1::text[], $2::text[], $3::text[]) AS asked(client, src, eid)
  ON e.client_id = asked.client AND e.source = asked.src AND e.event_id = asked.eid
"""
_OF_CODE = f"SELECT {SHOWN} FROM ministry_event WHERE dossier_code = $1 ORDER BY id LIMIT $2"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an event now."""

    number: int
    state: State
    was: State
    """As it was read: what is something else by now is not overwritten."""
    code: str | None = None
    reason: str | None = None
    action: str | None = None
    happened_at: datetime | None = None
    version: int | None = None
    vocabulary_version: int | None = None
    tried_version: int | None = None
    """The dossier as it was when this was found."""


async def keep(tx: Transaction, batch: Sequence[Event]) -> list[Row]:
    """Write the events down as they came; those that were not there yet."""
    rows: list[Row] = await tx.raw.fetch(
        _KEEP,
        [event.headers.get("hub-client", "") for event in batch],
        [event.source for event in batch],
        [event.id for event in batch],
        [event.type for event in batch],
        [events.written(event).decode() for event in batch],
        [orjson.dumps(dict(event.headers)).decode() for event in batch],
        [event.published_at for event in batch],
    )
    return rows


async def numbered(rx: Reading, numbers: Sequence[int]) -> list[Row]:
    """These events, but for those whose content is forgotten."""
    rows: list[Row] = await rx.raw.fetch(_NUMBERED, list(numbers))
    return rows


async def of_dossiers(rx: Reading, codes: Sequence[str]) -> list[Row]:
    """What ministries said of these dossiers, as far as it is understood."""
    rows: list[Row] = await rx.raw.fetch(_OF_DOSSIERS, list(codes))
    return rows


async def ripe(rx: Reading, limit: int) -> list[Row]:
    """Events that may pass now."""
    rows: list[Row] = await rx.raw.fetch(_RIPE, limit)
    return rows


async def note(tx: Transaction, outcomes: Sequence[Outcome]) -> None:
    """Write down what became of them; those that stand otherwise than they were read are left as they are."""
    outcomes = sorted(outcomes, key=lambda it: it.number)  # one lock order for all copies
    if outcomes:
        await tx.raw.execute(
            _NOTE,
            [it.number for it in outcomes],
            [it.code for it in outcomes],
            [it.state for it in outcomes],
            [it.reason for it in outcomes],
            [it.action for it in outcomes],
            [it.happened_at for it in outcomes],
            [it.version for it in outcomes],
            [it.vocabulary_version for it in outcomes],
            [it.tried_version for it in outcomes],
            [it.was for it in outcomes],
        )


async def note_fault(tx: Transaction, row: Row, reason: str) -> None:
    """This event cannot be settled, by a fault of ours: it stands refused until something about it changes."""
    await tx.raw.execute(_FAULTED, row["id"], row["state"], reason)


async def forget(tx: Transaction) -> int:
    """Forget the content of some of what was done long ago; of how many."""
    tag: str = await tx.raw.execute(_FORGET, KEEP_DAYS)
    return int(tag.rpartition(" ")[2])


async def open_count(rx: Reading) -> int:
    """How many stand open."""
    count: int = await rx.raw.fetchval(f"SELECT count(*) FROM ministry_event WHERE {_OPEN}")
    return count


async def expire(tx: Transaction, days: int) -> int:
    """End some of what has stood open for so long, and forget its content; how many."""
    tag: str = await tx.raw.execute(_EXPIRE, days)
    return int(tag.rpartition(" ")[2])


@dataclass(frozen=True, slots=True)
class Seen:
    """Who asks, and what is asked for."""

    caller_id: str
    is_operator: bool
    client_id: str | None = None
    source: str | None = None


async def page(rx: Reading, after: int, states: Sequence[str] | None, seen: Seen, limit: int) -> list[Row]:
    """Events after this number in these states; without states those that are open."""
    asked = (*astuple(seen), after, limit)
    rows: list[Row] = (
        await rx.raw.fetch(_PAGE_OPEN, *asked)
        if states is None
        else await rx.raw.fetch(_PAGE_OF_STATES, *asked, states)
    )
    return rows


async def counts(rx: Reading, seen: Seen) -> list[Row]:
    """Open events per client, source, type, state and reason; the most frequent first."""
    rows: list[Row] = await rx.raw.fetch(_COUNTS, *astuple(seen))
    return rows


async def parked(rx: Reading, asked: Sequence[tuple[str, str, str]]) -> list[Row]:
    """Which of these (client, source, id) our own fault, or what they are, keeps from being read at all."""
    clients, sources, ids = [list(column) for column in zip(*asked, strict=True)] if asked else ([], [], [])
    rows: list[Row] = await rx.raw.fetch(_PARKED, clients, sources, ids)
    return rows


async def outcomes(rx: Reading, asked: Sequence[tuple[str, str, str]]) -> list[Row]:
    """What became of these (client, source, id)."""
    clients, sources, ids = [list(column) for column in zip(*asked, strict=True)] if asked else ([], [], [])
    rows: list[Row] = await rx.raw.fetch(_OUTCOMES, clients, sources, ids)
    return rows


async def of_code(rx: Reading, code: str, limit: int) -> list[Row]:
    """What ministries said of one dossier."""
    rows: list[Row] = await rx.raw.fetch(_OF_CODE, code, limit)
    return rows
