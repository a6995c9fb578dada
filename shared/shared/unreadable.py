"""What stands on a topic and cannot be handed over: a batch whose checksum is wrong, a header that is no text.

The client library fails again and again at the same place, and with it every record that it fetched together with
that one. Here a partition is read record by record up to the place, and the place's end is looked for.
"""

from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException

from shared.kafka import Kafka, running

FAULTS = (CorruptRecordException, ValueError)
_MOST = 2000
"""More records than are fetched of a partition at once, unless they are very small: then it is done again."""
_PATIENCE_MS = 2000


class Found(NamedTuple):
    """What can be read from here on, and then the offsets from `start` to below `end` that cannot."""

    records: list[Any]
    start: int = -1
    end: int = -1


async def read_carefully(kafka: Kafka, partition: TopicPartition, offset: int) -> Found:
    """The records from `offset` to the first that cannot be read, or to `_MOST` of them."""
    consumer = kafka.consumer(None)
    async with running(consumer):
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        consumer.seek(partition, offset)
        readable: list[Any] = []
        while offset < end and len(readable) < _MOST:
            try:
                got = await consumer.getmany(partition, timeout_ms=_PATIENCE_MS, max_records=1)
            except FAULTS:
                return Found(readable, offset, await _beyond(consumer, partition, offset, end))
            for record in got.get(partition, ()):
                readable.append(record)
                offset = record.offset + 1
            if not got:
                break
        return Found(readable)


async def _beyond(consumer: Any, partition: TopicPartition, bad: int, end: int) -> int:
    """The first offset above `bad` that can be read, in few tries; what is unreadable is one batch."""
    step, good = 1, end
    while bad + step < end:
        if await _is_readable(consumer, partition, bad + step):
            good = bad + step
            break
        bad, step = bad + step, step * 2
    while good - bad > 1:
        middle = (bad + good) // 2
        if await _is_readable(consumer, partition, middle):
            good = middle
        else:
            bad = middle
    return good


async def _is_readable(consumer: Any, partition: TopicPartition, offset: int) -> bool:
    consumer.seek(partition, offset)
    try:
        await consumer.getmany(partition, timeout_ms=_PATIENCE_MS, max_records=1)
    except FAULTS:
        return False
    return True
