"""The database's disk is full (row 16): callers hear 503, and after space nothing is half there and nothing is missing.

Two disks are filled in turn: that of the tables (PostgreSQL refuses what needs a new page) and that of its
write-ahead log (PostgreSQL gives up, and whoever looks after it starts it again and again). Where no file system can be
mounted the tests are skipped and say so.
"""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import asyncpg
import pytest
import pytest_asyncio

from deploy.local import databases, postgres, process
from deploy.local.databases import Urls
from deploy.local.ports import a_free_port
from tests.service.dossier.conftest import Hub, a_filing
from tests.support import servers
from tests.support.database import Templates
from tests.support.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.timeout(240)

SMALL = {"shared_buffers": "32MB", "min_wal_size": "32MB", "max_wal_size": "64MB", "max_connections": "60"}
SECONDS = 90.0
FILINGS, CLIENTS = 60, 6


@dataclass(slots=True)
class Server:
    """A PostgreSQL with a small disk, and somebody who starts it again when it has ended."""

    cluster: postgres.Cluster
    disk: SmallDisk
    log: Path
    child: Popen[bytes] | None = None

    def start(self) -> None:
        """Does not wait for it."""
        self.child = process.spawn(self.cluster.program, self.log, str(self.log.parent))

    async def ready(self) -> None:
        """It answers."""
        async with asyncio.timeout(SECONDS):
            while not await databases.answers(self.cluster.admin_url):
                await asyncio.sleep(0.1)

    @asynccontextmanager
    async def looked_after(self) -> AsyncIterator[None]:
        """Started again while the block runs."""

        async def look() -> None:
            while True:
                if self.child is None or self.child.poll() is not None:
                    self.start()
                await asyncio.sleep(0.5)

        looking = asyncio.create_task(look())
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    def stop(self) -> None:
        """In good order."""
        if self.child is not None:
            process.wait_gone(self.child, self.cluster.program)


@pytest_asyncio.fixture(params=["tables", "log"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    with servers.folder() as folder:
        (folder / "small").mkdir()
        with small_disk(folder / "small", 320) as disk:
            homes = {"tables": (disk.path, folder), "log": (folder, disk.path)}
            tables, log = homes[request.param]
            cluster = postgres.prepare(tables / "postgres", a_free_port(), "test", SMALL)
            _move_the_log(cluster, log / "wal")
            made = Server(cluster, disk, folder / "postgres.log")
            made.start()
            try:
                await made.ready()
                yield made
            finally:
                made.stop()
                postgres.erase(tables / "postgres")


def _move_the_log(cluster: postgres.Cluster, wal: Path) -> None:
    """The write-ahead log stands there from now on."""
    inside = cluster.data / "pg_wal"
    shutil.copytree(inside, wal)
    owner = inside.stat()
    for path in (wal, *wal.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    wal.chmod(0o700)
    shutil.rmtree(inside)
    inside.symlink_to(wal)


@pytest_asyncio.fixture
async def service_database(server: Server) -> Callable[..., Awaitable[Urls]]:
    """In place of the session's: on the small disk."""
    return Templates(server.cluster.admin_url).copy


@dataclass(slots=True)
class Clients:
    """They file, each filing under its own key until it is acknowledged."""

    hub: Hub
    answers: Counter[int] = field(default_factory=Counter)
    strange: list[str] = field(default_factory=list)
    acknowledged: dict[str, set[str]] = field(default_factory=dict)
    """Key → the codes that it was acknowledged with."""

    async def file(self, keys: list[str]) -> None:
        """All of them, some at a time."""
        left = iter(keys)

        async def one_after_the_other() -> None:
            for key in left:
                while not await self._filed(key):
                    await asyncio.sleep(0.05)

        await asyncio.gather(*(one_after_the_other() for _ in range(CLIENTS)))

    async def file_until(self, is_enough: Callable[[], bool]) -> None:
        """Always new ones."""
        async with asyncio.timeout(SECONDS):
            while not is_enough():
                new = [f"more-{len(self.acknowledged)}-{n}-{sum(self.answers.values())}" for n in range(CLIENTS)]
                await asyncio.gather(*(self._filed(key) for key in new))

    async def _filed(self, key: str) -> bool:
        answer = await self.hub.post("/v1/dossiers", a_filing(), role="portal", key=key)
        self.answers[answer.status_code] += 1
        if answer.status_code == 201:
            self.acknowledged.setdefault(key, set()).add(answer.json()["code"])
        elif answer.status_code != 503 or not answer.headers.get("retry-after"):
            self.strange.append(f"{answer.status_code} {answer.text[:300]}")
        return answer.status_code == 201


async def test_a_full_disk_is_503_and_afterwards_nothing_is_half_there(server: Server, hub: Hub) -> None:
    clients = Clients(hub)
    await clients.file([f"before-{n}" for n in range(FILINGS)])
    assert clients.answers == {201: FILINGS}
    async with server.looked_after():
        async with server.disk.full():
            switching = asyncio.create_task(_use_up_the_log(server.cluster.admin_url))
            await clients.file_until(lambda: clients.answers[503] >= 10 * CLIENTS)
            switching.cancel()
            during = asyncio.create_task(clients.file([f"during-{n}" for n in range(FILINGS)]))
        assert "No space left on device" in server.log.read_text(errors="replace")
        async with asyncio.timeout(SECONDS):
            await during
        await server.ready()
        assert clients.strange == []
        await everything_accepted_is_there(hub, clients)


async def everything_accepted_is_there(hub: Hub, clients: Clients) -> None:
    """As many of each kind of row as of acknowledged filings; a filing whose answer was lost may be there, too."""
    async with asyncio.timeout(SECONDS):
        while (await hub.rows("SELECT count(*) AS left FROM outbox"))[0]["left"]:
            await asyncio.sleep(0.1)
    codes = {row["code"] for row in await hub.rows("SELECT code FROM dossier")}
    for codes_of_one in clients.acknowledged.values():
        assert len(codes_of_one) == 1, "two dossiers under one key"
    acknowledged = set().union(*clients.acknowledged.values())
    assert acknowledged <= codes
    assert len(clients.acknowledged) == len(acknowledged)
    whole = [(code, 1) for code in sorted(codes)]
    for rows in (
        "SELECT code, count(*) AS n FROM transition GROUP BY code ORDER BY code",
        "SELECT key AS code, count(DISTINCT event_id) AS n FROM outbox_published GROUP BY key ORDER BY key",
        "SELECT answer::jsonb->>'code' AS code, count(*) AS n FROM idempotency GROUP BY 1 ORDER BY 1",
    ):
        assert sorted((row["code"], row["n"]) for row in await hub.rows(rows)) == whole, rows


async def _use_up_the_log(admin_url: str) -> None:
    """Segments that were kept for later are used at once: a log that need not grow does not meet the full disk."""
    while True:
        try:
            connection = await asyncpg.connect(admin_url, timeout=2)
            try:
                while True:
                    await connection.execute("SELECT pg_switch_wal()")
                    await asyncio.sleep(0.05)
            finally:
                connection.terminate()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await asyncio.sleep(0.2)
