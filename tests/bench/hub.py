"""The stack that is measured: its clients' tokens, its databases, its processes, and waiting until it is at rest."""

import asyncio
import base64
import json
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx2
import psutil

ROOT = Path(__file__).resolve().parents[2]
_REST_SECONDS = 600.0


@dataclass
class Hub:
    """A running stack in a folder."""

    folder: Path
    stack: dict[str, Any] = field(init=False)
    clients: dict[str, dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.stack = json.loads((self.folder / "stack.json").read_text(encoding="utf-8"))
        self.clients = json.loads((self.folder / "clients.json").read_text(encoding="utf-8"))

    async def token(self, name: str) -> str:
        """A fresh access token of one of the stack's clients."""
        client = self.clients[name]
        pair = base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()
        async with httpx2.AsyncClient() as session:
            answer = await session.post(
                f"{self.stack['gateway']}/oauth/token",
                data={"grant_type": "client_credentials"},
                headers={"Authorization": f"Basic {pair}"},
            )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    async def call(self, client: str, method: str, path: str, body: Any = None) -> Any:
        """One call through the gateway."""
        headers = {"Authorization": f"Bearer {await self.token(client)}"}
        async with httpx2.AsyncClient(timeout=60) as session:
            answer = await session.request(method, self.stack["gateway"] + path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()

    async def portal(self, fault: dict[str, Any]) -> None:
        """How the sandbox's portal behaves from now on."""
        async with httpx2.AsyncClient() as session:
            answer = await session.post(f"{self.stack['sandbox']}/_sandbox/faults", json={"system": "portal", **fault})
        answer.raise_for_status()

    async def load(self, client: str, mode: str, *, service: str = "gateway", **order: Any) -> dict[str, Any]:
        """Runs the load process against the gateway, or a service directly. Raises when anything was refused."""
        place = urlsplit(self.stack["services"][service])
        asked = {"mode": mode, "host": place.hostname, "port": place.port, "token": await self.token(client), **order}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.load"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate(json.dumps(asked).encode())
        found: dict[str, Any] = json.loads(said)
        if found["refused"]:
            raise RuntimeError(f"{mode}: {found['refused']} refused, for instance {found['first_refusal']}")
        return found

    async def rows(self, package: str, query: str, *arguments: Any) -> list[Any]:
        """Rows of one service's database."""
        connection = await asyncpg.connect(self.stack["postgres"][package])
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    async def value(self, package: str, query: str, *arguments: Any) -> Any:
        """One value of one service's database."""
        return (await self.rows(package, query, *arguments))[0][0]

    async def database_time(self) -> datetime:
        """The clock by which rows are recorded."""
        moment: datetime = await self.value("dossier", "SELECT clock_timestamp()")
        return moment

    def cpu_seconds(self, service: str) -> float:
        """CPU time that a service has used so far."""
        state = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        times = psutil.Process(state["programs"][service]["pid"]).cpu_times()
        return float(times.user + times.system)

    async def rest(self) -> None:
        """Waits until nothing of what was measured before is still being worked on."""
        ends = time.monotonic() + _REST_SECONDS
        calm = 0
        while calm < 2:
            calm = calm + 1 if await self._is_at_rest() else 0
            if time.monotonic() > ends:
                raise RuntimeError(f"The hub did not come to rest within {_REST_SECONDS:.0f} s.")
            await asyncio.sleep(0.5)

    async def _is_at_rest(self) -> bool:
        for package in self.stack["postgres"]:
            if await self.value(package, "SELECT EXISTS (SELECT FROM outbox)"):
                return False
        status = await self.call("operator", "GET", "/v1/sync/status")
        counts: dict[str, int] = status["destinations"][0]["counts"]
        if any(number for state, number in counts.items() if state not in ("synced", "held")):
            return False
        if await self.value("dossier", "SELECT EXISTS (SELECT FROM dossier WHERE identity_outcome = 'pending')"):
            return False
        report = await self.call("operator", "GET", "/v1/reports/agencies?province=H08&from=2026-01-01&to=2026-01-31")
        return not report["behind"]
