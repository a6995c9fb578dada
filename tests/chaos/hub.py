"""The stack under test: where it is, which process is which, and whether it is well."""

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx2
import psutil

from deploy.local import health, process
from deploy.local.layout import Layout
from sandbox import replay_stack
from sandbox.faults import PORTALS_OWN
from tests.support.stack import Stack

SERVICES = ("gateway", "dossier", "payment", "citizen-db-adapter", "sync-national", "console")
# Production waits for minutes where a test can only wait for seconds.
_SETTINGS = (
    *(
        f"{service}:HUB_RECEIPT_{which}_SECONDS=2"
        for service in ("gateway", "dossier", "payment", "citizen-db-adapter", "sync-national")
        for which in ("AFTER", "EVERY")
    ),
    *(f"{service}:HUB_KAFKA_SESSION_SECONDS=3" for service in SERVICES),
    "gateway:HUB_RECOVER_AFTER_SECONDS=3",
    "gateway:HUB_RECOVER_EVERY_SECONDS=1",
    "citizen-db-adapter:HUB_REGISTER_DEADLINE_SECONDS=1",
    "citizen-db-adapter:HUB_REGISTER_BREAKER_OPEN_SECONDS=1",
    "citizen-db-adapter:HUB_ASK_LEASE_SECONDS=3",
    "citizen-db-adapter:HUB_ASK_LONGEST_RETRY_SECONDS=1",
    "payment:HUB_PLATFORM_DEADLINE_SECONDS=1",
    "payment:HUB_PLATFORM_BREAKER_OPEN_SECONDS=1",
    "payment:HUB_INIT_LEASE_SECONDS=3",
    "payment:HUB_INIT_LONGEST_RETRY_SECONDS=1",
    "payment:HUB_QUERY_AFTER_SECONDS=3",
    "payment:HUB_QUERY_EVERY_SECONDS=1",
    "payment:HUB_QUERY_LONGEST_SECONDS=3",
    "sync-national:HUB_PORTAL_TIMEOUT_SECONDS=1",
    "sync-national:HUB_PORTAL_SETTLE_SECONDS=12",  # the slowest portal of these tests executes after 10
    "sync-national:HUB_PORTAL_BREAKER_OPEN_SECONDS=1",
    "sync-national:HUB_SYNC_LEASE_SECONDS=3",
    "sync-national:HUB_SYNC_FIRST_RETRY_SECONDS=0.2",
    "sync-national:HUB_SYNC_LONGEST_RETRY_SECONDS=1",
    "sandbox:HUB_CALLBACK_TIMEOUT_SECONDS=2",
)


def settings(orders: Path) -> list[str]:
    """Of the stack under test; its services take orders to die at a crash point from files in `orders`."""
    return [*_SETTINGS, *(f"{service}:HUB_CRASH=@{orders / service}" for service in SERVICES)]


@dataclass(frozen=True, slots=True)
class Hub:
    """One running stack."""

    stack: Stack
    urls: dict[str, str]
    described: replay_stack.Stack
    orders: Path
    """Folder of the orders to die: one file for each service."""
    deaths: Counter[str]
    """How often each program was ended by a fault; it must not have ended more often."""

    @classmethod
    def of(cls, stack: Stack, orders: Path) -> "Hub":
        """Reads what the stack says about itself."""
        described = replay_stack.beside(stack.folder / "clients.json")
        assert described is not None
        urls = json.loads((stack.folder / "stack.json").read_text())["services"]
        return cls(stack, urls, described, orders, Counter())

    @property
    def folder(self) -> Path:
        return self.stack.folder

    @property
    def layout(self) -> Layout:
        return Layout(self.folder)

    @property
    def gateway(self) -> str:
        return self.stack.gateway

    @property
    def sandbox(self) -> str:
        return self.stack.sandbox

    def running(self, name: str) -> psutil.Process | None:
        """The program's process, if it lives."""
        return process.recall(self.layout.pid_file(name))

    def process(self, name: str) -> psutil.Process:
        """The program's process, which must live."""
        found = self.running(name)
        assert found is not None, f"{name} does not run"
        return found

    def last_words(self, name: str, lines: int = 40) -> str:
        """The end of the program's log: the folder is gone when somebody reads that a test failed."""
        return "\n".join(self.layout.log(name).read_text(errors="replace").splitlines()[-lines:])

    def restarts(self) -> Counter[str]:
        """How often the supervisor has started each program again."""
        programs = json.loads((self.folder / "state.json").read_text())["programs"]
        return +Counter({name: int(program["restarts"]) for name, program in programs.items()})

    async def order(self, service: str, crash: str) -> None:
        """Tell a service where to die: `point:passage`; it has taken the order when this returns."""
        path = self.orders / service
        path.write_text(crash)
        self.process(service).send_signal(signal.SIGUSR2)
        await until(lambda: not path.exists(), seconds=20, why=f"{service} takes the order {crash}")

    async def ready(self) -> None:
        """Every service says that it and what it needs is there."""
        async with asyncio.timeout(60):
            for url in self.urls.values():
                while not await health.is_ready(url):
                    await asyncio.sleep(0.05)

    async def asked(self, path: str, headers: dict[str, str]) -> tuple[int, float]:
        """Status and seconds of one GET through the gateway, by an impatient caller."""
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
            began = time.monotonic()
            answer = await client.get(self.gateway + path, headers=headers)
            return answer.status_code, time.monotonic() - began

    async def at_the_portal(self) -> int:
        """How many dossiers the portal holds."""
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
            return int((await client.get(f"{self.sandbox}/_sandbox/counts")).json()["portal"]["dossiers"])

    async def calls(self, system: str, mode: str) -> float:
        """How often one of the nation's systems has been called in this mode."""
        mode = "normal" if mode in PORTALS_OWN else mode  # those it judges itself, in calls that count as normal
        return await self.metric(self.sandbox, f'sandbox_calls_total{{mode="{mode}",system="{system}"}}')

    async def metric(self, url: str, name: str) -> float:
        """Sum of a service's series whose names begin so."""
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
            told = (await client.get(f"{url}/metrics")).text
        return sum(float(line.rpartition(" ")[2]) for line in told.splitlines() if line.startswith(name))

    async def rows(self, package: str, query: str, *values: object) -> list[asyncpg.Record]:
        """What a service's own database holds."""
        connection = await asyncpg.connect(self.described.postgres[package])
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()

    async def control(self, path: str, body: object) -> None:
        """An order to the sandbox."""
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
            answer = await client.post(self.sandbox + path, json=body)
            assert answer.status_code == 200, answer.text


async def until(what: Callable[[], object], *, seconds: float, why: str) -> None:
    """Waits for something to become true."""
    try:
        async with asyncio.timeout(seconds):
            while not what():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"did not come within {seconds:.0f} s: {why}") from None
