"""A patient caller who files one dossier after another and writes down how long each took."""

import asyncio
import itertools
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import ClassVar

from sandbox import play_bodies
from sandbox.replay_client import HubClient
from tests.chaos.province import Province

EVERY_SECONDS = 0.1


@dataclass
class Probe:
    """`phase` is what goes on just now; `seconds` what filing took in each phase."""

    ENOUGH: ClassVar = 20
    """So many filings tell a p95."""

    province: Province
    phase: str = ""
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    async def run(self) -> None:
        """Until cancelled."""
        plan, desk = self.province.player.plan, self.province.player.clients.desk
        for number, dossier in enumerate(itertools.cycle(plan.dossiers)):
            body = play_bodies.filing(plan, dossier) | {"external_reference": f"probe-{plan.province}-{number}"}
            await self._file(desk, body, f"probe-{number}")
            await asyncio.sleep(EVERY_SECONDS)

    async def _file(self, desk: HubClient, body: object, key: str) -> None:
        phase, began = self.phase, time.monotonic()
        answer = await desk.post("/v1/dossiers", body, key)
        assert answer.status == 201, answer.problem
        self.seconds[phase].append(time.monotonic() - began)

    def p95(self, *phases: str) -> float:
        """Seconds, of these phases together."""
        taken = [seconds for phase in phases for seconds in self.seconds[phase]]
        return statistics.quantiles(taken, n=20)[-1] if len(taken) > 1 else sum(taken)
