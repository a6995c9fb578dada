"""The sandbox served on a port for a test, with a client that speaks for a province."""

from dataclasses import dataclass
from typing import Any

import httpx2

from tests.support.national_messages import PORTAL_HEADERS, register_headers


@dataclass
class Province:
    """Talks to the sandbox's national systems, and to its controls."""

    client: httpx2.AsyncClient
    session: str = ""

    async def log_in(self) -> None:
        answer = await self.portal("login", username="hub", password="hub")
        self.session = answer["session"]

    async def portal(self, place: str, **body: Any) -> dict[str, Any]:
        answer = await self.client.post(f"/portal/{place}", json=body, headers=PORTAL_HEADERS)
        found: dict[str, Any] = answer.json()
        return found

    async def call(self, place: str, service: str, **body: Any) -> dict[str, Any]:
        return await self.portal(place, session=self.session, madonvi="H08", service=service, **body)

    async def push(self, *records: Any, updating: bool = False) -> dict[str, Any]:
        return await self.call("integration", "DongBoHoSoMC", isUpdating=str(updating), data=list(records))

    async def push_progress(self, *rows: Any) -> dict[str, Any]:
        return await self.call("integration", "CapNhatTienDoHoSoMC", isUpdating="False", data=list(rows))

    async def look_up(self, code: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.call("share", "TraCuuHoSo", mahoso=code))["result"]
        return found

    async def pay(self, place: str, message: Any) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.post(f"/payment-platform/{place}", json=message)).json()
        return found

    async def register(self, body: bytes, **headers: Any) -> httpx2.Response:
        return await self.client.post("/population", content=body, headers=register_headers(**headers))

    async def order(self, system: str, **order: Any) -> httpx2.Response:
        return await self.client.post("/_sandbox/faults", json={"system": system, **order})

    async def items(self, place: str, limit: int = 500) -> list[dict[str, Any]]:
        """All pages of a list of the controls."""
        items: list[dict[str, Any]] = []
        cursor: str | None = "0"
        while cursor is not None:
            answer = await self.client.get(f"/_sandbox/{place}", params={"cursor": cursor, "limit": limit})
            page = answer.raise_for_status().json()
            items += page["items"]
            cursor = page["next_cursor"]
        return items
