"""How every process talks to Apache Kafka: one place for the settings that make it lose nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

TOPICS = ("lgsp.dossier", "lgsp.identity", "lgsp.payment", "lgsp.sync", "lgsp.ministry")
PARTITIONS = 12
_START_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Kafka:
    """Where the brokers are, and the prefix that keeps test runs on one broker apart."""

    bootstrap: str
    prefix: str = ""
    session_seconds: float = 10.0
    """So long a reader that is silent (killed, or standing still) keeps its partitions."""

    def topic(self, name: str) -> str:
        """The topic's name on the broker."""
        return self.prefix + name

    def group(self, service: str, topic: str) -> str:
        """One consumer group for each reader: a service on a topic."""
        return f"{self.prefix}{service}.{topic}"

    def producer(self) -> Any:
        """Idempotent, acknowledged by all replicas."""
        return AIOKafkaProducer(
            bootstrap_servers=self.bootstrap,
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=262_144,
            request_timeout_ms=10_000,
            retry_backoff_ms=100,
        )

    def consumer(self, group: str | None, **settings: Any) -> Any:
        """Commits only what it is told to."""
        return AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=int(self.session_seconds * 1000),
            heartbeat_interval_ms=int(self.session_seconds * 200),
            max_partition_fetch_bytes=2_097_152,
            **settings,
        )


@asynccontextmanager
async def running(client: Any) -> AsyncIterator[None]:
    """A producer or consumer, started, and stopped whatever happens.

    A cancellation waits for the start to end, at most 5 s: aiokafka, cancelled inside it, leaves a connection open
    that nobody can close any more. Its own tasks' cancellations, which it hands on, are `KafkaError`s here: whoever
    took them for their own would end, and nobody would see it.
    """
    starting = asyncio.ensure_future(client.start())
    try:
        await asyncio.shield(starting)
        yield
    except asyncio.CancelledError as fault:
        if _are_cancelled():
            raise
        raise KafkaError("the client's own task was cancelled") from fault
    finally:
        await asyncio.wait([starting], timeout=_START_SECONDS)  # one that failed has said so above
        starting.cancel()
        try:
            await client.stop()
        except (KafkaError, OSError):
            pass  # it is gone either way
        except asyncio.CancelledError:
            if _are_cancelled():
                raise


def _are_cancelled() -> bool:
    """Whether somebody wants the present task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
