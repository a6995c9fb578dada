"""Tables ministry_replay and ministry_replay_event: a plan freezes its list; each event is tried once."""

from collections.abc import Mapping, Sequence
from typing import Any

import uuid_utils

from dossier.ministry_store import SHOWN
from shared.db import Reading, Transaction

Row = Mapping[str, Any]
_PLAN = """
INSERT INTO ministry_replay (id, client_id, source, since, until, reason, per_second, planned_by)
VALUES (:id, :client_id, :source, :since, :until, :reason, :per_second, :planned_by)
"""
# In the order in which they were taken in; what was forgotten of done events cannot be tried again, and need not.
_FREEZE = """
INSERT INTO ministry_replay_event (replay_id, number, ministry_event_id)
SELECT :id, row_number() OVER (ORDER BY id), id FROM ministry_event
WHERE client_id = :client_id AND taken_at >= :since AND (CAST(:until AS timestamptz) IS NULL OR taken_at < :until)
  AND (CAST(:source AS text) IS NULL OR source = :source)
"""
_COUNTED = """
UPDATE ministry_replay r SET planned_count = (SELECT count(*) FROM ministry_replay_event e WHERE e.replay_id = r.id)
WHERE id = :id
"""
_ONE = "SELECT * FROM ministry_replay WHERE id = :id"
_OUTCOMES = """
SELECT outcome AS name, count(*) AS count FROM ministry_replay_event
WHERE replay_id = :id AND outcome IS NOT NULL GROUP BY outcome
"""
_STATES = """
SELECT m.state AS name, count(*) AS count FROM ministry_replay_event e JOIN ministry_event m
  ON m.id = e.ministry_event_id WHERE e.replay_id = :id GROUP BY m.state
"""
_SAMPLE = f"""
SELECT {", ".join("m." + name.strip() for name in SHOWN.split(","))} FROM ministry_replay_event e
JOIN ministry_event m ON m.id = e.ministry_event_id WHERE e.replay_id = :id ORDER BY e.number LIMIT 10
"""
_CONFIRM = """
UPDATE ministry_replay SET state = 'running', confirmed_by = :by, confirmed_at = clock_timestamp() WHERE id = :id
"""
_CANCEL = """
UPDATE ministry_replay SET state = 'cancelled', cancelled_by = :by, finished_at = clock_timestamp() WHERE id = :id
"""
# One copy at a time; as many as the rate has allowed since the confirmation.
_TURN = """
SELECT id, least(:most, 1 + floor(extract(epoch FROM clock_timestamp() - confirmed_at) * per_second)::bigint
  - executed_count) AS allowed
FROM ministry_replay WHERE state = 'running' ORDER BY confirmed_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_LEFT = """
SELECT number, ministry_event_id FROM ministry_replay_event WHERE replay_id = $1 AND outcome IS NULL
ORDER BY number LIMIT $2
"""
_NOTE = """
UPDATE ministry_replay_event e SET outcome = n.outcome FROM unnest($2::int[], $3::text[]) AS n(number, outcome)
WHERE e.replay_id = $1 AND e.number = n.number
"""
_ON = """
UPDATE ministry_replay SET executed_count = executed_count + $2, state = CASE WHEN $3 THEN 'done' ELSE state END,
  finished_at = CASE WHEN $3 THEN clock_timestamp() END WHERE id = $1
"""


async def plan(tx: Transaction, planned_by: str, **wanted: Any) -> str:
    """Freeze what fits now."""
    id_ = str(uuid_utils.uuid7())
    await tx.execute(_PLAN, id=id_, planned_by=planned_by, **wanted)
    frozen = {name: wanted[name] for name in ("client_id", "source", "since", "until")}
    await tx.execute(_FREEZE, id=id_, **frozen)
    await tx.execute(_COUNTED, id=id_)
    return id_


async def one(rx: Reading, id_: str, *, for_update: bool = False) -> dict[str, Any] | None:
    """A plan with its progress and a sample."""
    row = await rx.row(_ONE + (" FOR UPDATE" if for_update else ""), id=id_)
    if row is None:
        return None
    counted = {
        name: {it["name"]: it["count"] for it in await rx.rows(sql, id=id_)}
        for name, sql in (("outcomes", _OUTCOMES), ("states", _STATES))
    }
    return {**row, **counted, "sample": await rx.rows(_SAMPLE, id=id_)}


async def confirm(tx: Transaction, id_: str, by: str) -> None:
    """Let it run."""
    await tx.execute(_CONFIRM, id=id_, by=by)


async def cancel(tx: Transaction, id_: str, by: str) -> None:
    """Let no more of it run."""
    await tx.execute(_CANCEL, id=id_, by=by)


async def turn(tx: Transaction, most: int) -> Row | None:
    """The oldest running plan, and how many of its events its rate allows now."""
    return await tx.row(_TURN, most=most)


async def left(tx: Transaction, id_: str, most: int) -> list[Row]:
    """The next events of a plan."""
    rows: list[Row] = await tx.raw.fetch(_LEFT, id_, most)
    return rows


async def note(tx: Transaction, id_: str, outcomes: Sequence[tuple[int, str]], *, is_last: bool) -> None:
    """What became of some of a plan's events."""
    await tx.raw.execute(_NOTE, id_, [number for number, _ in outcomes], [outcome for _, outcome in outcomes])
    await tx.raw.execute(_ON, id_, len(outcomes), is_last)
