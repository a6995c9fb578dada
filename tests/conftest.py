"""Fixtures for all tests; what they do is in tests/README.md."""

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
import structlog
from fastapi import FastAPI
from hypothesis import HealthCheck, settings

from deploy.local import topics
from deploy.local.databases import Urls
from tests.support import apps, loopback, servers
from tests.support.database import Fill, Templates
from tests.support.stack import Stack, the_stack
from tests.support.tokens import TokenIssuer

# A developer's own settings must not reach the services under test; `servers` has taken out where the servers are.
for _name in [name for name in os.environ if name.startswith("HUB_")]:
    del os.environ[_name]


def pytest_configure() -> None:
    """Closes the outside world before any test is collected."""
    loopback.confine()
    # structlog's default renderer prints every local variable of a traceback: seconds for each expected failure.
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
    # How long an example takes says more about the machine's load than about our code.
    settings.register_profile("hub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("hub")


# A folder's tests run together, and those that need the whole stack last: it then runs beside no other. Attacks come
# after the citizens: what they leave behind (dossiers that the portal refuses) is not level.
_ORDER = ("unit", "contract", "service", "chaos", "e2e", "browser", "security")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cheap tests first."""
    here = Path(__file__).parent
    items.sort(key=lambda item: _ORDER.index(item.path.relative_to(here).parts[0]))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole local stack, for real."""
    with the_stack() as running:
        yield running


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """Where the session's private servers keep their data and logs."""
    with servers.folder() as path:
        yield path


@pytest.fixture(scope="session")
def postgres_admin_url(servers_folder: Path) -> Iterator[str]:
    """An administrative URL of a real PostgreSQL."""
    with servers.a_postgres(servers_folder) as url:
        yield url


@pytest.fixture(scope="session")
def kafka_bootstrap(servers_folder: Path) -> Iterator[str]:
    """The address of a real Apache Kafka."""
    with servers.a_kafka(servers_folder) as bootstrap:
        yield bootstrap


@pytest_asyncio.fixture
async def kafka_prefix(kafka_bootstrap: str) -> AsyncIterator[str]:
    """A prefix of this test's own; the five topics exist under it."""
    prefix = f"t{secrets.token_hex(5)}."
    await topics.create(kafka_bootstrap, prefix, partitions=4)
    yield prefix
    await topics.delete(kafka_bootstrap, prefix)


@pytest_asyncio.fixture(scope="session")
async def database_templates(postgres_admin_url: str) -> AsyncIterator[Templates]:
    """One migrated database per package for the whole session."""
    templates = Templates(postgres_admin_url)
    yield templates
    await templates.close()


@pytest_asyncio.fixture
async def service_database(database_templates: Templates) -> AsyncIterator[Callable[..., Awaitable[Urls]]]:
    """`urls = await service_database("dossier")`: a freshly migrated database, dropped after the test.

    `service_database("dossier", seeded)` is one that `seeded(urls)` has filled, once for all tests.
    """
    made: list[Urls] = []

    async def make(package: str, fill: Fill | None = None) -> Urls:
        made.append(await database_templates.copy(package, fill))
        return made[-1]

    yield make
    for urls in made:
        await database_templates.drop(urls)


@pytest_asyncio.fixture
async def in_process() -> AsyncIterator[Callable[[FastAPI], Awaitable[httpx2.AsyncClient]]]:
    """`client = await in_process(app)`: the app without a socket, its lifespan on until the test ends."""
    async with AsyncExitStack() as stack:

        async def start(app: FastAPI) -> httpx2.AsyncClient:
            return await stack.enter_async_context(apps.in_process(app))

        yield start


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """`url = await served(app)` (or `served(app, port)`): the app on a loopback port until the test ends."""
    async with AsyncExitStack() as stack:

        async def start(app: FastAPI, port: int | None = None) -> str:
            return await stack.enter_async_context(apps.served(app, port))

        yield start


@pytest.fixture(scope="session")
def token_issuer() -> TokenIssuer:
    """`token_issuer.headers(role="desk", scopes=["dossier:read"], agencies=["H08"])`; its key set is
    `.jwks`.
    """
    return TokenIssuer()
