"""Actions asked for over HTTP, single and in batches: lock, look for first answers, take the steps, keep the answers.

All of it in one transaction, which single actions share with those that come at the same time (`singles`). The row of
a dossier is locked first. A repeat of the same key therefore waits there, two seconds at most, and then finds the first
answer.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from dossier import handling, reusing, store, view
from dossier.handling import Procedures, Refused, Wanted
from dossier.person import PersonKeys
from dossier.record import Dossier, Step
from dossier.singles import APART, Apart, Rights, Singles
from shared import idempotency, strict_json
from shared.auth import Caller
from shared.db import Database, Transaction
from shared.errors import HubError, Overloaded
from shared.idempotency import IdempotencyKeyReused, RequestInProgress
from shared.telemetry import log

_TOGETHER_MILLISECONDS = 200
"""So long a group waits for somebody who uses one of its keys elsewhere; then each waits by itself."""
Told = Callable[[Step], dict[str, Any]]
"""How a step is answered."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One action of a request or a line. `sha`: the digest of what came under `key`."""

    wanted: Wanted
    key: str | None
    sha: str | None


@dataclass(frozen=True, slots=True)
class Done:
    """An action taken now (its answer), or one taken before (the text that was answered then)."""

    answer: dict[str, Any] | None = None
    first: str | None = None


class Acting:
    """What the transition routes need, wired by main."""

    def __init__(self, database: Database, procedures: Procedures, person_keys: PersonKeys) -> None:
        self._database = database
        self._procedures = procedures
        self._person_keys = person_keys
        self._singles: Singles[Asked, Done | HubError] = Singles(self._together, self._apart)

    def open(self) -> AbstractAsyncContextManager[None]:
        """Takes single actions until the end."""
        return self._singles.open()

    async def one(self, asked: Asked, caller: Caller) -> Done:
        """One action, durable when this returns. Raises the refusal."""
        try:
            result = await self._singles.submit(caller, asked)
        except asyncpg.exceptions.LockNotAvailableError:
            busy = Overloaded if asked.key is None else RequestInProgress
            raise busy(retry_after_seconds=1) from None
        except asyncpg.exceptions.UniqueViolationError:
            # Somebody used the key for another dossier in this very moment.
            raise IdempotencyKeyReused from None
        if isinstance(result, HubError):
            raise result
        return result

    async def batch(self, asked: Sequence[Asked], caller: Caller, told: Told) -> list[Done | HubError]:
        """One transaction for all; a database error repeats them one by one."""
        rights = Rights(caller.client_id, caller.agencies)
        try:
            async with self._begun(rights, idempotency.WAIT_MILLISECONDS) as tx:
                dossiers = await handling.lock(tx, {it.wanted.code for it in asked})
                return await self._act(tx, rights, asked, dossiers, told)
        except HubError as fault:
            return [fault] * len(asked)
        except asyncpg.PostgresError as fault:
            if len(asked) > 1:
                return [(await self.batch([it], caller, told))[0] for it in asked]
            log.warning("line_failed", fault=type(fault).__name__)
            taken = isinstance(fault, asyncpg.exceptions.UniqueViolationError)
            return [IdempotencyKeyReused() if taken else Overloaded(retry_after_seconds=1)]

    async def _together(self, rights: Rights, asked: Sequence[Asked]) -> list[Done | HubError | Apart]:
        """Those whose dossiers are free. Of one that somebody else holds (or nobody has) the group knows nothing."""
        async with self._begun(rights, _TOGETHER_MILLISECONDS) as tx:
            dossiers = await handling.lock_free(tx, {it.wanted.code for it in asked})
            mine = [it for it in asked if it.wanted.code in dossiers]
            done = iter(await self._act(tx, rights, mine, dossiers, _whole) if mine else ())
            return [next(done) if it.wanted.code in dossiers else APART for it in asked]

    async def _apart(self, rights: Rights, asked: Asked) -> Done | HubError:
        async with self._begun(rights, idempotency.WAIT_MILLISECONDS) as tx:
            dossiers = await handling.lock(tx, {asked.wanted.code})
            (result,) = await self._act(tx, rights, [asked], dossiers, _whole)
            return result

    @asynccontextmanager
    async def _begun(self, rights: Rights, wait_milliseconds: int) -> AsyncIterator[Transaction]:
        async with self._database.transaction(rights.agencies) as tx:
            await tx.raw.execute(f"SET LOCAL lock_timeout = {wait_milliseconds}")
            yield tx

    async def _act(
        self, tx: Transaction, rights: Rights, asked: Sequence[Asked], dossiers: dict[str, Dossier], told: Told
    ) -> list[Done | HubError]:
        """On these locked dossiers, in order."""
        keys = [it.key for it in asked if it.key is not None]
        stored = await store.answers(tx, rights.client_id, keys) if keys else {}
        first = {key: (row["body_sha256"], row["answer"]) for key, row in stored.items()}
        taken: list[tuple[Wanted, Step]] = []
        kept: list[tuple[str, str, str]] = []
        results: list[Done | HubError] = []
        for it in asked:
            if it.key in first:
                results.append(_repeated(it, *first[it.key]))
                continue
            result = await self._step(tx, it.wanted, dossiers)
            if isinstance(result, HubError):
                results.append(result)  # and its key stays free for a later line
                continue
            taken.append((it.wanted, result))
            results.append(Done(answer := told(result)))
            if it.key is not None and it.sha is not None:
                first[it.key] = it.sha, strict_json.dumps(answer).decode()
                kept.append((it.key, *first[it.key]))
        await handling.save(tx, taken)
        await store.keep_answers(tx, rights.client_id, kept)
        return results

    async def _step(self, tx: Transaction, wanted: Wanted, dossiers: dict[str, Dossier]) -> Step | HubError:
        """One step, or why not. What it attaches is certified by an officer, and what it reuses is there."""
        papers = wanted.command.attachments
        if papers and wanted.code in dossiers:
            try:
                reusing.require_officer(papers, wanted.command.role)
                if reusing.names_sources(papers):
                    await reusing.require_for(tx, self._person_keys, wanted.code, papers)
            except HubError as refusal:
                return refusal
        result = handling.step(wanted, self._procedures, dossiers)
        return result.error if isinstance(result, Refused) else result


def _whole(step: Step) -> dict[str, Any]:
    """A single action is answered with the dossier as it is then."""
    return view.public_record(step.after)


def _repeated(it: Asked, sha: str, answer: str) -> Done | HubError:
    """A repeat of a stored answer, or of an earlier line's."""
    return Done(first=answer) if it.sha == sha else IdempotencyKeyReused()
