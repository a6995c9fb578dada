"""The worker that sends INIT for new charges and asks again where the answer was lost.

    lease a batch: the charges become `initiated`              one transaction
    read payer and names from the dossier service              one call of at most 500 codes
    INIT, always with the charge's own reference               `concurrency` calls at once
    link → pending, payment.link_ready; put the others back    one transaction

    what INIT brought              the charge
    ─────────────────────────────  ──────────────────────────────────────────────────────────────────────────
    a link                         pending
    answer lost, nonsense, 5xx     stays initiated, INIT again with the same reference; QUERY asks meanwhile
    not sent (no connection)       back to created, INIT again later
    refused                        INIT again; after `most_refusals` without any lost answer: failed

Retry after 1 s, doubled up to `longest_retry_seconds`, each with 50-100 % jitter. While the breaker is open nothing is
leased; half open, one charge is the probe.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payment import charging, store
from payment.platform import Asked, InitRefused, Payer, Platform
from payment.store import Leased, Unsent
from shared.db import Database
from shared.dossiers import MOST_CODES, Dossiers
from shared.errors import Upstream
from shared.telemetry import log


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how patiently the platform is asked. `query_after_seconds`: when QUERY first asks."""

    batch: int
    concurrency: int
    lease_seconds: float
    longest_retry_seconds: float
    most_refusals: int
    query_after_seconds: float


class Initiating:
    """One worker's step; `shared.worker.Worker` repeats it."""

    def __init__(self, database: Database, dossiers: Dossiers, platform: Platform, pace: Pace) -> None:
        self._database = database
        self._dossiers = dossiers
        self._platform = platform
        self._pace = pace
        self._slots = asyncio.Semaphore(pace.concurrency)

    async def step(self) -> int:
        """Work on one batch; the number of links that came of it."""
        leased = await self._lease()
        if not leased:
            return 0
        try:
            dossiers = await self._dossiers.read(sorted({charge.dossier_code for charge in leased}))
        except Upstream as fault:
            await self._save([], [self._not_sent(charge, str(fault)) for charge in leased])
            return 0
        results = await asyncio.gather(*(self._send(charge, dossiers) for charge in leased))
        links = [result for result in results if not isinstance(result, Unsent)]
        await self._save(links, [result for result in results if isinstance(result, Unsent)])
        return len(links)

    async def _lease(self) -> list[Leased]:
        state = self._platform.breaker_state
        if state == "open":
            return []
        async with self._database.transaction() as tx:
            return await store.lease_inits(
                tx,
                most=1 if state == "half_open" else min(self._pace.batch, MOST_CODES),
                lease_seconds=self._pace.lease_seconds,
                query_after_seconds=self._pace.query_after_seconds,
            )

    async def _send(self, charge: Leased, dossiers: Mapping[str, Mapping[str, Any]]) -> tuple[Leased, str] | Unsent:
        dossier = dossiers.get(charge.dossier_code)
        if dossier is None:
            return self._not_sent(charge, "dossier unknown")
        asked = Asked(charge.reference, charge.dossier_code, charge.amount_vnd, charge.at, charge.lines)
        async with self._slots:
            try:
                return charge, await self._platform.init(asked, payer_of(dossier))
            except InitRefused as refusal:
                return self._later(charge, refusal.internal or str(refusal), is_refused=True)
            except Upstream as fault:
                return self._later(charge, fault.internal or str(fault), is_outcome_unknown=fault.outcome_unknown)

    def _not_sent(self, charge: Leased, reason: str) -> Unsent:
        return self._later(charge, reason)

    def _later(
        self, charge: Leased, reason: str, *, is_refused: bool = False, is_outcome_unknown: bool = False
    ) -> Unsent:
        seconds = min(2.0 ** min(charge.attempt - 1, 16), self._pace.longest_retry_seconds)
        jittered = seconds * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        return Unsent(charge, jittered, reason[:200], is_refused, is_outcome_unknown)

    async def _save(self, links: Sequence[tuple[Leased, str]], unsent: Sequence[Unsent]) -> None:
        async with self._database.transaction() as tx:
            await charging.link(tx, sorted(links, key=lambda pair: pair[0].id))
            if unsent:
                await store.set_unsent(tx, unsent)
            for one in unsent:
                if self._is_hopeless(one):
                    await charging.give_up(tx, one.charge.id, "init_refused")
        if unsent:
            log.warning("inits_postponed", count=len(unsent), reason=unsent[0].error)

    def _is_hopeless(self, unsent: Unsent) -> bool:
        refusals = unsent.charge.refusals + 1
        return unsent.is_refused and not unsent.charge.is_answer_lost and refusals >= self._pace.most_refusals


def payer_of(dossier: Mapping[str, Any]) -> Payer:
    """Who pays, as `/internal/dossiers/read` (view payment) gives it."""
    applicant = dossier.get("applicant") or {}
    return Payer(
        procedure_code=dossier["procedure_code"],
        procedure_name=dossier["procedure_name"],
        agency_code=dossier["agency_code"],
        agency_name=dossier["agency_name"],
        full_name=applicant.get("full_name") or "",
        personal_id=applicant.get("personal_id") or "",
        address=applicant.get("address") or "",
    )
