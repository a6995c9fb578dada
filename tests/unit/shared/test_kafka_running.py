"""A Kafka client ends in whatever way; the loop that uses it ends only when it is told to.

aiokafka's `stop` and `commit` await tasks of its own and hand on how those ended: a cancelled one reads like our own
cancellation. After a broker had been killed that once ended two readers for ever, in silence.
"""

import asyncio

import pytest
from aiokafka.errors import KafkaError

from shared.kafka import running


class Client:
    """Its own task is cancelled under it."""

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        await self.wait_for_its_own_task()

    async def wait_for_its_own_task(self) -> None:
        task = asyncio.ensure_future(asyncio.sleep(60))
        asyncio.get_running_loop().call_soon(task.cancel)
        await task


async def test_what_went_wrong_is_told_though_the_client_stops_by_a_cancellation() -> None:
    with pytest.raises(TimeoutError):
        async with running(Client()):
            raise TimeoutError


async def test_a_cancellation_that_nobody_asked_for_is_a_fault_of_the_client() -> None:
    client = Client()
    with pytest.raises(KafkaError):
        async with running(client):
            await client.wait_for_its_own_task()


async def test_who_is_cancelled_ends() -> None:
    entered = asyncio.Event()

    async def use() -> None:
        async with running(Client()):
            entered.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(use())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
