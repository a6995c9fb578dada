"""One stack for the whole folder, and a province of its own for each test."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.chaos import hub as hubs
from tests.chaos.hub import Hub, until
from tests.chaos.province import Province, a_province
from tests.support.stack import a_stack

PUSH_SEEDS, LONG_SEEDS = 2, 20


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-long", action="store_true", help="the long tier: 20 seeds for each crash point, replays")
    parser.addoption("--chaos-scale", default="0.2", help="of the replays: 0.2 is 20,000 dossiers")
    parser.addoption("--chaos-seconds", default="120", help="the replays' longest fault")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: belongs to the long tier alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The push tier leaves the long one out."""
    if not config.getoption("--chaos-long", default=False):
        longer = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=longer)
        items[:] = [item for item in items if item not in longer]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `seed` runs once for each."""
    if "seed" in metafunc.fixturenames:
        long = metafunc.config.getoption("--chaos-long", default=False)
        metafunc.parametrize("seed", range(LONG_SEEDS if long else PUSH_SEEDS))


class _Running:
    """The folder's stack, down again after the folder's last test: the next folder has one of its own."""

    stack = ExitStack()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if nextitem is None or nextitem.path.parent != item.path.parent:
        _Running.stack.close()


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    """The hub under test, with waits of seconds."""
    orders = Path(_Running.stack.enter_context(tempfile.TemporaryDirectory(prefix="lgsp-orders-")))
    yield Hub.of(_Running.stack.enter_context(a_stack(hubs.settings(orders))), orders)
    _Running.stack.close()


@pytest_asyncio.fixture
async def province(hub: Hub, tmp_path: Path) -> AsyncIterator[Province]:
    """25 dossiers to be played; the hub is well, and afterwards nothing died but by the test's own faults."""
    await hub.ready()
    async with a_province(hub, tmp_path) as made:
        yield made
    await until(lambda: hub.restarts() >= hub.deaths, seconds=5, why="the supervisor's account of all deaths")
    assert hub.restarts() == hub.deaths
