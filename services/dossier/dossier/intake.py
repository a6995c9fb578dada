"""Intake, single and in batches: idempotent, each dossier durable before its answer leaves.

Single dossiers share a statement with those that come at the same time (`singles`). In a batch each group of 500
lines is one transaction; a line that a rule refuses is left out of its group, and only a database error (someone took
a key or a reference in between) repeats the group line by line.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from dossier import intake_store, ndjson, reusing, store, submitting
from dossier.bodies import Filing, FilingLine, parse
from dossier.cataloguing import Catalogue
from dossier.intake_store import Line
from dossier.numbering import Numbers
from dossier.person import PersonKeys
from dossier.refusal import ExternalReferenceTaken
from dossier.singles import Apart, Rights, Singles
from dossier.submitting import Draft, Sender
from shared import clock, idempotency, strict_json
from shared.auth import Caller
from shared.crashpoint import crashpoint
from shared.db import Database
from shared.direct import Direct
from shared.errors import HubError
from shared.events import Cause
from shared.idempotency import IdempotencyKeyReused, RequestInProgress, Stored
from shared.telemetry import log

_LOCKED = asyncpg.exceptions.LockNotAvailableError
_TAKEN = asyncpg.exceptions.UniqueViolationError
Answer = dict[str, Any]


@dataclass(slots=True)
class _Entry:
    """A line of a batch on its way."""

    index: int
    key: str | None = None
    sha: str | None = None
    filing: FilingLine | None = None
    draft: Draft | None = None
    answer: Answer | None = None
    same_as: "_Entry | None" = field(default=None, repr=False)


class Intake:
    """What the intake routes need, wired by main."""

    def __init__(
        self,
        database: Database,
        direct: Direct,
        catalogue: Catalogue,
        numbers: Numbers,
        person_keys: PersonKeys,
    ) -> None:
        self._database = database
        self._direct = direct
        self._singles: Singles[Line, None] = Singles(self._store_together, self._store_apart)
        self._catalogue = catalogue
        self._numbers = numbers
        self._person_keys = person_keys

    def open(self) -> AbstractAsyncContextManager[None]:
        """Takes single dossiers until the end."""
        return self._singles.open()

    async def one(self, body: bytes, caller: Caller, key: str | None, cause: Cause) -> Stored:
        """Store one dossier; the answer, or the first answer under the same key (then `Idempotency-Replayed`)."""
        sha = None if key is None else idempotency.digest(b"POST /v1/dossiers\n" + body)
        filing = parse(Filing, body)
        crashpoint("intake.before")
        try:
            draft = await submitting.check_afresh(filing, caller, self._catalogue, clock.now(), self._database)
            await self._require_sources(filing)
            number = (await self._numbers.draw({draft.day: 1}))[draft.day][0]
            sender = Sender(caller, cause, key, sha)
            line = submitting.line(draft, number, sender, self._person_keys, in_batch=False)
            await self._singles.submit(caller, line)
            crashpoint("intake.after_commit")
        except (HubError, _TAKEN, _LOCKED) as refusal:
            return await self._first_answer(filing, caller, key, sha, refusal)
        return Stored(201, line.answer.encode(), {"location": submitting.location(line.dossier.code)})

    async def _insert(self, agencies: Iterable[str], lines: Sequence[Line]) -> None:
        """One statement, one transaction: a concurrent request under the same key is waited for, two seconds."""
        await intake_store.insert(self._direct, agencies, lines)
        crashpoint("intake.after_commit")

    async def _store_together(self, rights: Rights, lines: Sequence[Line]) -> list[Apart | None]:
        await intake_store.insert(self._direct, rights.agencies, lines)
        return [None] * len(lines)

    async def _store_apart(self, rights: Rights, line: Line) -> None:
        await intake_store.insert(self._direct, rights.agencies, [line])

    async def _first_answer(
        self, filing: Filing, caller: Caller, key: str | None, sha: str | None, refusal: Exception
    ) -> Stored:
        """What stands under the key already; without it, the refusal."""
        async with self._database.reading(caller.agencies) as rx:
            if key is not None:
                stored = (await store.answers(rx, caller.client_id, [key])).get(key)
                if stored is not None and stored["body_sha256"] != sha:
                    raise IdempotencyKeyReused
                if stored is not None:
                    headers = {**stored["headers"], idempotency.REPLAYED: "true"}
                    return Stored(stored["status"], stored["answer"].encode(), headers)
            if isinstance(refusal, _TAKEN) and filing.external_reference is not None:
                reference = filing.external_reference
                codes = await intake_store.codes_by_reference(rx, caller.client_id, [reference])
                raise _taken(codes.get(reference))
        if isinstance(refusal, _LOCKED):
            raise RequestInProgress(retry_after_seconds=1)
        raise refusal

    async def drafted(self, filings: Sequence[Filing], caller: Caller, cause: Cause) -> list[Line]:
        """What is written for dossiers filed together; a refusal has the `index` of the one it is about."""
        drafts = []
        for index, filing in enumerate(filings):
            try:
                drafts.append(
                    await submitting.check_afresh(filing, caller, self._catalogue, clock.now(), self._database)
                )
                await self._require_sources(filing)
            except HubError as refusal:
                refusal.members["index"] = index
                raise
        numbers = await self._numbers.draw(Counter(draft.day for draft in drafts))
        sender = Sender(caller, cause, None, None)
        return [
            submitting.line(draft, numbers[draft.day].pop(0), sender, self._person_keys, in_batch=False)
            for draft in drafts
        ]

    async def _require_sources(self, filing: Filing) -> None:
        """What it reuses is there. Raises as `reusing.require`."""
        papers = [paper.__dict__ for paper in filing.attachments]
        if reusing.names_sources(papers):
            async with self._database.reading() as rx:
                await reusing.require(rx, self._person_keys, filing.applicant.personal_id, papers)

    async def batch(self, lines: Sequence[bytes], caller: Caller, cause: Cause) -> list[Answer]:
        """One answer per line, in order. Two groups at a time: one is decoded while PostgreSQL stores the other."""
        answers: dict[int, Answer] = {}
        waiting = ndjson.groups(len(lines))

        async def take_groups() -> None:
            for group in waiting:
                entries = [_entry(index, lines[index]) for index in group]
                await self._group(entries, caller, cause)
                answers.update((entry.index, _answer(entry)) for entry in entries)
                await asyncio.sleep(0)  # decoding holds the loop for some 10 ms: others come first now

        await asyncio.gather(take_groups(), take_groups())
        return [answers[index] for index in range(len(lines))]

    async def _group(self, entries: Sequence[_Entry], caller: Caller, cause: Cause) -> None:
        """Lines in one transaction. A refused line leaves its key to the next one that carries it."""
        while entries:
            await self._round(entries, caller, cause)
            entries = [entry for entry in entries if _is_first_now(entry)]
            for entry in entries:
                entry.same_as = None

    async def _round(self, entries: Sequence[_Entry], caller: Caller, cause: Cause) -> None:
        try:
            await self._together(entries, caller, cause)
        except (asyncpg.PostgresError, HubError) as fault:
            if isinstance(fault, HubError):
                # The database is away: said per line, earlier groups have passed.
                _refuse_open(entries, fault)
                return
            for entry in entries:
                if entry.answer is None and entry.same_as is None:
                    await self._alone(entry, caller, cause)

    async def _alone(self, entry: _Entry, caller: Caller, cause: Cause) -> None:
        for last in (False, True):  # a second look finds the row that the first one ran into
            try:
                await self._together([entry], caller, cause)
                return
            except _LOCKED:
                entry.answer = ndjson.refusal(RequestInProgress(retry_after_seconds=1))
                return
            except _TAKEN:
                if last:
                    entry.answer = ndjson.refusal(ExternalReferenceTaken())
            except asyncpg.PostgresError as fault:
                log.error("line_failed", fault=type(fault).__name__)
                entry.answer = ndjson.refusal(HubError())
                return

    async def _together(self, entries: Sequence[_Entry], caller: Caller, cause: Cause) -> None:
        await self._look_up(entries, caller)
        await self._check(entries, caller)
        drafted = [entry for entry in entries if entry.draft is not None and entry.answer is None]
        if not drafted:
            return
        wanted = Counter(entry.draft.day for entry in drafted if entry.draft is not None)
        numbers = await self._numbers.draw(wanted)
        lines = []
        for entry in drafted:
            assert entry.draft is not None
            sender = Sender(caller, cause, entry.key, entry.sha)
            number = numbers[entry.draft.day].pop(0)
            lines.append(submitting.line(entry.draft, number, sender, self._person_keys, in_batch=True))
        await self._insert(caller.agencies, lines)
        for entry, line in zip(drafted, lines, strict=True):
            entry.answer = {"status": 201, "code": line.dossier.code}

    async def _look_up(self, entries: Sequence[_Entry], caller: Caller) -> None:
        """Keys and references that exist already, in the database or earlier in the same group."""
        open_ = [entry for entry in entries if entry.answer is None and entry.same_as is None]
        keys = [entry.key for entry in open_ if entry.key is not None]
        references = [reference for entry in open_ if (reference := _reference(entry)) is not None]
        if not keys and not references:
            return
        async with self._database.reading(caller.agencies) as rx:
            stored = await store.answers(rx, caller.client_id, keys) if keys else {}
            codes = await intake_store.codes_by_reference(rx, caller.client_id, references) if references else {}
        first: dict[str, _Entry] = {}
        filed: set[str] = set()
        for entry in open_:
            if entry.key in stored:
                entry.answer = _replay(stored[entry.key], entry.sha)
                continue
            earlier = first.setdefault(entry.key, entry) if entry.key is not None else entry
            if earlier is not entry:
                entry.same_as = earlier
                continue
            reference = _reference(entry)
            if reference in codes:
                entry.answer = ndjson.refusal(_taken(codes[reference]))
            elif reference in filed:
                entry.answer = ndjson.refusal(ExternalReferenceTaken())
            elif reference is not None:
                filed.add(reference)

    async def _check(self, entries: Sequence[_Entry], caller: Caller) -> None:
        now = clock.now()
        for entry in entries:
            if entry.answer is None and entry.same_as is None and entry.filing is not None:
                try:
                    entry.draft = submitting.check(entry.filing, caller, self._catalogue, now)
                except HubError:
                    try:
                        entry.draft = await submitting.check_afresh(
                            entry.filing, caller, self._catalogue, now, self._database
                        )
                    except HubError as refusal:
                        entry.answer = ndjson.refusal(refusal)
                try:
                    await self._require_sources(entry.filing)
                except HubError as refusal:
                    entry.answer = ndjson.refusal(refusal)


def _entry(index: int, line: bytes) -> _Entry:
    try:
        filing = parse(FilingLine, line)
    except HubError as refusal:
        return _Entry(index, answer=ndjson.refusal(refusal))
    key = filing.idempotency_key
    sha = None if key is None else idempotency.digest(b"POST /v1/dossiers\n" + line)
    return _Entry(index, key, sha, filing)


def _answer(entry: _Entry) -> Answer:
    """A line that repeats an earlier one of its group gets that one's answer."""
    if entry.same_as is not None:
        if entry.sha != entry.same_as.sha:
            return ndjson.refusal(IdempotencyKeyReused())
        first = _answer(entry.same_as)
        return {**first, "replayed": True} if first.get("status") == 201 else first
    assert entry.answer is not None
    return entry.answer


def _is_first_now(entry: _Entry) -> bool:
    """Whether the line that had this one's key before it was refused, and was another one."""
    earlier = entry.same_as
    return earlier is not None and entry.sha != earlier.sha and (earlier.answer or {}).get("status") != 201


def _replay(stored: Any, sha: str | None) -> Answer:
    if stored["body_sha256"] != sha:
        return ndjson.refusal(IdempotencyKeyReused())
    first: Answer = strict_json.loads(stored["answer"].encode())
    return {"status": stored["status"], "code": first.get("code"), "replayed": True}


def _reference(entry: _Entry) -> str | None:
    return None if entry.filing is None else entry.filing.external_reference


def _taken(code: str | None) -> ExternalReferenceTaken:
    headers = {} if code is None else {"location": submitting.location(code)}
    return ExternalReferenceTaken(headers=headers)


def _refuse_open(entries: Sequence[_Entry], fault: HubError) -> None:
    for entry in entries:
        if entry.answer is None and entry.same_as is None:
            entry.answer = ndjson.refusal(fault)
