"""Something between us and PostgreSQL (a firewall, a failover of its address) forgets connections without a word."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import pytest

from deploy.local.databases import Urls
from shared import db, direct, outbox
from shared.clock import now
from shared.db import Database, DatabaseUnavailable
from shared.direct import Direct
from shared.events import new_event
from shared.kafka import Kafka
from shared.outbox import Relay

TOPIC = "lgsp.identity"
SECONDS = 2.0
"""So long an answer is waited for here."""


class Middlebox:
    """Carries connections to one address; those it has forgotten stay open, and nothing passes through them."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._forgotten = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0
        self.url = ""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Middlebox"]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = self._target._replace(netloc=f"{self._target.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl()
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def forget(self) -> None:
        self._forgotten = self.accepted

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        number = self.accepted
        there_reader, there_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(self._pump(number, source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, number: int, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            try:
                while chunk := await source.read(65_536):
                    if number > self._forgotten:
                        sink.write(chunk)
                        await sink.drain()
            finally:
                sink.close()


@pytest.fixture
async def urls(service_database: Callable[[str], Awaitable[Urls]]) -> Urls:
    return await service_database("noted")


@pytest.fixture
async def middlebox(urls: Urls, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Middlebox]:
    for module in (db, direct, outbox):
        monkeypatch.setattr(module, "ANSWER_SECONDS", SECONDS)
    async with Middlebox(urls.system).open() as box:
        yield box


async def passes(ask: Callable[[], Awaitable[None]]) -> None:
    """Within a minute; on a busy machine an answer may take longer than is waited for here."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(DatabaseUnavailable):
                return await ask()


async def test_a_forgotten_connection_of_the_pool_costs_one_request_and_not_its_place(middlebox: Middlebox) -> None:
    database = Database(middlebox.url, pool_size=1)
    await passes(database.ping)
    middlebox.forget()
    async with asyncio.timeout(60):
        with pytest.raises(DatabaseUnavailable):
            await database.ping()
    await passes(database.ping)
    await database.close()


async def test_a_forgotten_lane_costs_one_request_and_not_its_place(middlebox: Middlebox) -> None:
    lanes = Direct(middlebox.url, size=1, wake=asyncio.Event())

    async def ask() -> None:
        await lanes.execute(["*"], "SELECT 1")

    await passes(ask)
    middlebox.forget()
    async with asyncio.timeout(60):
        with pytest.raises(DatabaseUnavailable):
            await ask()
    await passes(ask)
    await lanes.close()


async def test_a_relay_whose_connection_is_forgotten_takes_another(
    middlebox: Middlebox, urls: Urls, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    database = Database(urls.system, pool_size=1)
    relay = Relay(middlebox.url, Kafka(kafka_bootstrap, kafka_prefix), database.wake)

    async def is_carried(text: str) -> None:
        async with database.transaction() as tx:
            await outbox.publish(tx, TOPIC, [new_event("/lgsp/test", "vn.lgsp.test.noted.v1", text, now(), {})])
        while True:
            async with database.reading() as rx:
                if not await rx.value("SELECT count(*) FROM outbox"):
                    return
            await asyncio.sleep(0.05)

    relay.start()
    try:
        async with asyncio.timeout(60):
            await is_carried("first")
        middlebox.forget()
        async with asyncio.timeout(60):
            await is_carried("second")
    finally:
        await relay.stop()
        await database.close()
