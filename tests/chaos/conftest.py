"""One stack for the whole folder, and a province of its own for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.chaos import hub as hubs
from tests.chaos.hub import Hub
from tests.chaos.province import Province, a_province
from tests.support.stack import a_stack

PUSH_SEEDS, LONG_SEEDS = 2, 20


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-long", action="store_true", help="the long tier: 20 seeds for each crash point")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `seed` runs once for each."""
    if "seed" in metafunc.fixturenames:
        long = metafunc.config.getoption("--chaos-long", default=False)
        metafunc.parametrize("seed", range(LONG_SEEDS if long else PUSH_SEEDS))


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    """The hub under test, with waits of seconds."""
    with a_stack(hubs.SETTINGS) as stack:
        yield Hub.of(stack)


@pytest_asyncio.fixture
async def province(hub: Hub, tmp_path: Path) -> AsyncIterator[Province]:
    """25 dossiers to be played; the hub is well."""
    await hub.ready()
    async with a_province(hub, tmp_path) as made:
        yield made
