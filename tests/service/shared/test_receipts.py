"""A broker that loses acknowledged records loses nothing: what readers never saw is published again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from deploy.local.databases import Urls
from deploy.local.ports import a_free_port
from shared import outbox, service
from shared.auth import JwksSource
from shared.clock import now
from shared.db import Database, Transaction
from shared.errors import HubError
from shared.events import Event, new_event
from shared.inbox import Park
from shared.receipts import ReceiptCheck
from shared.settings import ServiceSettings
from tests.support.tokens import TokenIssuer

TOPIC = "lgsp.identity"


async def _note(tx: Transaction, batch: Sequence[Event]) -> Sequence[Park]:
    for event in batch:
        await tx.execute("INSERT INTO note (agency_code, key) VALUES ('H08', :key)", key=event.subject)
    return []


@dataclass(slots=True)
class ReadingService:
    """A service that reads the topic and relays its own outbox."""

    url: str
    urls: Urls
    database: Database
    issuer: TokenIssuer

    @asynccontextmanager
    async def checked_by(self, *urls: str) -> AsyncIterator[ReceiptCheck]:
        """The receipt check of its own events."""
        check = ReceiptCheck(self.database, {TOPIC: urls}, self.issuer.internal_authorization, after_seconds=0.0)
        try:
            yield check
        finally:
            await check.close()

    async def publish(self, count: int) -> list[str]:
        """So many events, of a key each; their ids, once all have had their effect."""
        events = [new_event("/lgsp/noted", "vn.lgsp.test.noted.v1", f"k{n}", now(), {}) for n in range(count)]
        async with self.database.transaction() as tx:
            await outbox.publish(tx, TOPIC, events)
        await _until_noted(self.database, count)
        return [event.id for event in events]

    async def lose(self, ids: Sequence[str]) -> None:
        """The reader has no trace of them, the publisher's row says published."""
        async with self.database.transaction() as tx:
            await tx.execute("DELETE FROM inbox WHERE event_id = ANY(CAST(:ids AS text[]))", ids=ids)


@pytest.fixture
async def reading(
    service_database: Callable[[str], Awaitable[Urls]],
    kafka_bootstrap: str,
    kafka_prefix: str,
    token_issuer: TokenIssuer,
    served: Callable[..., Awaitable[str]],
) -> AsyncIterator[ReadingService]:
    urls = await service_database("noted")
    settings = ServiceSettings(
        database_api_url=SecretStr(urls.api),
        database_system_url=SecretStr(urls.system),
        kafka_bootstrap=kafka_bootstrap,
        kafka_prefix=kafka_prefix,
        gateway_url=token_issuer.issuer,
    )

    @asynccontextmanager
    async def opening(app: FastAPI) -> AsyncIterator[None]:
        runtime = service.Runtime("noted", settings, jwks=JwksSource.of(token_issuer.jwks))
        runtime.read(TOPIC, _note)
        async with runtime.running(app):
            yield

    url = await served(service.create("noted", [], opening))
    database = Database(urls.system, pool_size=3)
    yield ReadingService(url, urls, database, token_issuer)
    await database.close()


async def test_what_a_reader_never_saw_is_published_again(reading: ReadingService) -> None:
    await reading.lose((await reading.publish(10))[3:6])
    async with reading.checked_by(reading.url) as check:
        async with asyncio.timeout(60):
            while not await _checked(check):
                await asyncio.sleep(0.1)
        await _until_noted(reading.database, 13)
        async with reading.database.reading() as rx:
            assert await rx.value("SELECT count(*) FROM inbox") == 10
        await check.step()
        await _until_noted(reading.database, 13)


async def test_a_reader_that_is_away_keeps_nothing_from_the_others(reading: ReadingService) -> None:
    """They are asked one after the other, and the first does not answer."""
    await reading.lose((await reading.publish(10))[3:6])
    async with reading.checked_by(f"http://127.0.0.1:{a_free_port()}", reading.url) as check:
        async with asyncio.timeout(60):
            while not await _checked(check):
                await asyncio.sleep(0.1)
        await _until_noted(reading.database, 13)


async def test_an_event_from_before_the_clock_went_back_is_not_passed_by(reading: ReadingService) -> None:
    """Its publication lies ahead of the present, that of later ones does not."""
    ids = await reading.publish(10)
    await reading.lose([ids[4]])
    await _published_at(reading, ids[4], hours=1)
    async with reading.checked_by(reading.url) as check:
        async with asyncio.timeout(60):
            while await _confirmed(reading) < 4:
                await _checked(check)
                await asyncio.sleep(0.1)
        assert await _checked(check) == 0, "it waits for the clock"
        await _published_at(reading, ids[4], hours=-1)
        async with asyncio.timeout(60):
            while await _confirmed(reading) < 10:
                await _checked(check)
                await asyncio.sleep(0.1)
        await _until_noted(reading.database, 11)


async def _published_at(reading: ReadingService, event_id: str, hours: int) -> None:
    owner = await asyncpg.connect(reading.urls.owner)
    try:
        moved = (
            "UPDATE outbox_published SET published_at = published_at + make_interval(hours => $2) WHERE event_id = $1"
        )
        await owner.execute(moved, event_id, hours)
    finally:
        await owner.close()


async def _confirmed(reading: ReadingService) -> int:
    """How many of the first events the reader has confirmed."""
    async with reading.database.reading() as rx:
        return int(await rx.value("SELECT coalesce(max(number), 0) FROM receipt"))


async def _checked(check: ReceiptCheck) -> int:
    """0 while the reader says that it is still behind."""
    try:
        return await check.step()
    except HubError:
        return 0


async def _until_noted(database: Database, count: int) -> None:
    async with asyncio.timeout(60):
        while True:
            async with database.reading() as rx:
                if await rx.value("SELECT count(*) FROM note") == count:
                    return
            await asyncio.sleep(0.05)
