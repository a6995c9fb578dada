"""citizen-db-adapter as it runs, with the sandbox as the register and stand-ins for gateway and dossier."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest_asyncio
from fastapi import FastAPI

from citizen_db_adapter.main import create_app
from citizen_db_adapter.settings import Settings
from deploy.local.databases import Urls
from sandbox.main import create_app as create_sandbox
from sandbox.settings import Settings as SandboxSettings
from shared.auth import JwksSource
from shared.db import Database
from shared.kafka import Kafka
from tests.support.neighbours import Neighbours, a_service_key
from tests.support.tokens import TokenIssuer

SCOPES = ["citizen:verify", "citizen:lookup"]


@dataclass
class Station:
    """A running service and what stands around it."""

    app: FastAPI
    client: httpx2.AsyncClient
    sandbox: httpx2.AsyncClient
    neighbours: Neighbours
    kafka: Kafka
    urls: Urls
    system: Database
    settings: Settings
    tokens: TokenIssuer = field(default_factory=TokenIssuer)

    def headers(self, *agencies: str, scopes: list[str] | None = None) -> dict[str, str]:
        """A desk's token."""
        return self.neighbours.tokens.headers(scopes=scopes or SCOPES, agencies=agencies or ("H08",))

    async def people(self, *people: dict[str, Any]) -> None:
        """Put people into the register."""
        lines = b"\n".join(orjson.dumps(a_person() | person) for person in people)
        response = await self.sandbox.post("/_sandbox/population", content=lines)
        assert response.status_code == 200, response.text

    async def fault(self, mode: str, **members: Any) -> None:
        """Make the register misbehave."""
        response = await self.sandbox.post("/_sandbox/faults", json={"system": "population", "mode": mode, **members})
        assert response.status_code == 200, response.text

    async def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Look into the service's database as its workers see it."""
        async with self.system.reading() as rx:
            return [dict(row) for row in await rx.rows(sql, **parameters)]


def a_person(**members: Any) -> dict[str, Any]:
    """An invented person as the register loads them."""
    return {
        "personal_id": "052190000123",
        "full_name": "Nguyễn Thị An",
        "date_of_birth": "1990-04-12",
        "gender": "female",
        "old_id": None,
        "address": "Quy Nhơn",
        "refused": False,
    } | members


StationMaker = Callable[..., Awaitable[Station]]


@pytest_asyncio.fixture
async def a_station(
    service_database: Callable[[str], Awaitable[Urls]],
    kafka_bootstrap: str,
    kafka_prefix: str,
    in_process: Callable[[FastAPI], Awaitable[httpx2.AsyncClient]],
    served: Callable[..., Awaitable[str]],
    tmp_path: Path,
) -> AsyncIterator[StationMaker]:
    """`station = await a_station(pending_after_seconds=0.2)`: the service with these settings."""
    systems: list[Database] = []
    clients: list[httpx2.AsyncClient] = []

    async def make(**settings: Any) -> Station:
        urls = await service_database("citizen_db_adapter")
        kafka = Kafka(kafka_bootstrap, kafka_prefix)
        station = await open_station(urls, kafka, in_process, served, tmp_path, settings)
        systems.append(station.system)
        clients.append(station.sandbox)
        return station

    yield make
    for client in clients:
        await client.aclose()
    await asyncio.gather(*(system.close() for system in systems))


async def open_station(
    urls: Urls,
    kafka: Kafka,
    in_process: Callable[[FastAPI], Awaitable[httpx2.AsyncClient]],
    served: Callable[..., Awaitable[str]],
    folder: Path,
    settings: dict[str, Any],
) -> Station:
    """Start the service, the sandbox and the neighbours."""
    neighbours = Neighbours()
    gateway_url = await served(neighbours.app)
    neighbours.tokens = TokenIssuer(gateway_url)
    sandbox_url = await served(create_sandbox(SandboxSettings(sandbox_file=folder / "sandbox.sqlite3")))
    key_file = folder / "encryption-key"
    key_file.write_text(secrets.token_hex(32))
    wired = Settings(
        database_api_url=urls.api,
        database_system_url=urls.system,
        kafka_bootstrap=kafka.bootstrap,
        kafka_prefix=kafka.prefix,
        gateway_url=gateway_url,
        service_key_file=a_service_key(folder, "citizen-db-adapter"),
        dossier_url=gateway_url,
        register_url=f"{sandbox_url}/population",
        register_username="hub",
        register_secret="hub",
        encryption_key_file=key_file,
        **settings,
    )
    app = create_app(wired, jwks=JwksSource.of(neighbours.tokens.jwks))
    return Station(
        app=app,
        client=await in_process(app),
        sandbox=httpx2.AsyncClient(base_url=sandbox_url, trust_env=False),
        neighbours=neighbours,
        kafka=kafka,
        urls=urls,
        system=Database(urls.system, pool_size=2),
        settings=wired,
    )
