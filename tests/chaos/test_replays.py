"""Whole replays while everything is killed in turn, and while every system of the nation fails in turn.

`--chaos-scale` (of the published province-year) and `--chaos-seconds` (the longest fault) make them as large as wanted.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sandbox import promises_events
from tests.chaos.faults import killed, national
from tests.chaos.hub import SERVICES, Hub, until
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
CALM, AFTERWARDS = "nothing fails", "afterwards"
# What goes on in a replay changes from second to second: calm and faults take turns, so that both meet all of it.
CALM_PART, RECOVERY_PART = 1 / 8, 1 / 16
# So many filings of one phase say something about that phase.
TELLING = 100


@pytest.fixture
def size(request: pytest.FixtureRequest) -> Size:
    return a_year(Fraction(request.config.getoption("--chaos-scale")))


@pytest.fixture
def longest_seconds(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("--chaos-seconds"))


async def test_a_replay_while_everything_is_killed_in_turn(hub: Hub, tmp_path: Path, size: Size) -> None:
    """Rows 1-4, 7: kill -9 of every service, of Kafka and of PostgreSQL while the load goes on."""
    deaths: Counter[str] = Counter()
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        provinces: list[Province] = []
        all_died = asyncio.Event()
        playing = asyncio.create_task(play_until(all_died, hub, tmp_path, size, stack, provinces))
        stack.callback(playing.cancel)
        for victim in itertools.cycle(VICTIMS):
            async with killed(hub, victim):
                pass
            deaths[victim] += 1
            if deaths.keys() == set(VICTIMS):
                all_died.set()
            await asyncio.wait([playing], timeout=PAUSE_SECONDS)
            if playing.done():
                break
        await playing
        for province in provinces:
            await province.keeps_every_promise()
        tell(f"kill -9 {dict(deaths)}", provinces, began)
    audit = await promises_events.log_verifies(hub.described)
    assert audit.holds, audit.found


async def test_replays_while_the_nation_fails_in_turn(
    hub: Hub, tmp_path: Path, size: Size, longest_seconds: float
) -> None:
    """Rows 13, 14: every dossier synced, or parked with the portal's reason; intake as fast as ever."""
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        probe = Probe(await stack.enter_async_context(a_province(hub, tmp_path, size)))
        probing = asyncio.create_task(probe.run())
        stack.callback(probing.cancel)
        provinces: list[Province] = []
        is_over = asyncio.Event()
        playing = asyncio.create_task(play_until(is_over, hub, tmp_path, size, stack, provinces))
        stack.callback(playing.cancel)
        await until(lambda: provinces and provinces[0].history.codes, seconds=120, why="the replay's first dossier")
        await during(probe, CALM, longest_seconds * CALM_PART)
        for system, how, part in FAULTS:
            async with national(hub, system, **how) as fault:
                await during(probe, f"{system}: {how}", longest_seconds * part)
                await fault.strikes(1)
            await asyncio.sleep(longest_seconds * RECOVERY_PART)  # what had piled up belongs to the fault
            await during(probe, CALM, longest_seconds * CALM_PART)
        probe.phase = AFTERWARDS
        is_over.set()
        await playing
        async with national(hub, "portal", **REFUSES):
            probe.phase = f"portal: {REFUSES}"
            provinces.append(await stack.enter_async_context(a_province(hub, tmp_path, size)))
            await provinces[-1].play()
            assert not probing.done(), probing
            probing.cancel()
            levels = [
                await province.keeps_every_promise(may_refuse=True, reconciled=province is provinces[-1])
                for province in provinces
            ]
            refused = [code for level in levels for code in level.refused]
            tell(f"{len(refused)} dossiers parked with the portal's reason", provinces, began)
            assert 0 < len(refused) < 0.04 * len(provinces[-1].player.plan.dossiers)
        for code in refused:  # an operator repeats them once the portal takes them
            answer = await provinces[-1].operator.post(f"/v1/sync/dossiers/{code}/retry", {})
            assert answer.status == 200, answer.problem
        for province in provinces:
            await province.keeps_every_promise(reconciled=province is provinces[-1])
        tell("after the operator's retry", provinces, began)
    as_fast_as_in_calm(probe)


async def play_until(
    is_over: asyncio.Event, hub: Hub, folder: Path, size: Size, stack: AsyncExitStack, provinces: list[Province]
) -> None:
    """One province after the other; the one that is played when it is over is the last."""
    while True:
        provinces.append(await stack.enter_async_context(a_province(hub, folder, size)))
        await provinces[-1].play()
        if is_over.is_set():
            return


def as_fast_as_in_calm(probe: Probe) -> None:
    """Intake did not suffer from what the nation did."""
    told = {phase: f"{len(taken)} × {probe.p95(phase) * 1000:.0f} ms" for phase, taken in probe.seconds.items()}
    print("p95 of filing:", told)
    faulty = [phase for phase in probe.seconds if phase not in (CALM, AFTERWARDS)]
    limit = 2 * probe.p95(CALM) + NOISE_SECONDS
    assert probe.p95(*faulty) <= limit, told
    # A short phase may have met the busiest seconds.
    slow = {phase: probe.p95(phase) for phase in faulty if len(probe.seconds[phase]) >= TELLING}
    assert max(slow.values(), default=0.0) <= limit, told


async def during(probe: Probe, phase: str, seconds: float) -> None:
    """This phase, for so long, and for as many filings as a p95 needs."""
    probe.phase = phase
    await asyncio.sleep(seconds)
    async with asyncio.timeout(60):
        while len(probe.seconds[phase]) < probe.ENOUGH:
            await asyncio.sleep(0.1)


def tell(what: str, provinces: Sequence[Province], began: float) -> None:
    """For whoever reads the run's output (`-s`)."""
    played = [len(province.player.plan.dossiers) for province in provinces]
    print(f"\n{what}; {len(played)} replays, {sum(played)} dossiers, {time.monotonic() - began:.0f} s")
    for province in provinces:
        for promise, found in province.found.items():
            print(f"  {province.player.plan.province} {promise}: {found}")
