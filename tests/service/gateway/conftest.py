"""A gateway on a port, its database, and one small service behind it that records what reaches it."""

import asyncio
import base64
import hashlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.local.databases import Urls
from deploy.local.ports import a_free_port
from gateway import bootstrapping
from gateway.forwarding import Front
from gateway.main import create_app
from gateway.protocol import hardened
from gateway.settings import Settings
from shared.db import Database
from tests.support import apps
from tests.support.database import Templates

CODE = "H08.15-230301-0001"
PASSWORD = "mat-khau-thu-nghiem"


@dataclass
class Behind:
    """The service behind the gateway: what it saw, and how it shall answer."""

    seen: list[dict[str, Any]] = field(default_factory=list)
    delay_seconds: float = 0.0
    answer: bytes = b'{"ok":true}'
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    streams: int = 0
    streamed: Callable[[], Response] | None = None

    def app(self) -> FastAPI:
        """One route for everything."""
        app = FastAPI()

        @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
        async def everything(path: str, request: Request) -> Response:
            body = await request.body()
            headers = [(name.decode(), value.decode("latin-1")) for name, value in request.scope["headers"]]
            self.seen.append(
                {
                    "method": request.method,
                    "target": str(request.url).split("/", 3)[3],
                    "headers": headers,
                    "body": body,
                }
            )
            await asyncio.sleep(self.delay_seconds)
            if self.streamed is not None:
                return self.streamed()
            if self.streams:
                return StreamingResponse(self._stream(), media_type="application/octet-stream")
            return Response(self.answer, self.status, self.headers, "application/json")

        return app

    async def _stream(self) -> AsyncIterator[bytes]:
        for _ in range(self.streams):
            yield b"x" * 65_536

    def header(self, name: str) -> str | None:
        """A header of the last request that arrived."""
        return dict(self.seen[-1]["headers"]).get(name)


@dataclass
class Hub:
    """A running gateway and the credentials of its clients."""

    url: str
    client: httpx2.AsyncClient
    behind: Behind
    urls: Urls
    clients: dict[str, Any]
    service_key: ECKey
    settings: Settings

    async def token(self, name: str = "portal", scope: str | None = None) -> str:
        """An access token of one of the bootstrap clients."""
        form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        known = self.clients[name]
        answer = await self.client.post("/oauth/token", data=form, auth=(known["client_id"], known["client_secret"]))
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    async def headers(self, name: str = "portal", scope: str | None = None) -> dict[str, str]:
        """The Authorization header of `token`."""
        return {"Authorization": f"Bearer {await self.token(name, scope)}"}

    def assertion(self, key: ECKey | None = None, **claims: Any) -> str:
        """A client assertion of the service `payment`."""
        body = {
            "iss": "payment",
            "sub": "payment",
            "aud": f"{self.url}/oauth/token",
            "iat": int(time.time()),
            "exp": int(time.time()) + 60,
            "jti": uuid.uuid4().hex,
            **claims,
        }
        body = {name: value for name, value in body.items() if value is not None}
        key = key or self.service_key
        return jwt.encode({"alg": "ES256", "kid": "payment-1"}, body, key)

    async def exchanges(self) -> list[dict[str, Any]]:
        """All records, as the database has them."""
        database = Database(self.urls.system, pool_size=1)
        async with database.reading() as rx:
            rows = await rx.rows("SELECT * FROM exchange ORDER BY recorded_at, seq")
        await database.close()
        return [dict(row) for row in rows]

    async def execute(self, sql: str, **parameters: Any) -> None:
        """Run SQL as the owner of the tables: what the gateway's own roles may not."""
        database = Database(self.urls.owner, pool_size=1)
        async with database.transaction() as tx:
            await tx.execute(sql, **parameters)
        await database.close()


