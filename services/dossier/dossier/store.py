"""Tables dossier and transition as the use cases need them: locked state in, changes out, many at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, NamedTuple

from dossier import verdict, view
from dossier.charge import Charge
from dossier.record import Dossier, Pause, Status, Step, Supplement
from shared import outbox, strict_json
from shared.db import Reading, Transaction
from shared.events import Cause, new_event

SOURCE = "/lgsp/dossier"
TOPIC = "lgsp.dossier"

STATE = """code, agency_code, procedure_code, procedure_version, channel, status, back_to, version,
  transition_version, last_at, submitted_at, received_at, due_at, finished_at, returned_at, refused_at,
  identity_outcome, is_extended, has_digitised, has_electronic_result, receiver_code, detail"""
"""The columns `a_dossier` needs."""

_LOCK = f"SELECT {STATE} FROM dossier WHERE code = ANY($1::text[]) ORDER BY code FOR UPDATE"
_LOCK_FREE = f"{_LOCK} SKIP LOCKED"

# (column, type, value): what a change may alter.
_CHANGES: tuple[tuple[str, str, Callable[[Dossier], Any]], ...] = (
    ("status", "smallint", lambda it: int(it.status)),
    ("back_to", "smallint", lambda it: None if it.back_to is None else int(it.back_to)),
    ("version", "int", lambda it: it.version),
    ("transition_version", "int", lambda it: it.transition_version),
    ("last_at", "timestamptz", lambda it: it.last_at),
    ("received_at", "timestamptz", lambda it: it.received_at),
    ("due_at", "timestamptz", lambda it: it.due_at),
    ("finished_at", "timestamptz", lambda it: it.finished_at),
    ("returned_at", "timestamptz", lambda it: it.returned_at),
    ("refused_at", "timestamptz", lambda it: it.refused_at),
    ("late_at", "timestamptz", verdict.late_at),
    ("national_late_at", "timestamptz", verdict.national_late_at),
    ("clocks_differ", "boolean", verdict.clocks_differ),
    ("identity_outcome", "text", lambda it: it.identity_outcome),
    ("is_extended", "boolean", lambda it: it.is_extended),
    ("has_digitised", "boolean", lambda it: it.has_digitised),
    ("has_electronic_result", "boolean", lambda it: it.has_electronic_result),
    ("detail", "text", lambda it: _detail(it)),  # noqa: PLW0108 - defined below
)
_UPDATE = """
UPDATE dossier d SET {assignments}
FROM unnest($1::text[], {parameters}) AS n(code, {columns}) WHERE d.code = n.code
""".format(
    assignments=", ".join(
        f"{name} = n.{name}::jsonb" if name == "detail" else f"{name} = n.{name}" for name, _, _ in _CHANGES
    ),
    parameters=", ".join(f"${i}::{kind}[]" for i, (_, kind, _) in enumerate(_CHANGES, 2)),
    columns=", ".join(name for name, _, _ in _CHANGES),
)
_ATTACH = """
UPDATE dossier d SET attachments = d.attachments || n.added::jsonb
FROM unnest($1::text[], $2::text[]) AS n(code, added) WHERE d.code = n.code
"""
_TRANSITIONS = """
INSERT INTO transition (code, version, agency_code, action, from_status, to_status, at, recorded_at, reason, actor,
                        client_id, exchange_id, due_before, due_after, detail, receiver_code)
SELECT code, version, agency_code, action, from_status, to_status, at, $17, reason, actor::jsonb,
       client_id, exchange_id, due_before, due_after, detail::jsonb, receiver_code
FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::smallint[], $6::smallint[], $7::timestamptz[],
            $8::text[], $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::text[],
            $15::text[], $16::int[])
  AS n(code, version, agency_code, action, from_status, to_status, at, reason, actor, client_id, exchange_id,
       due_before, due_after, detail, receiver_code, number)
