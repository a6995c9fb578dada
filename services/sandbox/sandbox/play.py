"""Plays a plan: chunks of dossiers, each through the same waves, a few chunks at a time.

```
intake ──▶ identity ──▶ receive ──▶ pay ──▶ start ──▶ finish ──▶ return
portal      (watched)   desk        desk    desk      desk,      desk
and desk                                    ministry  ministry
```
Most lines go in batches, some dossiers in single calls, some are started and finished by the ministry's events.
Identity and online payment complete by themselves; a step that comes too early for them (`identity_pending`, an
open charge) is refused and simply sent again. A payment at the counter would pay an open charge, so where a
dossier pays both ways the counter waits until the online charges are settled.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from sandbox import play_bodies as bodies
from sandbox import play_lines, play_times
from sandbox.plan import Plan, PlannedDossier
from sandbox.play_lines import Accept, Line
from sandbox.play_times import Times
from sandbox.replay_client import NDJSON, Http, HubClient, Refused

LARGEST_CHUNK = 2000
CHUNKS_AT_A_TIME = 4
SINGLES_AT_A_TIME = 12
EVENTS_A_REQUEST = 200
SINGLE_EVERY = 20
"""Every so many dossiers go by single calls, unless the player is told otherwise."""
EVENT_EVERY = 7
"""Every so many resolved dossiers are finished by an event of the ministry."""

Progress = Callable[[str, int], None]


@dataclass(slots=True)
class Played:
    """What the hub answered for one planned dossier. `due_at` in seconds, 0 before receipt."""

    code: str = ""
    due_at: int = 0


@dataclass(slots=True)
class Clients:
    """The three partners, and the sandbox's controls."""

    portal: HubClient
    desk: HubClient
    ministry: HubClient
    sandbox: Http


