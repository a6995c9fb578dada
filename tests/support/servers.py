"""A PostgreSQL and a Kafka of the test run's own, ended with it; or the ones the environment names."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import broker, databases, postgres, process, topics
from deploy.local.ports import a_free_port
from deploy.local.problem import StackError

# The tests make and drop many small databases: less memory, and checkpoints that do not get in the way.
TEST_SETTINGS = {"shared_buffers": "256MB", "max_connections": "400", "max_wal_size": "2GB"}


# Taken out of the environment: the services under test refuse settings that they do not know.
GIVEN = {name: os.environ.pop(name, None) for name in ("HUB_POSTGRES_URL", "HUB_KAFKA_BOOTSTRAP")}


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that also an unprivileged PostgreSQL can reach, removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="lgsp-test-"))
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
