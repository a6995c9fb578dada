"""Row 5 with a real broker: it loses records that it had acknowledged, and every reader has their effect all the same.

The broker is stopped, the newest segment of each partition is removed, the broker is started. What a reader had taken
in by then need not come back on the topic; what it had not comes by the receipt check, to this reader as to others.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from fastapi import FastAPI
from pydantic import SecretStr

from deploy.local import broker, process, topics
from deploy.local.ports import a_free_port
from shared import service
from shared.auth import JwksSource
from shared.db import Database
from shared.errors import HubError
from shared.kafka import Kafka
from shared.outbox import Relay
from shared.receipts import ReceiptCheck
from shared.settings import ServiceSettings
from tests.service.shared.test_messaging import TOPIC, an_event, note, publish
from tests.support import apps
from tests.support.tokens import TokenIssuer

SEGMENT_BYTES = 1_048_576
"""The smallest that Kafka has."""
LONG = "x" * 60_000
"""Of 40 events so long the newest segment holds the last five or so."""
SECONDS = 60.0


@dataclass(slots=True)
class OwnBroker:
    """A broker whose files may be damaged."""

    folder: Path
    made: broker.Broker
    child: Popen[bytes] | None = None

    async def start(self) -> None:
        """Returns when it answers."""
        self.child = process.spawn(self.made.program, self.folder / "kafka.log", str(self.folder))
        async with asyncio.timeout(SECONDS):
            while not await topics.answers(self.made.bootstrap):
                assert self.child.poll() is None, (self.folder / "kafka.log").read_text()[-2000:]
                await asyncio.sleep(0.1)

    def stop(self) -> None:
        """In good order: everything that it acknowledged is on the disk."""
        if self.child is not None:
            process.wait_gone(self.child, self.made.program)
        self.child = None

    def damage(self, topic: str, text: str) -> None:
        """One bit of the batch in which this text stands."""
        for log in (self.folder / "kafka" / "data").glob(f"{topic}-*/*.log"):
            content = bytearray(log.read_bytes())
            if (at := content.find(text.encode())) >= 0:
                content[at] ^= 1
                log.write_bytes(content)

    def lose_the_newest_segments(self, topic: str) -> None:
        """Of each partition of this topic."""
        for partition in (self.folder / "kafka" / "data").glob(f"{topic}-*"):
            newest = max(partition.glob("*.log")).stem
            for path in partition.glob(f"{newest}.*"):
                path.unlink()


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    folder = tmp_path_factory.mktemp("own-broker")
    own = OwnBroker(folder, broker.prepare(folder / "kafka", a_free_port(), a_free_port()))
    yield own
    own.stop()


@pytest_asyncio.fixture
async def kafka(own_broker: OwnBroker, request: pytest.FixtureRequest) -> Kafka:
    """Topics of this test's own, with small segments."""
    if own_broker.child is None:
        await own_broker.start()
    kafka = Kafka(own_broker.made.bootstrap, f"{abs(hash(request.node.name)) % 10**8}.")
    await topics.create(kafka.bootstrap, kafka.prefix, partitions=2)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        sizes = {"segment.bytes": str(SEGMENT_BYTES)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, kafka.topic(TOPIC), configs=sizes)])
    finally:
        await admin.close()
    return kafka


@dataclass(slots=True)
class ReadingService:
    """A service that reads the topic, on a port of its own whether it runs or not."""

    name: str
    port: int
    database: Database
    app: Callable[[], FastAPI]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with apps.served(self.app(), self.port):
            yield

    async def noted(self) -> list[str]:
        """What has had its effect: the first words of the texts, sorted."""
        async with self.database.reading() as rx:
            return sorted(row["text"].partition(" ")[0] for row in await rx.rows("SELECT text FROM note"))


@dataclass(slots=True)
class World:
    """One publisher and two readers."""

    kafka: Kafka
    publisher: Database
    readers: dict[str, ReadingService]
    check: ReceiptCheck

    async def publish(self, *names: str, key: str = "one", long: bool = False) -> None:
        """The broker has acknowledged all when this returns."""
        filling = f" {LONG}" if long else ""
        for name in names:  # one transaction each: a batch of the relay may not be larger than a segment
            await publish(self.publisher, an_event(key, name + filling))
        await self.all_published()

    async def all_published(self) -> None:
        """The outbox is empty."""
        async with asyncio.timeout(SECONDS), self.publisher.reading() as rx:
            while await rx.value("SELECT count(*) FROM outbox"):
                await asyncio.sleep(0.05)

    async def have(self, names: Sequence[str], *readers: str, checking: bool = True) -> None:
        """These readers note each of these names once, while the receipt check goes its rounds."""
        left = {name: self.readers[name] for name in readers}
        found: dict[str, Any] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                while left:
                    if checking:
                        with suppress(HubError):  # a reader that is behind or away is asked later
                            await self.check.step()
                    for name, reader in list(left.items()):
                        found[name] = await reader.noted()
                        if found[name] == sorted(names):
                            del left[name]
                    await asyncio.sleep(0.1)
        for name in left:
            assert found[name] == sorted(names), name

    async def found_missing(self) -> int:
        """How many rows the receipt check has put back into the outbox."""
        async with self.publisher.reading() as rx:
            sql = "SELECT count(*) - count(DISTINCT event_id) FROM outbox_published"
            return int(await rx.value(sql))


