"""Faults, each a block that heals at its end: after it every service is ready again."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from deploy.local import health, steering
from deploy.local.ports import a_free_port
from tests.chaos.hub import Hub, until

FIRES_SECONDS = 60.0
SEEN_SECONDS = 0.3
"""The supervisor looks ten times a second."""


Deaths = Sequence[tuple[str, int]]
"""Crash points, and at which passage of each; one after the other, each in the process that follows."""


@asynccontextmanager
async def armed(hub: Hub, deaths: Mapping[str, Deaths]) -> AsyncIterator[None]:
    """Each of these services kills itself where it is told to, again and again; the block ends when all have."""
    all_doomed = [_Doomed(hub, service, list(points)) for service, points in deaths.items()]
    meeting: list[asyncio.Task[None]] = []
    try:
        for doomed in all_doomed:
            await doomed.order()
        meeting = [asyncio.create_task(doomed.meet()) for doomed in all_doomed]
        yield
        done, _ = await asyncio.wait(meeting, timeout=FIRES_SECONDS)
        for task in done:
            task.result()
        left = {doomed.service: doomed.points for doomed in all_doomed if doomed.points}
        assert not left, f"came not to these within {FIRES_SECONDS:.0f} s of the play's end: {left}"
    except BaseException as fault:
        fault.add_note(f"armed: {deaths}; left: {[(doomed.service, doomed.points) for doomed in all_doomed]}")
        for doomed in all_doomed:
            if doomed.points:
                fault.add_note(f"last words of {doomed.service}:\n{hub.last_words(doomed.service)}")
        raise
    finally:
        for task in meeting:
            task.cancel()
        await asyncio.gather(*meeting, return_exceptions=True)
        for doomed in all_doomed:
            await doomed.spare()
        for doomed in all_doomed:
            await _back(hub, doomed.service)


class _Doomed:
    """A service with the crash points it has still to come to.

    It is held and let go by us: the supervisor's pause grows with every death, as for a program that is ill.
    """

    def __init__(self, hub: Hub, service: str, points: list[tuple[str, int]]) -> None:
        self.service, self.points = service, points
        self._hub = hub
        self._victim = hub.process(service)

    async def order(self) -> None:
        """It knows where to die first."""
        self._hub.layout.held(self.service).touch()
        await self._hub.order(self.service, self._next())

    async def meet(self) -> None:
        """Until it has died everywhere."""
        while self.points:
            while not _is_dead(self._victim):
                await asyncio.sleep(0.02)
            self._died()
            if self.points:  # taken as it starts: what it passes first may be the last of its kind
                self._order_file().write_text(self._next())
            await _let_go(self._hub, self.service)
            if self.points:
                await until(self._has_followed, seconds=60, why=f"{self.service} is started again")
                self._victim = self._hub.process(self.service)
                self._hub.layout.held(self.service).touch()

    async def spare(self) -> None:
        """It comes to no crash point any more, whether it has met all or not."""
        if self.points and _is_dead(self._victim):
            self._died()
        elif self.points and not self._order_file().exists():
            await self._hub.order(self.service, "nowhere:1")
        self._order_file().unlink(missing_ok=True)
        self._hub.layout.held(self.service).unlink(missing_ok=True)

    def _died(self) -> None:
        self._hub.deaths[self.service] += 1
        del self.points[0]

    def _next(self) -> str:
        point, passage = self.points[0]
        return f"{point}:{passage}"

    def _order_file(self) -> Path:
        return self._hub.orders / self.service

    def _has_followed(self) -> bool:
        running = self._hub.running(self.service)
        return running is not None and running.pid != self._victim.pid


async def _let_go(hub: Hub, service: str) -> None:
    """The supervisor may start it again; it has to have seen the death first, or it takes its own time."""
    await asyncio.sleep(SEEN_SECONDS)
    hub.layout.held(service).unlink(missing_ok=True)


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
        await _let_go(hub, service)
        await _back(hub, service)


@asynccontextmanager
async def unlogged(hub: Hub, *services: str) -> AsyncIterator[None]:
    """The volume of their logs is full: each line they write is refused with ENOSPC (`/dev/full`)."""
    logs = [hub.layout.log(service) for service in services]
    async with _anew(hub, services):
        for log in logs:
            log.rename(log.with_suffix(".kept"))
            log.symlink_to("/dev/full")
    try:
        yield
    finally:
        async with _anew(hub, services):
            for log in logs:
                log.unlink()
                log.with_suffix(".kept").rename(log)


@asynccontextmanager
async def _anew(hub: Hub, services: Sequence[str]) -> AsyncIterator[None]:
    """These services are ended; the block runs while none of them does, and they are started again."""
    for service in services:
        hub.deaths[service] += 1
        await asyncio.to_thread(steering.stop, hub.layout, service, None)
    try:
        yield
    finally:
        for service in services:  # all at once: one may ask another before it is ready
            hub.layout.held(service).unlink(missing_ok=True)
        for service in services:
            await asyncio.to_thread(steering.start, hub.layout, service)
        await hub.ready()


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
async def copies(hub: Hub, *services: str) -> AsyncIterator[list[psutil.Process]]:
    """Another copy of each service joins, and leaves in good order."""
    started = [_another(hub, service) for service in services]
    try:
        async with asyncio.timeout(60):
            for service, (child, url) in zip(services, started, strict=True):
                while not await health.is_ready(url):
                    assert child.poll() is None, f"the second {service} ended with {child.poll()}"
                    await asyncio.sleep(0.05)
        yield [psutil.Process(child.pid) for child, _ in started]
    finally:
        for child, _ in started:
            child.terminate()
            child.send_signal(signal.SIGCONT)  # one that stands still hears nothing
        for child, _ in started:
            await asyncio.to_thread(child.wait)
        await hub.ready()


def _another(hub: Hub, service: str) -> tuple[subprocess.Popen[bytes], str]:
    """The second copy's process, and where it will answer."""
    first = hub.process(service)
    port = a_free_port()
    environment = first.environ() | {"HUB_PORT": str(port)}
    with hub.layout.log(f"{service}-second").open("ab") as log:
        child = subprocess.Popen(first.cmdline(), cwd=first.cwd(), env=environment, stdout=log, stderr=log)
    return child, f"http://127.0.0.1:{port}"


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
