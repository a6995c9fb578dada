"""Faults, each a block that heals at its end: after it every service is ready again."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from deploy.local import health, steering
from deploy.local.ports import a_free_port
from tests.chaos.hub import Hub, until

FIRES_SECONDS = 60.0


@asynccontextmanager
async def armed(hub: Hub, service: str, point: str, passage: int) -> AsyncIterator[None]:
    """The service kills itself at this passage of a crash point, once; the block ends when it has happened."""
    unharmed = hub.restarts(service) + 1  # arming it is a start of its own

    def has_fired() -> bool:
        return hub.restarts(service) > unharmed

    await asyncio.to_thread(steering.restart, hub.layout, service, {"HUB_CRASH": f"{point}:{passage}"})
    await hub.ready()
    try:
        yield
        await until(has_fired, seconds=FIRES_SECONDS, why=f"{service} comes to {point} for the {passage}. time")
    finally:
        if not has_fired():
            await asyncio.to_thread(steering.restart, hub.layout, service)
        await _back(hub, service)


@asynccontextmanager
async def killed(hub: Hub, service: str) -> AsyncIterator[None]:
    """kill -9 now; the block runs while the supervisor brings it back."""
    victim = hub.process(service)
    victim.kill()
    try:
        yield
    finally:
        await until(lambda: not victim.is_running(), seconds=10, why=f"{service} dies")
        await _back(hub, service)


@asynccontextmanager
async def stopped(hub: Hub, *services: str) -> AsyncIterator[None]:
    """Their processes stand still, then go on where they were, as if no time had passed.

    Less than 20 seconds: then the supervisor kills what does not answer.
    """
    zombies = [hub.process(service) for service in services]
    for zombie in zombies:
        zombie.suspend()
    try:
        yield
    finally:
        for zombie in zombies:
            zombie.resume()
        for service in services:
            await _back(hub, service)


@asynccontextmanager
async def down(hub: Hub, name: str, how: signal.Signals | None = None) -> AsyncIterator[None]:
    """A program ended by this signal (its own orderly one by default) and kept away during the block."""
    await asyncio.to_thread(steering.stop, hub.layout, name, how)
    try:
        yield
    finally:
        await asyncio.to_thread(steering.start, hub.layout, name)
        await hub.ready()


@asynccontextmanager
async def a_second(hub: Hub, service: str) -> AsyncIterator[None]:
    """Another copy of a service joins, and leaves in good order."""
    first = hub.process(service)
    port = a_free_port()
    environment = first.environ() | {"HUB_PORT": str(port)}
    with hub.layout.log(f"{service}-second").open("ab") as log:
        second = subprocess.Popen(first.cmdline(), cwd=first.cwd(), env=environment, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(60):
            while not await health.is_ready(f"http://127.0.0.1:{port}"):
                assert second.poll() is None, f"the second {service} ended with {second.poll()}"
                await asyncio.sleep(0.05)
        yield
    finally:
        second.terminate()
        await asyncio.to_thread(second.wait)
        await hub.ready()


@asynccontextmanager
async def national(hub: Hub, system: str, mode: str, **how: Any) -> AsyncIterator[None]:
    """A fault of one of the nation's systems."""
    await hub.control("/_sandbox/faults", {"system": system, "mode": mode, **how})
    try:
        yield
    finally:
        await hub.control("/_sandbox/faults", {"system": system, "mode": "normal"})


async def _back(hub: Hub, service: str) -> None:
    await until(lambda: steering.is_up(hub.layout, service), seconds=60, why=f"{service} is back")
    await hub.ready()
