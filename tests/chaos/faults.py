"""Faults, each a block that heals at its end: after it every service is ready again."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil

from deploy.local import health, steering
from deploy.local.ports import a_free_port
from tests.chaos.hub import Hub, until

FIRES_SECONDS = 60.0


@asynccontextmanager
async def armed(hub: Hub, points: Mapping[str, tuple[str, int]]) -> AsyncIterator[None]:
    """Each of these services kills itself once, at its crash point's n-th passage; the block ends when all have."""
    victims = {service: hub.process(service) for service in points}
    for service, (point, passage) in points.items():
        # Started again by us: the supervisor's pause grows with every death, as for a program that is ill.
        hub.layout.held(service).touch()
        await hub.order(service, f"{point}:{passage}")
    watching = [asyncio.create_task(_start_when_dead(hub, service, victim)) for service, victim in victims.items()]
    try:
        yield
        for service, (point, passage) in points.items():
            why = f"{service} comes to {point} for the {passage}. time"
            await until(partial(_is_dead, victims[service]), seconds=FIRES_SECONDS, why=why)
    except BaseException as fault:
        fault.add_note(f"armed: {points}; dead: {[name for name, victim in victims.items() if _is_dead(victim)]}")
        raise
    finally:
        for task in watching:
            task.cancel()
        for service, victim in victims.items():
            if not _is_dead(victim):
                await hub.order(service, "nowhere:1")
            hub.deaths[service] += _is_dead(victim)
            hub.layout.held(service).unlink(missing_ok=True)
        for service in points:
            await _back(hub, service)


async def _start_when_dead(hub: Hub, service: str, victim: psutil.Process) -> None:
    while not _is_dead(victim):
        await asyncio.sleep(0.02)
    hub.layout.held(service).unlink()


def _is_dead(victim: psutil.Process) -> bool:
    try:
        return not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@asynccontextmanager
async def killed(hub: Hub, service: str) -> AsyncIterator[None]:
    """kill -9 now; the block runs while the supervisor brings it back."""
    victim = hub.process(service)
    hub.layout.held(service).touch()
    hub.deaths[service] += 1
    victim.kill()
    try:
        yield
    finally:
        await until(lambda: _is_dead(victim), seconds=10, why=f"{service} dies")
        hub.layout.held(service).unlink()
        await _back(hub, service)


@asynccontextmanager
async def stopped(hub: Hub, *services: str) -> AsyncIterator[None]:
    """Their processes stand still, then go on where they were, as if no time had passed.

    For less than 20 seconds: then the supervisor kills what does not answer.
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
    hub.deaths[name] += 1
    await asyncio.to_thread(steering.stop, hub.layout, name, how)
    try:
        yield
    finally:
        await asyncio.to_thread(steering.start, hub.layout, name)
        await hub.ready()


@asynccontextmanager
async def a_second(hub: Hub, service: str) -> AsyncIterator[psutil.Process]:
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
        yield psutil.Process(second.pid)
    finally:
        second.terminate()
        await asyncio.to_thread(second.wait)
        await hub.ready()


@dataclass(slots=True)
class Fault:
    """A fault of one of the nation's systems, which may become another one without a well moment in between."""

    hub: Hub
    system: str
    mode: str = "normal"
    before: float = 0.0
    """How often the system had been called in this mode before."""

    async def become(self, mode: str, **how: Any) -> None:
        """From now on."""
        self.mode, self.before = mode, await self.hub.calls(self.system, mode)
        await self.hub.control("/_sandbox/faults", {"system": self.system, "mode": mode, **how})

    async def strikes(self, times: int) -> None:
        """Waits until it has met so many calls."""
        try:
            async with asyncio.timeout(FIRES_SECONDS):
                while await self.hub.calls(self.system, self.mode) < self.before + times:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{self.system} was not called {times} times in mode {self.mode}") from None


@asynccontextmanager
async def national(hub: Hub, system: str, mode: str, **how: Any) -> AsyncIterator[Fault]:
    """A fault of one of the nation's systems."""
    fault = Fault(hub, system)
    await fault.become(mode, **how)
    try:
        yield fault
    finally:
        await fault.become("normal")


async def _back(hub: Hub, service: str) -> None:
    await until(lambda: steering.is_up(hub.layout, service), seconds=60, why=f"{service} is back")
    await hub.ready()
