"""Delivery: take what is due, read the records, push what differs, save what was acknowledged.

One step of a worker, with at most `batch_size` dossiers:

1. claim them (a lease with a fencing token; nothing is claimed while the portal is known to be away),
2. read their records from the dossier service, now: one push carries everything that changed until now,
3. ask the portal about those whose earlier answer is missing (TraCuuHoSo),
4. push the records that differ from what the portal accepted (inserts and updates apart, bad ones left out),
5. push the progress rows not yet acknowledged,
6. save, in one transaction: standing, evidence, events.

No transaction is open while the portal is called. Before each call the lease must cover the whole of it, else it is
extended, else the worker lets go: a worker that was stopped for a while never pushes what another one took over.
"""

import asyncio
import random
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Counter, Gauge

from shared import clock, outbox
from shared.crashpoint import crashpoint
from shared.db import Database
from shared.dossiers import Dossiers
from shared.errors import Upstream
from shared.events import Event
from shared.telemetry import log
from sync_national import evidence, hold_store, incident_store, status_store, store
from sync_national.announcing import acknowledged, parked
from sync_national.change import Limits, Settled, Standing, settle
from sync_national.evidence import Attempt
from sync_national.incident import Failure
from sync_national.portal import Portal
from sync_national.portal_record import EqualRows
from sync_national.round import Round
from sync_national.store import Claims, Outcome

