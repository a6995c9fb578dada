"""The nation's systems are slow, lie, answer nonsense or not at all: everything completes by itself, once."""

import asyncio
from typing import Any

import pytest

from tests.chaos.faults import national
from tests.chaos.hub import Hub
from tests.chaos.province import Province

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize(
    ("mode", "how"),
    [
        ("slow", {"seconds": 10}),
        ("drip", {"seconds": 1}),
        ("endless", {}),
        ("html", {}),
        ("error", {"status": 500}),
        ("error", {"status": 429, "retry_after_seconds": 1}),
        ("expire_session", {"every_calls": 3}),
        ("lose_answer", {"rate": 0.5, "how": "cut"}),
        ("lose_answer", {"rate": 0.5, "how": "hang", "seconds": 5}),
    ],
)
async def test_a_bad_portal_hurts_nothing_but_itself(
    hub: Hub, province: Province, mode: str, how: dict[str, Any]
) -> None:
    """Rows 13, 14: the whole life goes on meanwhile; afterwards the portal has everything, once."""
    async with national(hub, "portal", mode, **how):
        await province.play()
    await province.keeps_every_promise()


@pytest.mark.parametrize("system", ["payment", "population"])
@pytest.mark.parametrize("mode", ["down", "lose_answer", "html"])
async def test_money_and_identity_wait_and_complete(hub: Hub, province: Province, system: str, mode: str) -> None:
    """Rows 13, 14: charges are paid once, identities verified, when the platform or the register is back."""
    async with province.playing(), national(hub, system, mode):
        await asyncio.sleep(3.0)
    await province.keeps_every_promise()