@dataclass(slots=True)
class Player:
    """One play of a plan. `played[n]` belongs to dossier number n."""

    plan: Plan
    clients: Clients
    progress: Progress
    single_every: int = SINGLE_EVERY
    played: list[Played] = field(init=False)
    _singles: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.played = [Played() for _ in self.plan.dossiers]
        self._singles = asyncio.Semaphore(SINGLES_AT_A_TIME)

    async def play(self) -> None:
        """The whole plan. Raises `GaveUp`, `Refused`, `DueTimeImpossible`."""
        dossiers = self.plan.dossiers
        # A small play is all in flight at once: what a chunk waits for takes as long for a hundred as for a thousand.
        size = min(LARGEST_CHUNK, max(50, -(-len(dossiers) // CHUNKS_AT_A_TIME)))
        chunks = iter([dossiers[start : start + size] for start in range(0, len(dossiers), size)])

        async def workers() -> None:
            for chunk in chunks:
                await self._chunk(chunk)

        async with asyncio.TaskGroup() as group:
            for _ in range(CHUNKS_AT_A_TIME):
                group.create_task(workers())

    def when(self, dossier: PlannedDossier) -> Times:
        """The moments of a dossier that has been received."""
        return play_times.times(dossier, self.plan.period, self.played[dossier.number].due_at)

    async def _chunk(self, chunk: Sequence[PlannedDossier]) -> None:
        await self._load_people(chunk)
        await self._file(chunk)
        async with asyncio.TaskGroup() as beside:
            identified = beside.create_task(self._identify(chunk))
            await self._receive(chunk)
            beside.create_task(self._together(self._collect(each) for each in chunk if not each.online_amounts))
            await self._request_payment(chunk)
            await self._start(chunk)
            await identified
            resolved = [each for each in chunk if each.is_resolved]
            await self._finish(resolved)
            await self._return(resolved)

    async def _load_people(self, chunk: Sequence[PlannedDossier]) -> None:
        """Before anybody asks: the register holds the invented people of this chunk."""
        people = [held for each in chunk if (held := self.plan.applicant(each).register) is not None]
        body = b"\n".join(orjson.dumps(person) for person in people)
        answer = await self.clients.sandbox.send("POST", "/_sandbox/population", body, content_type=NDJSON)
        if answer.status != 200:
            raise Refused(f"The sandbox's register refused its people: {answer.problem}")

    async def _file(self, chunk: Sequence[PlannedDossier]) -> None:
        def accept(each: PlannedDossier, answer: dict[str, Any]) -> None:
            self.played[each.number].code = answer["code"]
            self.progress("intake", 1)

        lines = [Line(each, bodies.filing(self.plan, each), _key(each, "file")) for each in chunk]
        portal = [line for line in lines if line.dossier.channel == "online"]
        desk = [line for line in lines if line.dossier.channel != "online"]
        for client, own in ((self.clients.portal, portal), (self.clients.desk, desk)):
            batch, single = self._by_way(own)
            await play_lines.send(client, "/v1/dossiers/batch", batch, accept)
            await self._together(play_lines.send_single(client, "/v1/dossiers", line, accept) for line in single)

    async def _identify(self, chunk: Sequence[PlannedDossier]) -> None:
        """Watch the last ones filed: verification goes in order, so the others are through before them."""
        asked = [each for each in chunk if each.identity != "not_required"]
        for each in asked[-3:]:
            path = f"/v1/dossiers/{self.played[each.number].code}"
            wait = 0.05
            while (await self.clients.desk.get(path))["identity"]["outcome"] == "pending":
                await asyncio.sleep(wait)
                wait = min(wait * 2, 2.0)
        self.progress("identity", len(chunk))

    async def _receive(self, chunk: Sequence[PlannedDossier]) -> None:
        def accept(each: PlannedDossier, answer: dict[str, Any]) -> None:
            self.played[each.number].due_at = int(datetime.fromisoformat(answer["due_at"]).timestamp())
            self.progress("receive", 1)

        await self._transit([self._step(each, "receive", each.received_at) for each in chunk], accept)

    async def _request_payment(self, chunk: Sequence[PlannedDossier]) -> None:
        for n in range(max((len(each.online_amounts) for each in chunk), default=0)):
            steps = [
                self._step(each, "request_payment", self.when(each).asked_to_pay[n], n, fees=bodies.fees(each, n))
                for each in chunk
                if len(each.online_amounts) > n
            ]
            await self._transit(steps, self._counted("pay"), may_wait=n > 0)

    async def _start(self, chunk: Sequence[PlannedDossier]) -> None:
        due = [(each, when.started) for each in chunk if (when := self.when(each)).started is not None]
        by_event = [(each, at) for each, at in due if is_by_event(each) and not each.online_amounts]
        await self._push("start", by_event)
        steps = [self._step(each, "start", at) for each, at in due if not is_by_event(each) or each.online_amounts]
        await self._transit(steps, self._counted("start"), may_wait=True)
        both_ways = [each for each in chunk if each.online_amounts and each.counter_amounts]
        await self._settled(each for each in both_ways if not play_times.is_started(each))
        await self._together(self._collect(each) for each in both_ways)

    async def _settled(self, dossiers: Iterable[PlannedDossier]) -> None:
        """Wait until nothing is to be paid online: these are not started, so no refusal tells."""
        for each in dossiers:
            wait = 0.05
            while (await self.clients.desk.get(f"/v1/dossiers/{self._code(each)}"))["status_code"] == 6:
                await asyncio.sleep(wait)
                wait = min(wait * 2, 2.0)

    async def _finish(self, resolved: Sequence[PlannedDossier]) -> None:
        due = [(each, when.finished) for each in resolved if (when := self.when(each)).finished is not None]
        await self._push("finish", [(each, at) for each, at in due if is_by_event(each)])
        steps = [
            self._step(each, "finish", at, **bodies.finish(self.plan, each))
            for each, at in due
            if not is_by_event(each)
        ]
        await self._transit(steps, self._counted("finish"), may_wait=True)

    async def _return(self, resolved: Sequence[PlannedDossier]) -> None:
        due = [(each, when.returned) for each in resolved if (when := self.when(each)).returned is not None]
        steps = [self._step(each, "return_result", at) for each, at in due]
        await self._transit(steps, self._counted("return"), may_wait=True)

    def _step(self, dossier: PlannedDossier, action: str, at: int, n: int = 0, **members: Any) -> Line:
        return Line(dossier, bodies.transition(action, at, **members), _key(dossier, f"{action}-{n}"))

    def _counted(self, wave: str) -> Accept:
        return lambda _dossier, _answer: self.progress(wave, 1)

    async def _transit(self, steps: Sequence[Line], accept: Accept, *, may_wait: bool = False) -> None:
        """Transitions by the desk. `may_wait`: a fact still to come may refuse the line for now."""
        batch, single = self._by_way(steps)
        desk, path = self.clients.desk, "/v1/dossiers/transitions/batch"
        lines = [Line(line.dossier, {"code": self._code(line.dossier), **line.body}, line.key) for line in batch]
        await play_lines.send(desk, path, lines, accept, may_wait=may_wait)
        await self._together(
            play_lines.send_single(
                desk, f"/v1/dossiers/{self._code(line.dossier)}/transitions", line, accept, may_wait=may_wait
            )
            for line in single
        )

    async def _collect(self, dossier: PlannedDossier) -> None:
        when = self.when(dossier)
        for n in range(len(dossier.counter_amounts)):
            body = bodies.counter_payment(self.plan, dossier, self._code(dossier), when, n)
            answer = await self.clients.desk.post("/v1/payments/counter", body, _key(dossier, f"collect-{n}"))
            if answer.status not in (200, 201):
                raise Refused(f"The counter payment of dossier {dossier.number} was refused: {answer.problem}")
            self.progress("pay", 1)

    async def _push(self, action: str, due: Sequence[tuple[PlannedDossier, int]]) -> None:
        """The ministry's events, in batch mode; their effect comes later."""
        for start in range(0, len(due), EVENTS_A_REQUEST):
            some = due[start : start + EVENTS_A_REQUEST]
            events = [bodies.event(self.plan, each, self._code(each), action, at) for each, at in some]
            answer = await self.clients.ministry.send(
                "POST", "/v1/events", orjson.dumps(events), content_type="application/cloudevents-batch+json"
            )
            if answer.status != 202 or answer.json()["rejected"]:
                raise Refused(f"The ministry's events were refused: {answer.status} {answer.body[:300]!r}")
            self.progress(action, len(some))

    async def _together(self, calls: Iterable[Any]) -> None:
        async def one(call: Any) -> None:
            async with self._singles:
                await call

        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(one(call))

    def _by_way(self, lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
        """Those that go in batches, and those that go by single calls."""
        batch = [line for line in lines if line.dossier.number % self.single_every != 1]
        return batch, [line for line in lines if line.dossier.number % self.single_every == 1]

    def _code(self, dossier: PlannedDossier) -> str:
        return self.played[dossier.number].code


def totals(plan: Plan) -> dict[str, int]:
    """How many steps each wave has, for the progress bar."""
    dossiers = plan.dossiers
    resolved = sum(each.is_resolved for each in dossiers)
    return {
        "intake": len(dossiers),
        "identity": len(dossiers),
        "receive": len(dossiers),
        "pay": sum(len(each.online_amounts) + len(each.counter_amounts) for each in dossiers),
        "start": sum(play_times.is_started(each) for each in dossiers),
        "finish": resolved,
        "return": sum(play_times.is_returned(each) for each in dossiers),
    }


def is_by_event(dossier: PlannedDossier) -> bool:
    """Finished (and, unless it pays online, started) by the ministry's software."""
    return dossier.is_resolved and dossier.number % EVENT_EVERY == 0


def _key(dossier: PlannedDossier, action: str) -> str:
    return f"replay-{dossier.number}-{action}"


def final_status(dossier: PlannedDossier) -> int:
    """The national status in which the play leaves a dossier."""
    if play_times.is_returned(dossier):
        return 10
    if dossier.is_resolved:
        return 9
    return 4 if play_times.is_started(dossier) else 2
