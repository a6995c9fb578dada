"""Whole replays while everything is killed in turn, and while every system of the nation fails in turn.

`--chaos-scale` (of the published province-year) and `--chaos-seconds` (the longest fault) make them as large as wanted.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sandbox import promises_events
from tests.chaos.faults import killed, national
from tests.chaos.hub import SERVICES, Hub
from tests.chaos.probe import Probe
from tests.chaos.province import Province, Size, a_province, a_year

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

VICTIMS = (*SERVICES, "sandbox", "kafka", "postgres")
PAUSE_SECONDS = 1.0
# Intake may take twice as long as without a fault, and this for the noise of a machine of two cores.
NOISE_SECONDS = 0.05

# System, fault, and its part of the longest one's time.
FAULTS: tuple[tuple[str, dict[str, Any], float], ...] = (
    ("portal", {"mode": "down"}, 1),
    ("portal", {"mode": "error", "rate": 0.3}, 1 / 4),
    ("portal", {"mode": "slow", "seconds": 10}, 1 / 4),
    ("portal", {"mode": "lose_answer", "rate": 0.05}, 1 / 4),
    ("portal", {"mode": "expire_session", "every_calls": 50}, 1 / 4),
    ("portal", {"mode": "html"}, 1 / 4),
    ("population", {"mode": "down"}, 1 / 4),
    ("payment", {"mode": "down"}, 1 / 4),
)
REFUSES: dict[str, Any] = {"mode": "reject_record", "rate": 0.01}
CALM = "nothing fails"


@pytest.fixture
def size(request: pytest.FixtureRequest) -> Size:
    return a_year(Fraction(request.config.getoption("--chaos-scale")))


@pytest.fixture
def longest_seconds(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("--chaos-seconds"))


async def test_a_replay_while_everything_is_killed_in_turn(hub: Hub, tmp_path: Path, size: Size) -> None:
    """Rows 1-4, 7: kill -9 of every service, of Kafka and of PostgreSQL while the load goes on."""
    deaths: Counter[str] = Counter()
    async with a_province(hub, tmp_path, size) as province:
        playing = asyncio.create_task(province.play())
        for victim in itertools.cycle(VICTIMS):
            async with killed(hub, victim):
                pass
            deaths[victim] += 1
            await asyncio.wait([playing], timeout=PAUSE_SECONDS)
            if playing.done():
                break
        await playing
        assert deaths.keys() == set(VICTIMS), f"the play was over too soon: {deaths}"
        await province.keeps_every_promise()
    audit = await promises_events.log_verifies(hub.described)
    assert audit.holds, audit.found


async def test_replays_while_the_nation_fails_in_turn(
    hub: Hub, tmp_path: Path, size: Size, longest_seconds: float
) -> None:
    """Rows 13, 14: every dossier synced, or parked with the portal's reason; intake as fast as ever."""
    async with AsyncExitStack() as stack:
        probe = Probe(await stack.enter_async_context(a_province(hub, tmp_path, size)))
        probing = asyncio.create_task(probe.run())
        stack.callback(probing.cancel)
        provinces: list[Province] = []
        async with playing_on(hub, tmp_path, size, stack, provinces):
            await during(probe, CALM, longest_seconds / 4)
            for system, how, part in FAULTS:
                async with national(hub, system, **how) as fault:
                    await during(probe, f"{system}: {how}", longest_seconds * part)
                    await fault.strikes(1)
        async with national(hub, "portal", **REFUSES):
            probe.phase = f"portal: {REFUSES}"
            provinces.append(await stack.enter_async_context(a_province(hub, tmp_path, size)))
            await provinces[-1].play()
            assert not probing.done(), probing
            probing.cancel()
            levels = [await province.keeps_every_promise(may_refuse=True) for province in provinces]
            refused = [code for level in levels for code in level.refused]
            assert 0 < len(refused) < 0.04 * len(provinces[-1].player.plan.dossiers)
        for code in refused:  # an operator repeats them once the portal takes them
            answer = await provinces[-1].operator.post(f"/v1/sync/dossiers/{code}/retry", {})
            assert answer.status == 200, answer.problem
        for province in provinces:
            await province.keeps_every_promise()
    slow = {phase: probe.p95(phase) for phase in probe.seconds}
    print({phase: f"{seconds * 1000:.0f} ms" for phase, seconds in slow.items()})
    assert max(slow.values()) <= 2 * slow[CALM] + NOISE_SECONDS, slow


@asynccontextmanager
async def playing_on(
    hub: Hub, folder: Path, size: Size, stack: AsyncExitStack, provinces: list[Province]
) -> AsyncIterator[None]:
    """One province after the other is played while the block runs; the last one comes to its end."""
    is_over = asyncio.Event()

    async def play() -> None:
        while not is_over.is_set():
            provinces.append(await stack.enter_async_context(a_province(hub, folder, size)))
            await provinces[-1].play()

    playing = asyncio.create_task(play())
    try:
        yield
        is_over.set()
        await playing
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


async def during(probe: Probe, phase: str, seconds: float) -> None:
    """This phase, for so long."""
    probe.phase = phase
    await asyncio.sleep(seconds)
