"""kill -9 under load: whoever has an answer has a record, and the log is sound (faults.md rows 1, 34)."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import httpx2

from deploy.local.databases import Urls
from deploy.local.ports import a_free_port
from gateway import proving
from tests.support import apps

from .conftest import CODE, Behind, bootstrapped, write_keys


def started(folder: Path, urls: Urls, port: int, behind_url: str, bootstrap: str) -> subprocess.Popen[bytes]:
    """`python -m gateway` as a process of its own."""
    services = ("DOSSIER", "PAYMENT", "CITIZEN", "SYNC", "CONSOLE")
    settings = {
        "HUB_PORT": str(port),
        "HUB_GATEWAY_URL": f"http://127.0.0.1:{port}",
        "HUB_DATABASE_API_URL": urls.api,
        "HUB_DATABASE_SYSTEM_URL": urls.system,
        "HUB_KAFKA_BOOTSTRAP": bootstrap,
        "HUB_SIGNING_KEYS_FILE": str(folder / "signing.json"),
        "HUB_SERVICE_KEYS_FILE": str(folder / "services.json"),
    } | {f"HUB_{name}_URL": behind_url for name in services}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    return subprocess.Popen([sys.executable, "-m", "gateway"], env=inherited | settings, stdout=subprocess.DEVNULL)


async def ready(client: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.1)


async def answered_until_killed(client: httpx2.AsyncClient, headers: dict[str, str]) -> list[str]:
    """Exchange ids of every 2xx until the connection breaks."""
    ids: list[str] = []
    while True:
        try:
            answer = await client.get(f"/v1/dossiers/{CODE}", headers=headers)
        except httpx2.TransportError:
            return ids
        if answer.status_code == 200:
            ids.append(answer.headers["hub-exchange-id"])


async def test_every_answered_exchange_is_in_a_sound_log_after_a_kill(
    tmp_path: Path, service_database: Callable[[str], Awaitable[Urls]], kafka_bootstrap: str
) -> None:
    urls = await service_database("gateway")
    write_keys(tmp_path)
    port = a_free_port()
    url = f"http://127.0.0.1:{port}"
    known = (await bootstrapped(urls, url))["portal"]
    ids: list[str] = []
    async with apps.served(Behind().app()) as behind_url:
        for _ in range(2):
            process = started(tmp_path, urls, port, behind_url, kafka_bootstrap)
            async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=10) as client:
                await ready(client)
                form = {"grant_type": "client_credentials"}
                token = await client.post("/oauth/token", data=form, auth=(known["client_id"], known["client_secret"]))
                headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
                load = asyncio.gather(*(answered_until_killed(client, headers) for _ in range(8)))
                await asyncio.sleep(1.0)
                process.kill()
                for found in await load:
                    ids.extend(found)
            await asyncio.to_thread(process.wait)
    assert ids
    connection = await asyncpg.connect(urls.system)
    missing = await connection.fetch(
        "SELECT id FROM unnest($1::uuid[]) AS told(id) WHERE id NOT IN (SELECT id FROM exchange)", ids
    )
    await connection.close()
    assert missing == []
    proof = await proving.verify(urls.system)
    assert proof.flaw is None
    assert proof.chains == 2
    assert proof.records >= len(ids)
