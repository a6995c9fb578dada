"""The five topics of the hub (architecture, Events)."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

PARTITIONS = 12
FOR_EVER = -1
DAY_MILLISECONDS = 24 * 3600 * 1000
# Topic → how long its records are kept. A ministry's event may name persons in free text, so it does not
# stay.
TOPICS = {
    "lgsp.dossier": FOR_EVER,
    "lgsp.identity": FOR_EVER,
    "lgsp.payment": FOR_EVER,
    "lgsp.sync": FOR_EVER,
    "lgsp.ministry": 35 * DAY_MILLISECONDS,
}
ALREADY_EXISTS = 36


async def create(bootstrap: str, prefix: str = "", partitions: int = PARTITIONS) -> None:
    """Creates what is missing of the five topics, each name with `prefix` in front."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answer = await admin.create_topics(
            [
                NewTopic(
                    prefix + name,
                    partitions,
                    1,
                    topic_configs={"retention.ms": str(kept), "retention.bytes": "-1"},
                )
                for name, kept in TOPICS.items()
            ]
        )
        for name, code, message in answer.topic_errors:
            if code not in (0, ALREADY_EXISTS):
                raise RuntimeError(f"Kafka refused to create {name}: {message} ({code})")
    finally:
        await admin.close()


async def delete(bootstrap: str, prefix: str) -> None:
    """Deletes the topics of one test run; `prefix` must not be empty."""
    if not prefix:
        raise ValueError("only prefixed topics are ever deleted")
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if name.startswith(prefix)]
        if names:
            await admin.delete_topics(names)
    finally:
        await admin.close()


async def answers(bootstrap: str, seconds: float = 2.0) -> bool:
    """True when a broker answers there within `seconds`."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=int(seconds * 1000))
    try:
        async with asyncio.timeout(seconds):
            await admin.start()
            return True
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await admin.close()
