"""The worker that empties the queue of verifications, a batch at a time.

    lease a batch (database time, SKIP LOCKED, quota)          one transaction
    read the applicants from the dossier service               one call of at most 500 codes
    answer from the cache, ask the register for the rest       `concurrency` calls at once
    write outcomes, evidence and events; put failures back     one transaction

Retry schedule of a question the register did not answer: 1 s, doubled up to `longest_retry_seconds`, each with
50-100 % jitter. While the breaker is open nothing is leased; half open, one question is the probe.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from citizen_db_adapter import store, verifying
from citizen_db_adapter.citizen import Person
from citizen_db_adapter.evidence import Sealer
from citizen_db_adapter.register import Register
from citizen_db_adapter.store import Conclusion, Question
from shared.db import Database
from shared.dossiers import MOST_CODES, Dossiers
from shared.errors import Upstream
from shared.telemetry import log

Delay = tuple[Question, float, str]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how patiently the register is asked."""

    batch: int
    concurrency: int
    calls_per_minute: int
    lease_seconds: float
    longest_retry_seconds: float
    cache_seconds: float


class Asking:
    """One worker's step; `shared.worker.Worker` repeats it."""

    def __init__(self, database: Database, dossiers: Dossiers, register: Register, sealer: Sealer, pace: Pace) -> None:
        self._database = database
        self._dossiers = dossiers
        self._register = register
        self._sealer = sealer
        self._pace = pace
        self._slots = asyncio.Semaphore(pace.concurrency)

    async def step(self) -> int:
        """Work on one batch; the number of questions concluded or put back."""
        questions = await self._lease()
        if not questions:
            return 0
        try:
            people = await self._people(questions)
        except Upstream as fault:
            await self._save([], [self._later(question, str(fault)) for question in questions])
            return 0
        unknown = [self._later(q, "dossier unknown") for q in questions if q.id not in people]
        known = [(question, people[question.id]) for question in questions if question.id in people]
        async with self._database.reading() as rx:
            remembered = await verifying.remembered(rx, known, self._sealer, self._pace.cache_seconds)
        done = {conclusion.question.id for conclusion in remembered}
        results = await asyncio.gather(*(self._ask(q, person) for q, person in known if q.id not in done))
        answered = [result for result in results if isinstance(result, Conclusion)]
        unanswered = [result for result in results if not isinstance(result, Conclusion)]
        await self._save([*remembered, *answered], [*unknown, *unanswered])
        return len(remembered) + len(answered)

    async def _lease(self) -> list[Question]:
        state = self._register.breaker_state
        if state == "open":
            return []
        most = 1 if state == "half_open" else min(self._pace.batch, MOST_CODES)
        async with self._database.transaction() as tx:
            return await store.lease(
                tx,
                most=most,
                lease_seconds=self._pace.lease_seconds,
                calls_per_minute=self._pace.calls_per_minute,
            )

    async def _people(self, questions: Sequence[Question]) -> Mapping[str, Person]:
        named = {q.id: verifying.unsealed_subject(q, self._sealer) for q in questions}
        codes = sorted({q.dossier_code for q in questions if named[q.id] is None})
        dossiers = await self._dossiers.read(codes) if codes else {}
        people: dict[str, Person] = {}
        for question in questions:
            subject = named[question.id]
            if subject is None and question.dossier_code in dossiers:
                subject = verifying.applicant_of(dossiers[question.dossier_code])
            if subject is not None:
                people[question.id] = subject
        return people

    async def _ask(self, question: Question, person: Person) -> Conclusion | Delay:
        async with self._slots:
            try:
                asked = await verifying.ask(self._register, question, person)
            except Upstream as fault:
                return self._later(question, fault.internal or str(fault))
        return verifying.concluded(question, person, asked, self._sealer)

    def _later(self, question: Question, reason: str) -> Delay:
        seconds = min(2.0 ** min(question.attempt - 1, 16), self._pace.longest_retry_seconds)
        return question, seconds * random.uniform(0.5, 1.0), reason[:200]  # noqa: S311 - jitter, not a secret

    async def _save(self, conclusions: Sequence[Conclusion], delays: Sequence[Delay]) -> None:
        async with self._database.transaction() as tx:
            await verifying.conclude(tx, conclusions)
            if delays:
                await store.postpone(tx, delays)
        if delays:
            log.warning("verifications_postponed", count=len(delays), reason=delays[0][2])