def a_challenge(verifier: str) -> str:
    """PKCE S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


async def bootstrapped(urls: Urls, gateway_url: str) -> dict[str, Any]:
    """The six clients, the console and an operator with a known password."""
    database = Database(urls.system, pool_size=1)
    async with database.transaction() as tx:
        made = await bootstrapping.clients(tx, {})
        await bootstrapping.operator(tx, {"password": PASSWORD})
        await bootstrapping.console(tx, f"{gateway_url}/console/callback")
    await database.close()
    return made


@asynccontextmanager
async def running(app: Front, port: int, settings: Settings) -> AsyncIterator[None]:
    """The gateway as `serve` runs it, in this event loop."""
    protocol = hardened(settings.header_deadline_seconds, settings.connections_per_address, app.refusal)
    server = uvicorn.Server(
        uvicorn.Config(
            app, host="127.0.0.1", port=port, log_config=None, access_log=False, http=protocol, proxy_headers=False
        )
    )
    server.capture_signals = _no_signals  # type: ignore[method-assign]  # Ctrl-C is pytest's
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            await task
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.wait([task], timeout=15)


def _no_signals() -> Any:
    return nullcontext()


def the_settings(folder: Path, urls: Urls, port: int, behind_url: str, bootstrap: str, **more: Any) -> Settings:
    """Settings of a gateway whose five services are all `behind_url`."""
    values: dict[str, Any] = {
        "port": port,
        "gateway_url": f"http://127.0.0.1:{port}",
        "database_api_url": urls.api,
        "database_system_url": urls.system,
        "kafka_bootstrap": bootstrap,
        "signing_keys_file": folder / "signing.json",
        "service_keys_file": folder / "services.json",
        "revocations_every_seconds": 0.05,
    }
    services = ("dossier_url", "payment_url", "citizen_url", "sync_url", "console_url")
    return Settings(**values | dict.fromkeys(services, behind_url) | more)


def write_keys(folder: Path) -> ECKey:
    """A signing key file and the public key of the service `payment`; the private one is returned."""
    signing = ECKey.generate_key("P-256", {"kid": "hub-1", "alg": "ES256", "use": "sig"})
    (folder / "signing.json").write_text(json.dumps({"keys": [signing.as_dict(private=True)]}))
    service = ECKey.generate_key("P-256", {"kid": "payment-1", "alg": "ES256", "use": "sig"})
    (folder / "services.json").write_text(json.dumps({"payment": service.as_dict(private=False)}))
    (folder / "payment.json").write_text(json.dumps({"client_id": "payment", **service.as_dict(private=True)}))
    return service


@asynccontextmanager
async def a_hub(folder: Path, templates: Templates, bootstrap: str, **more: Any) -> AsyncIterator[Hub]:
    """A gateway with these settings, until the block ends."""
    urls = await templates.copy("gateway")
    behind = Behind()
    key = write_keys(folder)
    port = a_free_port()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(templates.drop, urls)
        behind_url = await stack.enter_async_context(apps.served(behind.app()))
        settings = the_settings(folder, urls, port, behind_url, bootstrap, **more)
        clients = await bootstrapped(urls, settings.gateway_url)
        app = create_app(settings)
        await stack.enter_async_context(running(app, port, settings))
        client = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=settings.gateway_url, trust_env=False, timeout=20)
        )
        yield Hub(settings.gateway_url, client, behind, urls, clients, key, settings)


@pytest_asyncio.fixture
async def start_hub(
    tmp_path: Path, database_templates: Templates, kafka_bootstrap: str
) -> AsyncIterator[Callable[..., Awaitable[Hub]]]:
    """`hub = await start_hub(quota_burst=3)`: a gateway of the test's own."""
    async with AsyncExitStack() as stack:

        async def start(**more: Any) -> Hub:
            return await stack.enter_async_context(a_hub(tmp_path, database_templates, kafka_bootstrap, **more))

        yield start


@pytest_asyncio.fixture(scope="module")
async def shared_hub(
    tmp_path_factory: pytest.TempPathFactory, database_templates: Templates, kafka_bootstrap: str
) -> AsyncIterator[Hub]:
    """One gateway for a module's tests."""
    async with a_hub(tmp_path_factory.mktemp("hub"), database_templates, kafka_bootstrap) as hub:
        yield hub


@pytest.fixture
def hub(shared_hub: Hub) -> Hub:
    """The module's gateway with a fresh service behind it; for tests that leave its clients as they are."""
    fresh = Behind()
    for name in ("delay_seconds", "answer", "status", "headers", "streams", "streamed"):
        setattr(shared_hub.behind, name, getattr(fresh, name))
    shared_hub.behind.seen.clear()
    shared_hub.client.cookies.clear()
    return shared_hub