TOPIC = "lgsp.sync"
_LONGEST_REST_SECONDS = 0.5
_ACKNOWLEDGED = Counter("hub_sync_acknowledged_total", "Dossiers acknowledged", ["destination"])
_TROUBLES = Counter("hub_sync_troubles_total", "Visits that ended in trouble", ["destination", "kind"])
_FENCED = Counter(
    "hub_sync_fenced_total", "Results dropped because the lease had passed to another worker", ["destination"]
)
_OLDEST_UNSYNCED = Gauge(
    "hub_sync_oldest_unsynced_seconds",
    "Age of the oldest change that the destination does not show; 0 when all is level",
    ["destination"],
)
_LANES = Gauge("hub_sync_lanes", "Batches that the portal bears at once, as far as is known", ["destination"])
_OVERWRITTEN = Counter(
    "hub_sync_overwritten_total", "Dossiers that the portal showed otherwise when their doubt was over", ["destination"]
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How the delivery works."""

    batch_size: int = 100
    lease_seconds: float = 90.0
    """Longer than the portal's time-out: when it has run out, every call made under it is over."""
    look_ups_at_once: int = 8
    stop_seconds: float = 5.0
    """How long a stopping worker may finish the batch in hand."""


class Bell:
    """Wakes the workers when the next dossier becomes due."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self._next = float("inf")
        self._timer: asyncio.TimerHandle | None = None

    def ring_in(self, seconds: float) -> None:
        """At the latest in so many seconds."""
        loop = asyncio.get_running_loop()
        moment = loop.time() + seconds
        if self._timer is None or moment < self._next:
            if self._timer is not None:
                self._timer.cancel()
            self._next = moment
            self._timer = loop.call_at(moment, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.wake.set()


class Courier:
    """Carries dossiers to one destination; several workers may call `step` at the same time."""

    def __init__(
        self,
        destination: str,
        database: Database,
        dossiers: Dossiers,
        portal: Portal,
        *,
        limits: Limits,
        pace: Pace,
        equal_rows: EqualRows = "ignore",
    ) -> None:
        self.destination = destination
        self.bell = Bell()
        self._database = database
        self.dossiers = dossiers
        self._portal = portal
        self._limits = limits
        self._pace = pace
        self._equal_rows = equal_rows
        self._probe = asyncio.Lock()

    async def step(self) -> int:
        """One batch; the number of dossiers worked on. A stop lets the batch in hand finish for a moment."""
        task = asyncio.ensure_future(self._step())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            with suppress(Exception):
                await asyncio.wait_for(task, self._pace.stop_seconds)
            raise

    async def _step(self) -> int:
        if self._portal.is_closed_for_now:
            return 0
        if self._portal.breaker == "closed":
            return await self._deliver(self._pace.batch_size)
        if self._probe.locked():
            return 0
        async with self._probe:  # one dossier tries whether the portal is back; the others wait for what it finds
            return await self._deliver(1)

    async def _deliver(self, size: int) -> int:
        async with self._portal.lanes, self._portal.quota.batch() as may_begin:
            started = time.monotonic()
            carried = await self._carry(size, started) if may_begin and not self._portal.is_closed_for_now else 0
        if 0 < carried < size:
            # Nothing more was due: the busier the machine, the more dossiers share the next call.
            await asyncio.sleep(min(time.monotonic() - started, _LONGEST_REST_SECONDS))
        return carried

    async def _carry(self, size: int, started: float) -> int:
        claimed_at = clock.now()
        async with self._database.transaction() as tx:
            claims = await store.claim(tx, self.destination, size, self._pace.lease_seconds)
        if not claims.rows:
            return 0
        lease = Lease(self, claims, started)
        try:
            items = await self.dossiers.read([claim.dossier_code for claim in claims.rows])
        except Upstream as fault:
            await self._release(claims, fault)
            raise
        visit = Round(claims.rows, items, self._portal, lease.hold, equal_rows=self._equal_rows)
        await visit.run(self._pace.look_ups_at_once)
        crashpoint("portal.after_answer")
        await self._save(claims, visit, claimed_at)
        return len(claims.rows)

    async def _release(self, claims: Claims, fault: Upstream) -> None:
        async with self._database.transaction() as tx:
            await store.release(tx, self.destination, claims, 1.0, self._limits.settle)
        log.warning("sync_source_away", fault=fault.internal, dossiers=len(claims.rows))

    async def extend(self, claims: Claims) -> bool:
        """Lengthen the lease; whether all the dossiers are still this worker's."""
        codes = [claim.dossier_code for claim in claims.rows]
        async with self._database.transaction() as tx:
            kept = await store.extend(tx, self.destination, codes, claims.token, self._pace.lease_seconds)
        return kept == len(codes)

    @property
    def lease_seconds(self) -> float:
        """Length of a lease."""
        return self._pace.lease_seconds

    @property
    def call_seconds(self) -> float:
        """What a lease must still last before a call."""
        return self._limits.portal_timeout

    async def _save(self, claims: Claims, visit: Round, claimed_at: datetime) -> None:
        present = clock.now()
        async with self._database.transaction() as tx:
            mine = await store.locked(tx, self.destination, claims)
            outcomes: list[Outcome] = []
            attempts: list[Attempt] = []
            news: list[Event] = []
            for claim in claims.rows:
                if claim.dossier_code not in mine:
                    continue
                before, visits = mine[claim.dossier_code]
                after = settle(before, visit.visit(claim.dossier_code), self._limits, random.random())  # noqa: S311 - jitter
                sent = visit.attempt(claim, after, visits + 1)
                if sent:
                    attempts.append(sent)
                outcomes.append(
                    Outcome(claim.dossier_code, after, _has_gained(before, after.standing), visits + bool(sent))
                )
                news.extend(self._events(claim.dossier_code, before, after, present))
            await store.save(tx, self.destination, outcomes, claimed_at, self._limits.settle)
            if names := visit.portal_names():
                await store.name(tx, self.destination, names)
            await incident_store.note(tx, self.destination, _failures(claims, outcomes))
            await evidence.keep(tx, self.destination, present, attempts)
            await outbox.publish(tx, TOPIC, news)
        await self._doubt(visit, visit.pushed() - mine.keys())
        self._after(claims, visit, outcomes)

    async def _doubt(self, visit: Round, fenced: Collection[str]) -> None:
        """This worker stood still, and pushed perhaps over what the one that took over had pushed."""
        if fenced:
            async with self._database.transaction() as tx:
                wait = self._limits.settle if visit.left_open else 0.0
                await store.doubt(tx, self.destination, sorted(fenced), wait)

    def _events(self, code: str, before: Standing, after: Settled, at: datetime) -> list[Event]:
        news = []
        if _has_gained(before, after.standing):
            news.append(acknowledged(code, self.destination, after.standing, at))
        if after.is_parked:
            news.append(parked(code, self.destination, after.standing, at))
        return news

    def _after(self, claims: Claims, visit: Round, outcomes: Sequence[Outcome]) -> None:
        """Count, and see to it that a worker looks again in time."""
        _ACKNOWLEDGED.labels(self.destination).inc(sum(outcome.has_gained for outcome in outcomes))
        _FENCED.labels(self.destination).inc(len(claims.rows) - len(outcomes))
        _LANES.labels(self.destination).set(self._portal.lanes.open)
        if overwritten := visit.overwritten():
            _OVERWRITTEN.labels(self.destination).inc(overwritten)
            log.warning("sync_overwritten", destination=self.destination, dossiers=overwritten)
        for kind, number in visit.troubles().items():
            _TROUBLES.labels(self.destination, kind).inc(number)
            log.warning("sync_trouble", destination=self.destination, kind=kind, dossiers=number)
        waits = [outcome.settled.due_in for outcome in outcomes if outcome.settled.due_in is not None]
        if waits:
            self.bell.ring_in(min(waits))

    async def sum_up(self) -> int:
        """Fold the notes of the counts, close incidents that are over, notice holds that end; called every second."""
        async with self._database.transaction() as tx:
            await store.sum_notes(tx)
            await incident_store.close_what_is_over(tx, self.destination)
            await hold_store.watch(tx, self.destination)
        return 0

    async def measure(self) -> int:
        """The first service-level figure, for `/metrics`: how long a change has waited at most."""
        async with self._database.reading() as rx:
            oldest = await status_store.oldest_unsynced_seconds(rx, self.destination)
        _OLDEST_UNSYNCED.labels(self.destination).set(oldest or 0.0)
        return 0

    async def forget(self, keep_days: int) -> int:
        """Drop evidence past its time, and the counts of calls of minutes long gone."""
        async with self._database.transaction() as tx:
            await store.forget_calls(tx)
        await evidence.forget(self._database, keep_days)
        return 0


class Lease:
    """A worker's hold on its batch, measured on this machine's monotonic clock from before the claim."""

    def __init__(self, courier: Courier, claims: Claims, started: float) -> None:
        self._courier = courier
        self._claims = claims
        self._ends = started + courier.lease_seconds

    async def hold(self) -> bool:
        """Whether a whole call fits into the lease (extended if need be)."""
        if time.monotonic() + self._courier.call_seconds < self._ends:
            return True
        started = time.monotonic()
        if started >= self._ends or not await self._courier.extend(self._claims):
            return False
        self._ends = started + self._courier.lease_seconds
        return True


def _failures(claims: Claims, outcomes: Sequence[Outcome]) -> list[Failure]:
    agencies = {claim.dossier_code: claim.agency_code for claim in claims.rows}
    return [
        Failure(outcome.dossier_code, agencies[outcome.dossier_code], standing.owner, standing.reason)
        for outcome in outcomes
        if (standing := outcome.settled.standing).reason and standing.owner
    ]


def _has_gained(before: Standing, after: Standing) -> bool:
    return (
        after.acknowledged_version > before.acknowledged_version
        or after.acknowledged_progress > before.acknowledged_progress
    )