ORDER BY number
"""
_ANSWERS = """
SELECT key, body_sha256, status, answer, headers FROM idempotency WHERE client_id = $1 AND key = ANY($2::text[])
"""
_KEEP = """
INSERT INTO idempotency (client_id, key, body_sha256, status, answer)
SELECT $1, key, sha, 200, answer FROM unnest($2::text[], $3::text[], $4::text[]) AS n(key, sha, answer)
"""
_FILED_PAPERS = """
SELECT DISTINCT code, n.sha256 FROM dossier JOIN unnest($1::text[], $2::text[]) AS n(code, sha256) USING (code)
WHERE attachments @> jsonb_build_array(jsonb_build_object('sha256', n.sha256))
"""


class Change(NamedTuple):
    """A step and who made it: the client (or the reader's topic) and the exchange it came with."""

    step: Step
    client_id: str
    cause: Cause


async def lock(tx: Transaction, codes: Sequence[str], *, waits: bool = True) -> dict[str, Dossier]:
    """Lock the dossiers the transaction may see, in code order; without `waits` only those that are free."""
    rows = await tx.raw.fetch(_LOCK if waits else _LOCK_FREE, list(codes))
    return {row["code"]: a_dossier(row) for row in rows}


async def save(tx: Transaction, changes: Sequence[Change], recorded_at: datetime) -> None:
    """Write what changed: the dossiers as the last step of each left them, the transitions, one event per step."""
    if not changes:
        return
    last = {change.step.after.code: change.step.after for change in changes}
    await tx.raw.execute(_UPDATE, list(last), *([value(it) for it in last.values()] for _, _, value in _CHANGES))
    added: dict[str, list[dict[str, Any]]] = {}
    for change in changes:
        if change.step.attachments:
            added.setdefault(change.step.after.code, []).extend(change.step.attachments)
    if added:
        await tx.raw.execute(_ATTACH, list(added), [_json(papers) for papers in added.values()])
    await _save_transitions(tx, [change for change in changes if change.step.is_transition], recorded_at)
    await outbox.publish(
        tx,
        TOPIC,
        [
            new_event(
                SOURCE,
                f"vn.lgsp.dossier.{change.step.event}.v1",
                change.step.after.code,
                change.step.at,
                view.step_data(change.step, recorded_at),
                change.step.after.version,
                traceparent=change.cause.traceparent,
            )
            for change in changes
        ],
    )


async def filed_papers(rx: Reading, results: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> set[tuple[str, str]]:
    """Of these result documents, by dossier, those that the applicant filed: code and digest."""
    digests = [(code, it["sha256"]) for code, documents in results for it in documents if it.get("sha256")]
    if not digests:
        return set()
    rows = await rx.raw.fetch(_FILED_PAPERS, [code for code, _ in digests], [digest for _, digest in digests])
    return {(row["code"], row["sha256"]) for row in rows}


async def speaks_for(rx: Reading, agency_code: str) -> bool:
    """Whether the transaction's agencies cover this one: what a receiver sees may be another's."""
    return bool(await rx.raw.fetchval("SELECT hub_covers($1)", agency_code))


async def answers(rx: Reading, client_id: str, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The first answers under these idempotency keys."""
    rows = await rx.raw.fetch(_ANSWERS, client_id, list(keys))
    return {row["key"]: row for row in rows}


async def keep_answers(tx: Transaction, client_id: str, kept: Sequence[tuple[str, str, str]]) -> None:
    """(key, digest of the body, answer): kept for repeats."""
    if kept:
        keys, digests, bodies = zip(*kept, strict=True)
        await tx.raw.execute(_KEEP, client_id, list(keys), list(digests), list(bodies))


async def _save_transitions(tx: Transaction, changes: Sequence[Change], recorded_at: datetime) -> None:
    if not changes:
        return
    steps = [change.step for change in changes]
    await tx.raw.execute(
        _TRANSITIONS,
        [step.after.code for step in steps],
        [step.after.version for step in steps],
        [step.after.agency_code for step in steps],
        [step.action for step in steps],
        [int(step.from_status) for step in steps],
        [int(step.after.status) for step in steps],
        [step.at for step in steps],
        [step.reason for step in steps],
        [None if step.actor is None else _json(step.actor) for step in steps],
        [change.client_id for change in changes],
        [change.cause.exchange_id for change in changes],
        [step.due_before for step in steps],
        [step.after.due_at for step in steps],
        [_transition_detail(step) for step in steps],
        [step.after.receiver_code for step in steps],
        list(range(len(steps))),
        recorded_at,
    )


def a_dossier(row: Mapping[str, Any]) -> Dossier:
    """The rules' record from the columns of `STATE`."""
    detail = row["detail"]
    return Dossier(
        code=row["code"],
        agency_code=row["agency_code"],
        procedure_code=row["procedure_code"],
        procedure_version=row["procedure_version"],
        channel=row["channel"],
        status=Status(row["status"]),
        version=row["version"],
        transition_version=row["transition_version"],
        last_at=row["last_at"],
        submitted_at=row["submitted_at"],
        identity_outcome=row["identity_outcome"],
        back_to=None if row["back_to"] is None else Status(row["back_to"]),
        received_at=row["received_at"],
        due_at=row["due_at"],
        finished_at=row["finished_at"],
        returned_at=row["returned_at"],
        refused_at=row["refused_at"],
        identity=detail.get("identity"),
        identity_reason=detail.get("identity_reason"),
        is_extended=row["is_extended"],
        has_digitised=row["has_digitised"],
        has_electronic_result=row["has_electronic_result"],
        charges=tuple(_a_charge(it) for it in detail.get("charges", ())),
        supplements=tuple(_a_supplement(it) for it in detail.get("supplements", ())),
        pauses=tuple(_a_pause(it) for it in detail.get("pauses", ())),
        results=tuple(detail.get("results", ())),
        apologies=tuple(detail.get("apologies", ())),
        last_reason=detail.get("last_reason"),
        receiver_code=row["receiver_code"],
        handed_over_at=_time(detail.get("handed_over_at")),
    )


def _detail(it: Dossier) -> str:
    """What is kept in jsonb; members without a value are left out."""
    members = {
        "identity": it.identity,
        "identity_reason": it.identity_reason,
        "charges": [_members(charge) for charge in it.charges],
        "supplements": [_members(supplement) for supplement in it.supplements],
        "pauses": [_members(pause) for pause in it.pauses],
        "results": it.results,
        "apologies": it.apologies,
        "last_reason": it.last_reason,
        "handed_over_at": it.handed_over_at,
    }
    return _json({name: value for name, value in members.items() if value})


def _transition_detail(step: Step) -> str | None:
    members = {
        "documents": step.documents,
        "fees": step.fees,
        "attachments": step.attachments,
        "legal_exception": step.legal_exception,
        "apology": step.apology,
        "correction": step.correction,
        "ministry_event": step.ministry_event,
    }
    given = {name: value for name, value in members.items() if value}
    return _json(given) if given else None


def _members(entry: Charge | Supplement | Pause) -> dict[str, Any]:
    return {field.name: getattr(entry, field.name) for field in fields(entry)}


def _a_charge(members: Mapping[str, Any]) -> Charge:
    return Charge(
        **{**members, "lines": tuple(members["lines"]), "at": _time(members["at"]),
           "paid_at": _time(members["paid_at"])}
    )  # fmt: skip


def _a_supplement(members: Mapping[str, Any]) -> Supplement:
    times = ("requested_at", "due_before", "answered_at", "due_after")
    return Supplement(**{**members, **{name: _time(members[name]) for name in times}})


def _a_pause(members: Mapping[str, Any]) -> Pause:
    return Pause(members["kind"], datetime.fromisoformat(members["began_at"]), _time(members["ended_at"]))


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _json(value: Any) -> str:
    return strict_json.dumps(value).decode()
