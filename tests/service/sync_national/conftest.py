"""Sync-national on real PostgreSQL and Kafka, between a province in memory and the sandbox's national portal."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest_asyncio
from fastapi import FastAPI
from pydantic import SecretStr

from deploy.local.databases import Urls
from sandbox.main import create_app as create_sandbox
from sandbox.settings import Settings as SandboxSettings
from shared.auth import JwksSource
from shared.db import Database
from shared.kafka import Kafka
from sync_national.main import create_app
from sync_national.settings import Settings
from tests.service.sync_national.province import NationalPortal, Province
from tests.support.tokens import TokenIssuer

Served = Callable[..., Awaitable[str]]
InProcess = Callable[[FastAPI], Awaitable[httpx2.AsyncClient]]

READ = {"role": "operator", "scopes": ["sync:read"]}
OPERATE = {"role": "operator", "scopes": ["sync:read", "sync:operate"]}
WORDS = {"portal_username": "hub", "portal_password": "hub"}


@dataclass
class Hub:
    """How to start the service in this test, and where everything is."""

    province: Province
    portal: NationalPortal
    urls: Urls
    prefix: str
    bootstrap: str
    dossier_url: str
    tokens: TokenIssuer
    in_process: InProcess
    system: Database
    apps: list[FastAPI] = field(default_factory=list)

    def app(self, **changes: Any) -> FastAPI:
        """The service, not started."""
        settings = Settings(
            **{
                "database_api_url": SecretStr(self.urls.api),
                "database_system_url": SecretStr(self.urls.system),
                "kafka_bootstrap": self.bootstrap,
                "kafka_prefix": self.prefix,
                "dossier_url": self.dossier_url,
                "portal_url": f"{self.portal.url}/portal",
                "portal_username": "hub",
                "portal_password": SecretStr("hub"),
                "portal_agency_code": "H08",
                "portal_timeout_seconds": 1.0,
                "portal_settle_seconds": 2.0,
                "portal_breaker_open_seconds": 0.3,
                "sync_delay_seconds": 0.02,
                "sync_lease_seconds": 1.5,
                "sync_first_retry_seconds": 0.1,
                "sync_longest_retry_seconds": 0.5,
                **changes,
            }
        )

        async def authorization() -> Mapping[str, str]:
            return self.tokens.internal_headers()

        return create_app(settings, jwks=JwksSource.of(self.tokens.jwks), authorization=authorization)

    async def start(self, **changes: Any) -> httpx2.AsyncClient:
        """The service, running until the test ends; the client has an operator's token."""
        client = await self.in_process(self.app(**changes))
        client.headers.update(self.tokens.headers(**OPERATE))
        return client


@pytest_asyncio.fixture
async def hub(
    service_database: Callable[[str], Awaitable[Urls]],
    kafka_bootstrap: str,
    kafka_prefix: str,
    served: Served,
    in_process: InProcess,
    token_issuer: TokenIssuer,
    tmp_path: Path,
) -> AsyncIterator[Hub]:
    """Everything around the service; `await hub.start()` starts it."""
    urls = await service_database("sync_national")
    sandbox = create_sandbox(SandboxSettings(sandbox_file=tmp_path / "sandbox.sqlite3"))
    portal = NationalPortal(await served(sandbox))
    province = Province(Kafka(kafka_bootstrap, kafka_prefix))
    dossier_url = await served(province.app)
    system = Database(urls.system, pool_size=4)
    async with province.running():
        yield Hub(
            province,
            portal,
            urls,
            kafka_prefix,
            kafka_bootstrap,
            dossier_url,
            token_issuer,
            in_process,
            system,
        )
    await portal.client.aclose()
    await system.close()
