"""A broker that loses acknowledged records loses nothing: what readers never saw is published again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from deploy.local.databases import Urls
from shared import outbox, service
from shared.auth import JwksSource
from shared.clock import now
from shared.db import Database, Transaction
from shared.events import Event, new_event
from shared.inbox import Park
from shared.receipts import ReceiptCheck
from shared.settings import ServiceSettings
from tests.support.tokens import TokenIssuer

TOPIC = "lgsp.identity"


class _Token:
    """Signs as the gateway would."""

    def __init__(self, issuer: TokenIssuer) -> None:
        self._issuer = issuer

    async def header(self) -> dict[str, str]:
        return self._issuer.internal_headers()


async def _note(tx: Transaction, batch: Sequence[Event]) -> Sequence[Park]:
    for event in batch:
        await tx.execute("INSERT INTO note (agency_code, key) VALUES ('H08', :key)", key=event.subject)
    return []


@pytest.fixture
async def reading_service(
    service_database: Callable[[str], Awaitable[Urls]],
    kafka_bootstrap: str,
    kafka_prefix: str,
    token_issuer: TokenIssuer,
    served: Callable[..., Awaitable[str]],
) -> tuple[str, str]:
    """A service that reads the topic and relays its own outbox: its URL and its database."""
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

    return await served(service.create("noted", [], opening)), urls.system


async def test_what_a_reader_never_saw_is_published_again(
    reading_service: tuple[str, str], token_issuer: TokenIssuer
) -> None:
    url, system_url = reading_service
    database = Database(system_url, pool_size=3)
    events = [new_event("/lgsp/noted", "vn.lgsp.test.noted.v1", f"k{n}", now(), {}) for n in range(10)]
    async with database.transaction() as tx:
        await outbox.publish(tx, TOPIC, events)
    await _until_noted(database, 10)
    # The broker "loses" three: the reader has no trace of them, the publisher's row says published.
    lost = [event.id for event in events[3:6]]
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM inbox WHERE event_id = ANY(CAST(:ids AS text[]))", ids=lost)
    check = ReceiptCheck(database, {TOPIC: [url]}, _Token(token_issuer), after_seconds=0.0)  # type: ignore[arg-type]
    async with asyncio.timeout(15):
        while not await _checked(check):
            await asyncio.sleep(0.1)
    await _until_noted(database, 13)
    async with database.reading() as rx:
        assert await rx.value("SELECT count(*) FROM inbox") == 10
    await check.step()
    await _until_noted(database, 13)
    await check.close()
    await database.close()


async def _checked(check: ReceiptCheck) -> int:
    """0 while the reader says that it is still behind."""
    from shared.errors import UpstreamInvalid

    try:
        return await check.step()
    except UpstreamInvalid:
        return 0


async def _until_noted(database: Database, count: int) -> None:
    async with asyncio.timeout(15):
        while True:
            async with database.reading() as rx:
                if await rx.value("SELECT count(*) FROM note") == count:
                    return
            await asyncio.sleep(0.05)
