"""Taking in what ministries say: kept as it came, understood by their vocabularies, settled by their own times.

Nothing is parked but what is poison or a bug: an event that cannot pass stands in table ministry_event with its
reason, holds nothing up, and is taken up again when what it lacked is there (`Ministries.step`).
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dossier import correcting, handling, message, ministry_store, reading_store, settlement, store, vocabulary_store
from dossier.handling import Procedures
from dossier.message import Asked
from dossier.ministry_store import HUB_FAULT, UNUSABLE, Outcome, Row, State
from dossier.record import Dossier
from dossier.settlement import Said, Settled
from dossier.store import Change
from dossier.vocabulary import Vocabulary, types_of, valid_at
from shared import clock, events
from shared.db import Database, Transaction, passes_later
from shared.errors import HubError, InvalidRequest
from shared.events import Cause, Event
from shared.telemetry import COUNTERS, log

_AT_ONCE = 200
_LOOKED_AT_A_SECOND = 1000
_LONGEST_REST_SECONDS = 60
_TOPIC = "lgsp.ministry"


@dataclass(frozen=True, slots=True)
class _Heard:
    """An event of a ministry and what it asks for (None: no type that anybody knows)."""

    row: Row
    event: Event
    asked: Asked | None
    by_version: int | None
    """The version of the vocabulary that it was understood by."""
    newest_version: int | None
    """The newest there is: what is not done is tried again when there is a newer one."""
    misfit: str | None = None
    """Why it cannot be understood."""
    named: str | None = None
    """The dossier it names, though it is not understood."""

    @property
    def number(self) -> int:
        number: int = self.row["id"]
        return number


class Ministries:
    """What ministries say, and the catalogue that their actions need."""

    def __init__(self, database: Database, procedures: Procedures, *, open_days: int) -> None:
        """What stands open for `open_days` expires."""
        self._database = database
        self._procedures = procedures
        self._open_days = open_days
        self._rests_until = 0.0

    async def take_in(self, tx: Transaction, batch: Sequence[Event]) -> None:
        """New events: keep them, and let them have their effect."""
        await self.settle_each(tx, await ministry_store.keep(tx, batch))

    async def take_up(self, tx: Transaction, codes: Sequence[str]) -> None:
        """A fact has come to these dossiers: what waited for it may pass."""
        rows = await ministry_store.of_dossiers(tx, codes)
        await self.settle_each(tx, [row for row in rows if row["state"] in ("waiting", "refused")])

    async def step(self) -> int:
        """A worker's step: some of what may pass now, and the end of what is too old. How many.

        All that stand open are looked at: after a look that found nothing it rests a second for each thousand of them.
        """
        if time.monotonic() < self._rests_until:
            return 0
        async with self._database.transaction() as tx:
            ripe = await ministry_store.ripe(tx, _AT_ONCE)
            await self.settle_each(tx, ripe)
            ended = await ministry_store.forget(tx) + await ministry_store.expire(tx, self._open_days)
            rest_seconds = 0 if ripe or ended else await ministry_store.open_count(tx) // _LOOKED_AT_A_SECOND
        self._rests_until = time.monotonic() + min(rest_seconds, _LONGEST_REST_SECONDS)
        return len(ripe) + ended

    async def settle_each(self, tx: Transaction, rows: Sequence[Row]) -> list[Outcome]:
        """`settle`; where that fails, one event at a time: none is held up by another at which the hub fails."""
        try:
            async with tx.savepoint():
                return await self.settle(tx, rows)
        except Exception as fault:
            if passes_later(fault):
                raise
        outcomes: list[Outcome] = []
        for row in rows:
            try:
                async with tx.savepoint():
                    outcomes += await self.settle(tx, [row], alone=True)
            except Exception as fault:
                if passes_later(fault):
                    raise
                COUNTERS.bugs.labels("ministries").inc()
                log.error("ministry_event_failed", number=row["id"], exc_info=fault)
                reason = f"{HUB_FAULT}: {type(fault).__name__}"
                await ministry_store.note_fault(tx, row, reason)
                outcomes.append(Outcome(row["id"], "refused", row["state"], reason=reason))
        return outcomes

    async def settle(self, tx: Transaction, rows: Sequence[Row], *, alone: bool = False) -> list[Outcome]:
        """Give these events their effect, with all that was said of their dossiers (`alone`: all that was applied);
        what became of each.
        """
        if not rows:
            return []
        heard = await self._heard(tx, rows)
        outcomes = [_unheard(it) for it in heard if it.asked is None]
        outcomes += [_nothing(it) for it in heard if it.asked is not None and it.asked.command is None]
        asking = [it for it in heard if it.asked is not None and it.asked.command is not None]
        dossiers = await handling.lock(tx, {_code(it) for it in asking})
        # Another copy may have settled them while this one waited for the dossiers.
        states = {row["id"]: row["state"] for row in await ministry_store.numbered(tx, [it.number for it in asking])}
        asking = [it for it in asking if states.get(it.number) == it.row["state"]]
        outcomes += [_unmatched(it) for it in asking if _code(it) not in dossiers]
        own = {it.number for it in asking}
        said = await ministry_store.of_dossiers(tx, sorted(dossiers))
        said = [row for row in said if row["id"] not in own and _counts(row, alone=alone)]
        concerned = [it for it in [*asking, *await self._heard(tx, said)] if _documents(it)[0] in dossiers]
        filed = await store.filed_papers(tx, [_documents(it) for it in concerned])
        by_dossier: dict[str, list[_Heard]] = defaultdict(list)
        for it in concerned:
            if it.row["state"] != "applied" and _brings_one_of(filed, it):
                version = dossiers[_code(it)].version
                why = "result_is_a_filed_paper"
                outcomes.append(_outcome(it, "refused", why, code=_code(it), tried_version=version))
            else:
                by_dossier[_code(it)].append(it)
        changes: list[Change] = []
        for code in sorted(by_dossier):
            made = await self._settled(tx, dossiers[code], by_dossier[code])
            newest = max(by_dossier[code], key=lambda it: it.number)
            by_number = {it.number: it for it in by_dossier[code]}
            changes += [_change(step, by_number.get(step.ministry_event or 0, newest)) for step in made.steps]
            outcomes += _outcomes(dossiers[code], made, by_dossier[code])
        await store.save(tx, changes, clock.now())
        await ministry_store.note(tx, outcomes)
        for outcome in outcomes:
            if outcome.number in own and outcome.state in UNUSABLE:
                COUNTERS.events_parked.labels(_TOPIC, "partner").inc()
        return outcomes

    async def _settled(self, tx: Transaction, dossier: Dossier, heard: Sequence[_Heard]) -> Settled:
        allowed = [it for it in heard if message.covers(it.event, dossier.agency_code)]
        said = {it.number: _said(it) for it in allowed}
        taken = [said[it.number] for it in allowed if it.row["state"] == "applied"]
        fresh = [said[it.number] for it in allowed if it.row["state"] != "applied"]
        terms, now = self._procedures.terms(dossier), clock.now()
        was_tried = any(it.row["state"] in ("waiting", "refused") for it in allowed)
        if not was_tried and settlement.is_ahead(dossier, fresh, taken):
            return settlement.settled(dossier, None, fresh, terms, now)
        entries = correcting.entries(await reading_store.history(tx, [dossier.code]))
        counted = {it.ministry_event: it.version for it in entries if it.ministry_event is not None}
        # What was taken and does not count any more was put right by people: it stays out.
        said_all = [*fresh, *(it for it in taken if it.number in counted)]
        made = settlement.settled(dossier, entries, said_all, terms, now)
        for number in counted.keys() & {it.number for it in fresh}:  # the history knows better than its note
            made.refused.pop(number, None)
            made.taken.setdefault(number, counted[number])
        return made

    async def _heard(self, tx: Transaction, rows: Sequence[Row]) -> list[_Heard]:
        known: dict[str, list[Vocabulary]] = defaultdict(list)
        for row in await vocabulary_store.of_sources(tx, sorted({row["source"] for row in rows})):
            known[row["source"]].append(
                Vocabulary(row["source"], row["version"], row["valid_from"], row["valid_to"], types_of(row["types"]))
            )
        return [_hear(row, known[row["source"]]) for row in rows]


def _counts(row: Row, *, alone: bool) -> bool:
    """Whether what was said earlier has a say in what is settled now: not what the hub itself fails at."""
    failed = (row["reason"] or "").startswith(HUB_FAULT)
    return row["state"] == "applied" or not (alone or failed)


def _hear(row: Row, known: Sequence[Vocabulary]) -> _Heard:
    event = events.decode(row["value"].encode(), row["headers"])
    if row["state"] == "applied":  # understood as it was when it was taken
        vocabulary = next((it for it in known if it.version == row["vocabulary_version"]), None)
    else:
        vocabulary = valid_at(known, event.time)
    versions = None if vocabulary is None else vocabulary.version, max((it.version for it in known), default=None)
    try:
        asked = message.asked(event, vocabulary)
    except InvalidRequest as refusal:
        return _Heard(row, event, None, *versions, message.reason(refusal), message.dossier_of(event, vocabulary))
    if asked is None:
        return _Heard(row, event, None, *versions, "unknown_type", message.dossier_of(event, vocabulary))
    return _Heard(row, event, asked, *versions)


def _said(it: _Heard) -> Said:
    assert it.asked is not None
    assert it.asked.command is not None
    return Said(it.number, it.asked.command, it.asked.is_result)


def _code(it: _Heard) -> str:
    assert it.asked is not None
    return it.asked.code


def _documents(it: _Heard) -> tuple[str, Sequence[Mapping[str, Any]]]:
    """The dossier and the results that an event brings; nothing of one that asks for nothing."""
    if it.asked is None or it.asked.command is None:
        return "", ()
    return it.asked.code, it.asked.command.documents


def _brings_one_of(filed: set[tuple[str, str]], it: _Heard) -> bool:
    """Whether it sends a paper that the applicant filed back as a result (wire §1.7)."""
    code, documents = _documents(it)
    return any((code, paper.get("sha256")) in filed for paper in documents)


def _unheard(it: _Heard) -> Outcome:
    return _outcome(it, "unmapped", it.misfit, code=it.named)


def _nothing(it: _Heard) -> Outcome:
    return _outcome(it, "past", "says_nothing_here", code=_code(it))


def _unmatched(it: _Heard) -> Outcome:
    return _outcome(it, "unmatched", "unknown_dossier", code=_code(it))


def _outcome(it: _Heard, state: State, reason: str | None, **members: Any) -> Outcome:
    command = None if it.asked is None else it.asked.command
    return Outcome(
        it.number, state, it.row["state"], reason=reason, action=None if command is None else command.action,
        happened_at=(command.at if command else None) or it.event.time,
        vocabulary_version=it.by_version if state in ("applied", "past") else it.newest_version,
        **members,
    )  # fmt: skip


def _outcomes(before: Dossier, made: Settled, heard: Sequence[_Heard]) -> list[Outcome]:
    after = made.steps[-1].after if made.steps else before
    found = []
    for it in heard:
        if it.number in made.taken:
            found.append(
                _outcome(it, "applied", None, code=before.code, version=made.taken[it.number],
                         tried_version=after.version)
            )  # fmt: skip
        elif it.number in made.refused:
            found.append(_refused(it, *made.refused[it.number], after))
        elif not message.covers(it.event, before.agency_code):
            found.append(_outcome(it, "refused", "agency_not_permitted", code=before.code, tried_version=after.version))
    return found


def _refused(it: _Heard, error: HubError, where: Dossier, after: Dossier) -> Outcome:
    command = _said(it).asked(where)
    state: State = "refused"
    if settlement.is_too_early(error, command, where):
        state = "waiting"
    elif settlement.is_past(error, command, where):
        state = "past"
    why = message.reason(error) if isinstance(error, InvalidRequest) else error.code
    return _outcome(it, state, why, code=after.code, tried_version=after.version)


def _change(step: Any, it: _Heard) -> Change:
    headers: Mapping[str, str] = it.event.headers
    cause = Cause(headers.get("hub-exchange-id") or None, headers.get("traceparent") or None)
    return Change(step, headers.get("hub-client", ""), cause)
