"""How far the read model is behind the topics: end offsets minus what the reader groups have committed."""

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.errors import UpstreamUnavailable
from shared.kafka import Kafka


class Lag:
    """Opened with the service; asks the broker at every call."""

    def __init__(self, kafka: Kafka, service: str, topics: tuple[str, ...]) -> None:
        self._kafka = kafka
        self._service = service
        self._topics = topics
        self._admin: Any = None
        self._consumer: Any = None

    async def behind(self) -> int:
        """Records not yet taken in. Raises `UpstreamUnavailable` when the broker does not answer."""
        try:
            await self._open()
            return sum([await self._behind_on(topic) for topic in self._topics])
        except (KafkaError, OSError) as fault:
            await self.close()
            raise UpstreamUnavailable("Kafka does not answer", internal=repr(fault), retry_after_seconds=2) from fault

    async def close(self) -> None:
        """Close both connections."""
        admin, self._admin = self._admin, None
        consumer, self._consumer = self._consumer, None
        if admin:
            await admin.close()
        if consumer:
            await consumer.stop()

    async def _open(self) -> None:
        if self._consumer is None:
            self._admin = AIOKafkaAdminClient(bootstrap_servers=self._kafka.bootstrap)
            await self._admin.start()
            # Of no group: it only asks for end offsets.
            self._consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka.bootstrap, enable_auto_commit=False)
            await self._consumer.start()

    async def _behind_on(self, topic: str) -> int:
        name = self._kafka.topic(topic)
        described = await self._admin.describe_topics([name])
        partitions = [TopicPartition(name, entry["partition"]) for entry in described[0]["partitions"]]
        ends = await self._consumer.end_offsets(partitions)
        committed = await self._admin.list_consumer_group_offsets(self._kafka.group(self._service, topic))
        return sum(
            end - max(0, committed[partition].offset if partition in committed else 0)
            for partition, end in ends.items()
        )
