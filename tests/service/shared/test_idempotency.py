"""A repeated key gets the first answer; a concurrent one waits; another body or client is told apart."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from deploy.local.databases import Urls
from shared import idempotency
from shared.db import Database
from shared.errors import InvalidRequest
from shared.idempotency import IdempotencyKeyReused, RequestInProgress, Stored


@pytest_asyncio.fixture
async def database(service_database: Callable[[str], Awaitable[Urls]]) -> AsyncIterator[Database]:
    base = Database((await service_database("noted")).api, pool_size=5)
    yield base
    await base.close()


async def answered(database: Database, key: str, body: str, client: str = "portal") -> Stored | None:
    async with database.transaction() as tx:
        stored = await idempotency.claim(tx, client, key, body)
        if stored is None:
            await idempotency.keep(tx, client, key, 201, b'{"code":1}', {"Location": "/v1/x"})
        return stored


async def test_the_first_answer_comes_again(database: Database) -> None:
    assert await answered(database, "k", "a") is None
    assert await answered(database, "k", "a") == Stored(201, b'{"code":1}', {"Location": "/v1/x"})


async def test_another_body_is_refused_and_another_client_is_not_concerned(database: Database) -> None:
    assert await answered(database, "k", "a") is None
    with pytest.raises(IdempotencyKeyReused):
        await answered(database, "k", "b")
    assert await answered(database, "k", "b", client="desk") is None


async def test_a_refused_request_leaves_its_key_free(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            await idempotency.claim(tx, "portal", "k", "a")
            raise ZeroDivisionError
    assert await answered(database, "k", "b") is None


async def test_a_concurrent_repeat_waits_for_the_first(database: Database) -> None:
    async with database.transaction() as tx:
        assert await idempotency.claim(tx, "portal", "k", "a") is None
        second = asyncio.create_task(answered(database, "k", "a"))
        await asyncio.sleep(0.2)
        assert not second.done()
        await idempotency.keep(tx, "portal", "k", 201, b"first")
    stored = await second
    assert stored is not None
    assert stored.body == b"first"


async def test_after_two_seconds_it_is_told_to_come_back(database: Database) -> None:
    async with database.transaction() as tx:
        await idempotency.claim(tx, "portal", "k", "a")
        with pytest.raises(RequestInProgress):
            await answered(database, "k", "a")


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_has_1_to_255_characters(key: str) -> None:
    with pytest.raises(InvalidRequest):
        idempotency.key_of({"idempotency-key": key})