@pytest_asyncio.fixture
async def world(
    kafka: Kafka, service_database: Callable[[str], Awaitable[Any]], token_issuer: TokenIssuer
) -> AsyncIterator[World]:
    publisher = Database((await service_database("noted")).system, pool_size=3)
    readers = {}
    for name in ("early", "late"):
        urls = await service_database("noted")
        settings = ServiceSettings(
            database_api_url=SecretStr(urls.api),
            database_system_url=SecretStr(urls.system),
            kafka_bootstrap=kafka.bootstrap,
            kafka_prefix=kafka.prefix,
            gateway_url=token_issuer.issuer,
        )

        def app(name: str = name, settings: ServiceSettings = settings) -> FastAPI:
            @asynccontextmanager
            async def opening(app: FastAPI) -> AsyncIterator[None]:
                runtime = service.Runtime(name, settings, jwks=JwksSource.of(token_issuer.jwks))
                runtime.read(TOPIC, note)
                async with runtime.running(app):
                    yield

            return service.create(name, [], opening)

        readers[name] = ReadingService(name, a_free_port(), Database(urls.system, pool_size=2), app)
    urls = [reader.url for reader in readers.values()]
    check = ReceiptCheck(publisher, {TOPIC: urls}, token_issuer.internal_authorization, after_seconds=0.0)
    relay = Relay(publisher.url, kafka, publisher.wake)
    relay.start()
    yield World(kafka, publisher, readers, check)
    await relay.stop()
    await check.close()
    for base in (publisher, *(reader.database for reader in readers.values())):
        await base.close()


async def loses_the_newest(own: OwnBroker, world: World) -> None:
    await asyncio.to_thread(own.stop)
    own.lose_the_newest_segments(world.kafka.topic(TOPIC))
    await own.start()


async def test_every_reader_has_what_the_broker_lost(own_broker: OwnBroker, world: World) -> None:
    """One has taken in everything before and reads on through the loss; the other was away."""
    names = [f"a{number:02}" for number in range(40)]
    async with world.readers["early"].running():
        await world.publish(*names, long=True)
        await world.publish("b1", "b2", key="two")
        await world.have([*names, "b1", "b2"], "early", checking=False)
        await loses_the_newest(own_broker, world)
        async with world.readers["late"].running():
            await world.publish("c1", "c2")
            await world.have([*names, "b1", "b2", "c1", "c2"], "early", "late")
            assert await world.found_missing() >= 5, "the late reader's came from the topic"


async def test_a_topic_that_has_grown_past_what_was_lost_hides_nothing(own_broker: OwnBroker, world: World) -> None:
    """The offsets of the lost are given to others, so a reader's committed offset stands in front of some of them."""
    lost = [f"a{number:02}" for number in range(20)]
    new = [f"b{number:02}" for number in range(60)]
    async with world.readers["early"].running():
        await world.publish(*lost)
        await world.have(lost, "early", checking=False)
    await loses_the_newest(own_broker, world)
    await world.publish(*new)
    async with world.readers["early"].running(), world.readers["late"].running():
        await world.have([*lost, *new], "early", "late")


async def test_a_batch_that_the_broker_s_disk_has_damaged_is_stepped_over_and_comes_again(
    own_broker: OwnBroker, world: World
) -> None:
    """Its checksum is wrong, and the client library fails at it for ever, and at what it fetched together with it."""
    names = [f"{batch}{number}" for batch in "abc" for number in range(7)]
    for batch in "abc":
        events = [an_event("one", name) for name in names if name.startswith(batch)]
        await publish(world.publisher, *events)
        await world.all_published()
    await asyncio.to_thread(own_broker.stop)
    own_broker.damage(world.kafka.topic(TOPIC), '"b3"')
    await own_broker.start()
    late = world.readers["late"]
    async with late.running():
        await world.have([name for name in names if not name.startswith("b")], "late", checking=False)
        async with late.database.reading() as rx:
            [row] = await rx.rows("SELECT owner, reason, value::jsonb->'data'->>'up_to' AS up_to FROM parked")
        assert (row["owner"], row["reason"]) == ("poison", "the broker cannot hand it over whole")
        assert row["up_to"] == "13", "no good record is stepped over"
        await world.have(names, "late")
