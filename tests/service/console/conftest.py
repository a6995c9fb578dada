"""A console on a database and a topic prefix of its own, with a stand-in for dossier's and the gateway's answers."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest_asyncio
from fastapi import FastAPI
from joserfc.jwk import ECKey

from console.main import create_app
from console.settings import Settings
from deploy.local.databases import Urls
from shared.auth import JwksSource
from tests.support.tokens import TokenIssuer

AGENCIES = {"H08": "Tỉnh Bình Định", "H08.15": "Sở Tư pháp", "H08.16": "Sở Văn hóa và Thể thao", "H09.01": "Sở Y tế"}


@dataclass(frozen=True, slots=True)
class Console:
    """A running console and what the tests need around it."""

    client: httpx2.AsyncClient
    app: FastAPI
    urls: Urls
    bootstrap: str
    prefix: str


def neighbours() -> FastAPI:
    """What the console asks: its own token at the gateway, the agencies at dossier."""
    app = FastAPI()

    @app.post("/oauth/token")
    async def token() -> dict[str, Any]:
        return {"access_token": "internal", "expires_in": 600, "token_type": "Bearer"}

    @app.get("/internal/agencies")
    async def agencies() -> dict[str, Any]:
        return {"items": [{"code": code, "name": name} for code, name in AGENCIES.items()], "next_cursor": None}

    return app


@pytest_asyncio.fixture
async def console(
    service_database: Callable[[str], Awaitable[Urls]],
    kafka_bootstrap: str,
    kafka_prefix: str,
    token_issuer: TokenIssuer,
    in_process: Callable[[FastAPI], Awaitable[httpx2.AsyncClient]],
    served: Callable[..., Awaitable[str]],
    tmp_path: Path,
) -> Console:
    """The console as it runs, its neighbours played."""
    urls = await service_database("console")
    around = await served(neighbours())
    key = ECKey.generate_key("P-256", {"kid": "console-1"}).as_dict(private=True)
    (tmp_path / "service.json").write_text(json.dumps({**key, "client_id": "console"}))
    (tmp_path / "session-key").write_text("11" * 32)
    settings = Settings(
        database_api_url=urls.api,
        database_system_url=urls.system,
        kafka_bootstrap=kafka_bootstrap,
        kafka_prefix=kafka_prefix,
        gateway_url=around,
        dossier_url=around,
        public_url=around,
        service_key_file=tmp_path / "service.json",
        session_key_file=tmp_path / "session-key",
    )
    issuer = TokenIssuer(around)
    issuer.key = token_issuer.key
    app = create_app(settings, jwks=JwksSource.of(token_issuer.jwks))
    client = await in_process(app)
    client.headers.update(issuer.headers(role="operator", scopes=["report:read"], agencies=["*"]))
    return Console(client, app, urls, kafka_bootstrap, kafka_prefix)
