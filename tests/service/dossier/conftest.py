"""A dossier service on a fresh database, with the catalogue seeded."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pydantic import SecretStr

from deploy.local.databases import Urls
from dossier import cataloguing
from dossier.main import create_app
from dossier.settings import Settings
from shared import strict_json
from shared.auth import JwksSource
from shared.db import Database
from tests.support.tokens import TokenIssuer

SCOPES = "dossier:write dossier:read dossier:transition"


@dataclass
class Hub:
    """The service under test, and hands to use it with."""

    app: FastAPI
    client: httpx2.AsyncClient
    urls: Urls
    issuer: TokenIssuer
    kafka_prefix: str
    database: Database
    _tokens: dict[str, dict[str, str]] = field(default_factory=dict)

    def headers(
        self, role: str = "desk", agencies: tuple[str, ...] = ("H08",), scopes: str = SCOPES, **more: Any
    ) -> dict[str, str]:
        """The headers of a client with this role."""
        name = f"{role} {agencies} {scopes} {more}"
        if name not in self._tokens:
            client_id = more.pop("client_id", f"test-{role}")
            self._tokens[name] = self.issuer.headers(
                role=role, scopes=scopes, agencies=agencies, client_id=client_id, **more
            )
        return dict(self._tokens[name])

    async def post(self, path: str, body: Any, **who: Any) -> httpx2.Response:
        """A JSON POST; `key` is the idempotency key."""
        key = who.pop("key", None)
        extra = who.pop("headers", {})
        headers = {
            "content-type": "application/json",
            **self.headers(**who),
            **extra,
            **({"idempotency-key": key} if key else {}),
        }
        content = body if isinstance(body, bytes) else strict_json.dumps(body)
        return await self.client.post(path, content=content, headers=headers)

    async def get(self, path: str, **who: Any) -> httpx2.Response:
        """A GET."""
        extra = who.pop("headers", {})
        return await self.client.get(path, headers={**self.headers(**who), **extra})

    async def file(self, **changes: Any) -> str:
        """A stored dossier's code."""
        answer = await self.post("/v1/dossiers", a_filing(**changes), role="portal")
        assert answer.status_code == 201, answer.text
        return str(answer.json()["code"])

    async def act(self, code: str, action: str, *, role: str = "desk", **members: Any) -> httpx2.Response:
        """One action."""
        key = members.pop("key", None)
        body = {"action": action, "actor": {"name": "Trần Văn Bình", "title": "Chuyên viên", "unit": "Một cửa"}}
        return await self.post(f"/v1/dossiers/{code}/transitions", body | members, role=role, key=key)

    async def batch(self, path: str, lines: list[Any], **who: Any) -> list[dict[str, Any]]:
        """The answers of an NDJSON batch."""
        body = b"\n".join(line if isinstance(line, bytes) else strict_json.dumps(line) for line in lines)
        answer = await self.post(path, body, **who)
        assert answer.status_code == 200, answer.text
        return [strict_json.loads(line) for line in answer.content.splitlines()]

    async def rows(self, sql: str, *values: Any) -> list[Any]:
        """Straight from the database, as the system role."""
        connection = await asyncpg.connect(self.urls.system)
        try:
            return list(await connection.fetch(sql, *values))
        finally:
            await connection.close()

    async def events(self, code: str) -> list[dict[str, Any]]:
        """Every event of this dossier, in the order of the outbox."""
        rows = await self.rows(
            "SELECT value FROM (SELECT id, value, key FROM outbox UNION ALL "
            "SELECT number, value, key FROM outbox_published) o WHERE key = $1 "
            "ORDER BY (value::jsonb->>'sequence')::int",
            code,
        )
        return [strict_json.loads(row["value"].encode()) for row in rows]


async def with_the_catalogue(urls: Urls) -> None:
    """Agencies and procedures as the service's own command seeds them."""
    database = Database(urls.system, pool_size=1)
    try:
        async with database.transaction() as tx:
            await cataloguing.seed(tx)
    finally:
        await database.close()


@pytest_asyncio.fixture
async def start_hub(
    service_database: Callable[..., Awaitable[Urls]],
    kafka_bootstrap: str,
    kafka_prefix: str,
    token_issuer: TokenIssuer,
    in_process: Callable[[FastAPI], Awaitable[httpx2.AsyncClient]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Callable[..., Awaitable[Hub]]]:
    """`hub = await start_hub()`: started, seeded; a second call starts a second process on the same database."""
    # Where the test servers are is no setting of the service.
    for name in ("HUB_POSTGRES_URL", "HUB_KAFKA_BOOTSTRAP"):
        monkeypatch.delenv(name, raising=False)
    made: list[Urls] = []
    databases: list[Database] = []

    async def start(**changes: Any) -> Hub:
        if not made:
            made.append(await service_database("dossier", with_the_catalogue))
        urls = made[0]
        database = Database(urls.system, pool_size=2)
        databases.append(database)
        key_file = tmp_path / "person.key"
        key_file.write_text(secrets.token_hex(32))
        settings = Settings(
            **{
                "database_api_url": SecretStr(urls.api),
                "database_system_url": SecretStr(urls.system),
                "kafka_bootstrap": kafka_bootstrap,
                "kafka_prefix": kafka_prefix,
                "gateway_url": token_issuer.issuer,
                "person_keys_file": key_file,
                **changes,
            }
        )
        app = create_app(settings, jwks=JwksSource.of(token_issuer.jwks))
        return Hub(app, await in_process(app), urls, token_issuer, kafka_prefix, database)

    yield start
    for database in databases:
        await database.close()


@pytest_asyncio.fixture
async def hub(start_hub: Callable[..., Awaitable[Hub]]) -> Hub:
    """One started service."""
    return await start_hub()


def a_filing(**changes: Any) -> dict[str, Any]:
    """A citizen's online filing; invented."""
    filing: dict[str, Any] = {
        "procedure_code": "2.000488",
        "agency_code": "H08.15",
        "channel": "online",
        "applicant": {
            "kind": "citizen",
            "full_name": "Nguyễn Thị An",
            "personal_id": "052190000123",
            "date_of_birth": "1990-04-12",
            "phone": "0905000000",
        },
        "abstract": "Cấp phiếu lý lịch tư pháp",
        "attachments": [{"component_code": "KQ.G01.000001", "name": "don.pdf", "digitised": True}],
    }
    return {**filing, **changes}
