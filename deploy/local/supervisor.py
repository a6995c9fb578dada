"""The process that starts the stack and keeps it alive.

```
clear leftovers → check the machine → keys → postgres: databases, roles, migrations | kafka: topics
  → services, `gateway bootstrap`, `dossier seed` → everything ready → watch until told to stop → stop in
  reverse
```
It may be killed at any time: what it started goes on, and the next one finds it, ends it and starts anew.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import IO, Any

from deploy.local import checks, databases, health, keys, ports, postgres, process, steering, topics
from deploy.local.layout import Layout, write_json
from deploy.local.problem import StackError
from deploy.local.process import Program
from deploy.local.services import SERVICES, WITH_DATABASE, Service
from deploy.local.stack import KAFKA, POSTGRES, ROOT, Stack, plan
from deploy.local.supervised import Supervised

log = logging.getLogger("deploy.local")

READY_SECONDS = 120.0
# Commands run once the databases are there: what they make is there already when they run again.
FIRST_COMMANDS = {
    "gateway": ("bootstrap", "--clients", "{folder}/clients.json", "--operators", "{folder}/operators.json"),
    "dossier": ("seed",),
}


class Supervisor:
    """Runs one stack until it is told to stop."""

    def __init__(self, layout: Layout, *, free_ports: bool, only: Sequence[str], settings: Sequence[str] = ()) -> None:
        """Nothing happens yet."""
        self._layout = layout
        self._free_ports = free_ports
        self._only = only
        self._settings = settings
        self._programs: list[Supervised] = []
        self._written: dict[str, Any] = {}
        self._told_to_stop = asyncio.Event()

    async def run(self) -> int:
        """Starts, watches, stops. The exit code: 0 when it was stopped, 1 when it could not start."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._told_to_stop.set)
        with claim(self._layout):
            starting = asyncio.create_task(self._start())
            stopping = asyncio.create_task(self._told_to_stop.wait())
            await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
            problem = None
            if starting.done() and starting.exception() is None:
                await self._watch(stopping)
            elif starting.done():
                problem = _sentence(starting.exception())
            else:
                starting.cancel()
                await asyncio.wait([starting])
            stopping.cancel()
            await self._stop()
            self._write("stopped" if problem is None else "failed", problem)
            return 0 if problem is None else 1

    async def _start(self) -> None:
        self._say("clearing what an earlier run left")
        await asyncio.to_thread(clear_leftovers, self._layout)
        steering.forget(self._layout)
        stack = plan(self._layout, free_ports=self._free_ports, only=self._only, settings=self._settings)
        checks.disk(self._layout.folder)
        if KAFKA in stack.runs:
            checks.java()
            checks.maven()
        ports.require_free(stack.own_ports)
        keys.make_all(self._layout.secrets, [service.name for service in WITH_DATABASE])
        self._say("starting PostgreSQL and Kafka")
        self._programs = stack.infrastructure()
        databases_made = self._server_then(POSTGRES, self._make_databases(stack))
        await _all([databases_made, self._server_then(KAFKA, _make_topics(stack))])
        if stack.services:
            self._say("starting the services")
            services = [stack.supervised(service) for service in stack.services]
            self._programs += services
            commands = [self._command(stack, service) for service in stack.services if service.name in FIRST_COMMANDS]
            await _all([*(program.start() for program in services), *commands])
            self._say("waiting until all are ready")
            await self._until_ready(stack)
        write_json(self._layout.folder / "stack.json", stack.description(), keys.OWNER_ONLY)
        self._say("ready")

    async def _server_then(self, name: str, then: Coroutine[Any, Any, None]) -> None:
        """Starts PostgreSQL or Kafka, where it is ours, and makes in it what the services need."""
        try:
            await _all(program.start() for program in self._programs if program.name == name)
        except BaseException:
            then.close()
            raise
        await then

    async def _make_databases(self, stack: Stack) -> None:
        """Databases, roles and tables of the services that have any; one migration after the other."""
        from shared.migrating import upgrade  # noqa: PLC0415  # half a second that `down` does not need

        for service in stack.services:
            if service.has_database:
                urls = await databases.provision(stack.admin_url, service.package)
                await asyncio.to_thread(upgrade, service.package, urls.owner)

    async def _command(self, stack: Stack, service: Service) -> None:
        """Runs a service's first command to its end."""
        arguments = [part.format(folder=self._layout.folder) for part in FIRST_COMMANDS[service.name]]
        name = f"{service.name}-{arguments[0]}"
        command = [sys.executable, "-m", service.package, *arguments]
        log_file = self._layout.log(name)
        program = Program(name, command, ROOT, stack.environment(service))
        child = await asyncio.to_thread(process.spawn, program, log_file, self._layout.marker)
        while (code := child.poll()) is None:
            await asyncio.sleep(0.05)
        if code != 0:
            words = (log_file.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
            raise StackError(f"`python -m {service.package} {arguments[0]}` failed ({words[:300]}): see {log_file}.")

    async def _until_ready(self, stack: Stack) -> None:
        deadline = time.monotonic() + READY_SECONDS
        waiting = {service.name: stack.url(service) for service in stack.services}
        while waiting:
            for name, url in list(waiting.items()):
                if await health.is_ready(url):
                    del waiting[name]
            if waiting and time.monotonic() > deadline:
                raise StackError(f"Not ready after {READY_SECONDS:.0f} s: {', '.join(waiting)}; see their logs.")
            await asyncio.sleep(0.1 if waiting else 0)

    async def _watch(self, stopping: "asyncio.Task[Any]") -> None:
        """Keeps every program alive, and tells `status` about it, until told to stop."""
        tasks = [asyncio.create_task(program.watch()) for program in self._programs]
        tasks.append(asyncio.create_task(self._report()))
        finished, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in finished - {stopping}:  # none ends but by a mistake of ours: then all stops, visibly
            log.error("the supervisor failed", exc_info=task.exception())
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def _report(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # a full disk must not end the supervisor
                self._write("ready", None)
            await asyncio.sleep(1.0)

    async def _stop(self) -> None:
        """Services first, then the servers they use."""
        self._say("stopping")
        servers = [program for program in self._programs if program.name in (POSTGRES, KAFKA)]
        await _all(program.stop() for program in self._programs if program not in servers)
        await _all(program.stop() for program in servers)
        await asyncio.to_thread(clear_leftovers, self._layout)

    def _say(self, phase: str) -> None:
        log.info("%s", phase)
        self._write(phase, None)

    def _write(self, phase: str, problem: str | None) -> None:
        programs = {
            program.name: {"state": program.state, "pid": program.pid, "restarts": program.restarts}
            for program in self._programs
        }
        state = {"supervisor": os.getpid(), "phase": phase, "problem": problem, "programs": programs}
        if state == self._written:
            return
        with contextlib.suppress(OSError) if phase in ("ready", "stopping") else contextlib.nullcontext():
            write_json(self._layout.state, state)
            self._written = state


@contextlib.contextmanager
def claim(layout: Layout) -> Iterator[None]:
    """Makes this process the folder's only supervisor for as long as it lives."""
    file: IO[bytes] = layout.lock.open("ab")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"A stack already runs in {layout.folder}: `make down` stops it.") from None
        process.remember(layout.pid_file("supervisor"), os.getpid())
        yield


def clear_leftovers(layout: Layout) -> None:
    """Ends everything an earlier run in this folder left alive: services first, PostgreSQL by its own
    rules.
    """
    names = [service.name for service in SERVICES] + [KAFKA]
    found = {each.pid: each for each in process.leftovers(layout.marker) if not each.name().startswith("postgres")}
    for name in names:
        known = process.recall(layout.pid_file(name))
        if known is not None:
            found[known.pid] = known
    process.end(list(found.values()), signal.SIGTERM, 15)
    for home in postgres.homes(layout.folder / POSTGRES):
        postgres.end_leftovers(home / "data")


async def _make_topics(stack: Stack) -> None:
    """The five topics, when there are services to use them."""
    if stack.services:
        await topics.create(stack.kafka)


async def _all(jobs: Iterable[Any]) -> None:
    """All at once; the first failure is raised when the others are through."""
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def _sentence(problem: BaseException | None) -> str:
    """What to tell whoever started the stack."""
    if isinstance(problem, StackError):
        return str(problem)
    log.error("the stack could not start", exc_info=problem)
    if isinstance(problem, OSError):
        return str(checks.worded(problem))
    return f"The stack could not start ({type(problem).__name__}: {problem}): see logs/supervisor.log."
