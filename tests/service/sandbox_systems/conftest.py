"""A province in front of the sandbox: one server for all tests, emptied before each."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from sandbox.main import create_app
from sandbox.settings import Settings
from tests.support import apps
from tests.support.national_sandbox import Province


@pytest_asyncio.fixture(scope="session")
async def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Where the sandbox listens; nobody hears its callbacks."""
    path: Path = tmp_path_factory.mktemp("sandbox") / "sandbox.sqlite3"
    app = create_app(Settings(sandbox_file=path, callback_url="http://127.0.0.1:9/none"))
    async with apps.served(app) as url:
        yield url


@pytest_asyncio.fixture
async def province(sandbox_url: str) -> AsyncIterator[Province]:
    """Logged in at a portal that knows nothing yet."""
    async with httpx2.AsyncClient(base_url=sandbox_url) as client:
        (await client.post("/_sandbox/reset")).raise_for_status()
        found = Province(client)
        await found.log_in()
        yield found
