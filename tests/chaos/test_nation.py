"""The nation's systems are slow, lie, answer nonsense or not at all: everything completes by itself, once."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from tests.chaos.faults import Fault, national
from tests.chaos.hub import Hub
from tests.chaos.province import DOSSIERS, Province

pytestmark = pytest.mark.timeout(240)

IDLE: tuple[dict[str, Any], ...] = (
    {"mode": "html"},
    {"mode": "error", "status": 500},
    {"mode": "error", "status": 429, "retry_after_seconds": 1},
    {"mode": "down"},
)
"""Nothing is done there."""
SILENT: tuple[dict[str, Any], ...] = (
    {"mode": "slow", "seconds": 10},
    {"mode": "drip", "seconds": 1},
    {"mode": "endless"},
    {"mode": "lose_answer", "how": "hang", "seconds": 5},
    {"mode": "lose_answer", "how": "cut"},
)
"""What was asked is done there, and nobody here can know it."""
SESSIONS: dict[str, Any] = {"mode": "expire_session", "every_calls": 3}


async def in_turn(fault: Fault, modes: Iterable[dict[str, Any]]) -> None:
    """Each mode until it has struck twice."""
    for how in modes:
        await fault.become(**how)
        await fault.strikes(2)


async def test_every_system_is_bad_in_every_way(hub: Hub, province: Province) -> None:
    """Rows 13, 14: none hurts anything but what needs it; afterwards all is paid, verified and at the portal, once."""
    before = await hub.at_the_portal()
    async with (
        national(hub, "portal", "down") as portal,
        national(hub, "payment", "down") as platform,
        national(hub, "population", "down") as register,
    ):
        playing = asyncio.create_task(province.play())
        await asyncio.gather(
            in_turn(portal, (*IDLE, *SILENT)),
            # A charge whose INIT was executed gets paid, and INIT is not sent again: one such fault is all it can meet.
            in_turn(platform, (*IDLE, SILENT[-1])),
            in_turn(register, (*IDLE, *SILENT)),
        )
        await asyncio.gather(portal.become("normal"), platform.become("down"), register.become("down"))
        async with asyncio.timeout(60):  # the portal is served while the others answer nobody
            while await hub.at_the_portal() < before + DOSSIERS:
                await asyncio.sleep(0.1)
        assert not playing.done()
        await asyncio.gather(portal.become("down"), platform.become("normal"), register.become("normal"))
        await playing  # every fee is paid and every identity verified while the portal answers nobody
        await in_turn(portal, (SILENT[-1], SESSIONS))
    await province.keeps_every_promise(reconciled=True)


@pytest.mark.long
@pytest.mark.parametrize("how", [*IDLE, *SILENT[:3], *({**how, "rate": 0.5} for how in SILENT[3:]), SESSIONS])
async def test_a_whole_life_under_one_fault_of_the_portal(hub: Hub, province: Province, how: dict[str, Any]) -> None:
    """Rows 13, 14: nothing but the portal's own view waits."""
    async with national(hub, "portal", **how):
        await province.play()
    await province.keeps_every_promise(reconciled=True)


@pytest.mark.long
@pytest.mark.parametrize("system", ["payment", "population"])
@pytest.mark.parametrize("how", [*IDLE, *SILENT])
async def test_a_fault_of_one_system_for_seconds(
    hub: Hub, province: Province, system: str, how: dict[str, Any]
) -> None:
    """Rows 13, 14: charges and identities wait for it and complete."""
    async with province.playing(), national(hub, system, **how):
        await asyncio.sleep(3.0)
    await province.keeps_every_promise()
