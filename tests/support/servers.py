"""A PostgreSQL and a Kafka of the test run's own, ended with it; or the ones the environment names."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from deploy.local import broker, databases, postgres, process, topics
from deploy.local.ports import a_free_port
from deploy.local.problem import StackError

# The tests make and drop many small databases: less memory, and no more of the log than a few of them need.
TEST_SETTINGS = {
    "shared_buffers": "256MB",
    "max_connections": "400",
    "min_wal_size": "128MB",
    "max_wal_size": "512MB",
    # A password costs 4,096 rounds of its hash whenever a role gets it or a client sends it: each test does both.
    "scram_iterations": "1",
}

# Where a file system in memory stands on Linux, and how much has to be free of it and of the memory itself. A folder of
# our own is made in it.
IN_MEMORY, ROOM_BYTES = Path("/dev/shm"), 4 << 30


# Taken out of the environment: the services under test refuse settings that they do not know.
GIVEN = {name: os.environ.pop(name, None) for name in ("HUB_POSTGRES_URL", "HUB_KAFKA_BOOTSTRAP")}


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that also an unprivileged PostgreSQL can reach, removed at the end; in memory where there is room.

    Each test has a database and topics of its own: a thousand small files made and removed again. ext4 looks at every
    inode removed lately before it gives one out: half a second of the processor for each test.
    """
    path = Path(tempfile.mkdtemp(prefix="lgsp-test-", dir=IN_MEMORY if _has_room_in_memory() else None))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def a_postgres(home: Path, port: int | None = None) -> Iterator[str]:
    """The administrator's URL of HUB_POSTGRES_URL's server, or of a private one under `home`."""
    given = GIVEN["HUB_POSTGRES_URL"]
    if given:
        yield given
        return
    cluster = postgres.prepare(home / "postgres", port or a_free_port(), "test", TEST_SETTINGS)
    with _running(cluster.program, home, lambda: asyncio.run(databases.answers(cluster.admin_url))):
        yield cluster.admin_url


@contextmanager
def a_kafka(home: Path) -> Iterator[str]:
    """The bootstrap address of HUB_KAFKA_BOOTSTRAP, or of a private broker under `home`."""
    given = GIVEN["HUB_KAFKA_BOOTSTRAP"]
    if given:
        yield given
        return
    one = broker.prepare(home / "kafka", a_free_port(), a_free_port())
    with _running(one.program, home, lambda: asyncio.run(topics.answers(one.bootstrap))):
        yield one.bootstrap


def _has_room_in_memory() -> bool:
    """Whether programs may be run from there, too: a copy of PostgreSQL's stands beside its data at times."""
    if not IN_MEMORY.is_dir():
        return False
    disk = os.statvfs(IN_MEMORY)
    free = min(disk.f_bavail * disk.f_frsize, psutil.virtual_memory().available)
    return free >= ROOM_BYTES and not disk.f_flag & os.ST_NOEXEC


@contextmanager
def _running(program: process.Program, home: Path, ready: process.Question) -> Iterator[None]:
    log = home / f"{program.name}.log"
    child = process.spawn(program, log, str(home))
    try:
        if not process.until(ready, child, seconds=60):
            raise StackError(f"{program.name} did not start: {log.read_text(errors='replace')[-2000:]}")
        yield
    finally:
        process.wait_gone(child, program)
