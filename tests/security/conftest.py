"""One hub for the whole folder, and what two agencies have in it."""

import json
from collections.abc import Iterator

import httpx2
import pytest

from tests.security.hub import Hub
from tests.security.world import World, a_world
from tests.support.stack import Stack


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--security-long", action="store_true", help="the long tier: more inputs per operation, a minute of overload"
    )


@pytest.fixture(scope="session")
def is_long(pytestconfig: pytest.Config) -> bool:
    """Whether the long tier was asked for."""
    return bool(pytestconfig.getoption("--security-long", default=False))


@pytest.fixture(scope="session")
def hub(stack: Stack) -> Iterator[Hub]:
    """The session's stack, for real."""
    urls = json.loads((stack.folder / "stack.json").read_text())["services"]
    with httpx2.Client(trust_env=False, timeout=30) as client:
        yield Hub(stack, client, urls)


@pytest.fixture(scope="session")
def world(hub: Hub) -> World:
    """Two agencies' dossiers, payments, verifications and what belongs to them."""
    return a_world(hub)
