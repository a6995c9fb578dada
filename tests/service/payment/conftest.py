"""The payment service as it runs, with the sandbox as the platform and stand-ins for gateway and dossier."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest_asyncio
from fastapi import FastAPI

from deploy.local.databases import Urls
from deploy.local.ports import a_free_port
from payment.main import create_app
from payment.settings import Settings
from sandbox.main import create_app as create_sandbox
from sandbox.settings import Settings as SandboxSettings
from shared.auth import JwksSource
from shared.db import Database
from shared.events import Event
from shared.kafka import Kafka
from tests.support.callbacks import SECRET, signed
from tests.support.neighbours import Neighbours, a_service_key, dossier_event, eventually, feed, published
from tests.support.tokens import TokenIssuer

SCOPES = ["payment:write", "payment:read", "dossier:import"]
AT = datetime(2023, 3, 1, 1, 30, tzinfo=UTC)
CODE = "H08.15-230301-0001"
FEES = [
    {"code": "P1", "name": "Phí thẩm định", "kind": "charge", "amount_vnd": 30_000},
    {"code": "L1", "name": "Lệ phí cấp", "kind": "fee", "amount_vnd": 20_000},
]


@dataclass
class Till:
    """A running service and what stands around it."""

    app: FastAPI
    client: httpx2.AsyncClient
    sandbox: httpx2.AsyncClient
    neighbours: Neighbours
    kafka: Kafka
    urls: Urls
    system: Database
    settings: Settings

    def headers(self, *agencies: str, scopes: list[str] | None = None) -> dict[str, str]:
        """A desk's token."""
        return self.neighbours.tokens.headers(scopes=scopes or SCOPES, agencies=agencies or ("H08",))

    async def fault(self, mode: str = "normal", **members: Any) -> None:
        """Make the platform misbehave, or its payers."""
        order = {"system": "payment", "mode": mode, **members}
        response = await self.sandbox.post("/_sandbox/faults", json=order)
        assert response.status_code == 200, response.text

    async def request(self, *codes: str, version: int = 3) -> None:
        """The dossiers ask for payment."""
        for code in codes:
            self.neighbours.know(code)
        await feed(self.kafka, "lgsp.dossier", [a_request(code, version=version) for code in codes])

    async def callback(self, body: bytes) -> httpx2.Response:
        """Send the service a CONFIRM."""
        return await self.client.post("/callbacks/payment-platform", content=body)

    async def told(self, name: str = "") -> list[dict[str, Any]]:
        """The data of the events published so far, of this name or all."""
        events = [e for e in await published(self.system) if name in e["type"]]
        return [event["data"] | {"type": event["type"]} for event in events]

    async def wait_for(self, name: str, count: int = 1, seconds: float = 20.0) -> list[dict[str, Any]]:
        """The same, once there are so many."""

        async def enough() -> list[dict[str, Any]]:
            found = await self.told(name)
            return found if len(found) >= count else []

        found: list[dict[str, Any]] = await eventually(enough, seconds=seconds)
        assert len(found) == count
        return found

    async def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Look into the service's database as its workers see it."""
        async with self.system.reading() as rx:
            return [dict(row) for row in await rx.rows(sql, **parameters)]

    async def charge(self) -> dict[str, Any]:
        """The only charge."""
        [row] = await self.rows("SELECT * FROM charge")
        return row

    async def confirm(self, **members: Any) -> bytes:
        """A genuine CONFIRM of the only charge."""
        reference = (await self.charge())["reference"]
        return a_confirm(**({"MaThamChieu": reference} | members))


def a_request(code: str = CODE, *, version: int = 3, fees: list[dict[str, Any]] | None = None) -> Event:
    """`dossier.payment_requested` with two fees of 50,000 đồng together."""
    change = {"action": "request_payment", "from_status": 2, "to_status": 6}
    change["fees"] = FEES if fees is None else fees
    return dossier_event("payment_requested", code, AT, version=version, status_code=6, change=change)


def a_confirm(**members: Any) -> bytes:
    """A CONFIRM of 50,000 đồng for this hub, rightly signed."""
    return signed(**({"MaDoiTac": "LGSP-HUB", "ThoiGianGD": "20230301083000"} | members))


TillMaker = Callable[..., Awaitable[Till]]


@pytest_asyncio.fixture
async def a_till(
    service_database: Callable[[str], Awaitable[Urls]],
    kafka_bootstrap: str,
    kafka_prefix: str,
    served: Callable[..., Awaitable[str]],
    tmp_path: Path,
) -> AsyncIterator[TillMaker]:
    """`till = await a_till(query_after_seconds=0.2)`: the service with these settings; payers hold unless told."""
    systems: list[Database] = []
    clients: list[httpx2.AsyncClient] = []

    async def make(*, payer: str = "hold", **settings: Any) -> Till:
        till = await open_till(
            await service_database("payment"), Kafka(kafka_bootstrap, kafka_prefix), served, tmp_path, settings
        )
        systems.append(till.system)
        clients.extend((till.client, till.sandbox))
        await till.fault(payer=payer)
        return till

    yield make
    for client in clients:
        await client.aclose()
    await asyncio.gather(*(system.close() for system in systems))


async def open_till(
    urls: Urls, kafka: Kafka, served: Callable[..., Awaitable[str]], folder: Path, settings: dict[str, Any]
) -> Till:
    """Start the service, the sandbox and the neighbours."""
    neighbours = Neighbours()
    gateway_url = await served(neighbours.app)
    neighbours.tokens = TokenIssuer(gateway_url)
    port = a_free_port()
    callback_url = f"http://127.0.0.1:{port}/callbacks/payment-platform"
    sandbox = create_sandbox(SandboxSettings(sandbox_file=folder / "sandbox.sqlite3", callback_url=callback_url))
    sandbox_url = await served(sandbox)
    wired = Settings(
        database_api_url=urls.api,
        database_system_url=urls.system,
        kafka_bootstrap=kafka.bootstrap,
        kafka_prefix=kafka.prefix,
        gateway_url=gateway_url,
        service_key_file=a_service_key(folder, "payment"),
        dossier_url=gateway_url,
        platform_url=f"{sandbox_url}/payment-platform",
        platform_partner_code="LGSP-HUB",
        platform_secret=SECRET,
        **settings,
    )
    app = create_app(wired, jwks=JwksSource.of(neighbours.tokens.jwks))
    url = await served(app, port)
    return Till(
        app=app,
        client=httpx2.AsyncClient(base_url=url, trust_env=False, timeout=30),
        sandbox=httpx2.AsyncClient(base_url=sandbox_url, trust_env=False, timeout=30),
        neighbours=neighbours,
        kafka=kafka,
        urls=urls,
        system=Database(urls.system, pool_size=2),
        settings=wired,
    )
