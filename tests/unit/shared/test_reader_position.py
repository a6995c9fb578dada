"""A reader that is not reading yet cannot say how far it has come, and says so."""

import asyncio
from collections.abc import Sequence
from typing import Any

from deploy.local.ports import a_free_port
from shared.db import Database, Transaction
from shared.events import Event
from shared.inbox import Park
from shared.kafka import Kafka
from shared.reader import Reader


async def nothing(_tx: Transaction, _batch: Sequence[Event]) -> list[Park]:
    return []


async def test_a_reader_without_its_broker_is_behind_whatever_it_is_asked() -> None:
    """Its consumer is being started again and again: half made, it cannot be asked."""
    nowhere: Any = Kafka(f"127.0.0.1:{a_free_port()}")
    reader = Reader(Database("postgresql://nobody@127.0.0.1:1/none"), nowhere, "test", "lgsp.dossier", nothing)
    assert not await reader.has_read_until(0)
    reader.start()
    try:
        for _ in range(50):
            assert not await reader.has_read_until(0)
            await asyncio.sleep(0.01)
    finally:
        await reader.stop()
