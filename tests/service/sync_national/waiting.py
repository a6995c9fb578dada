"""Waiting for the hub: what happens in the background is looked for, never slept for."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2

T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T | None]], *, seconds: float = 20.0, what: str = "it") -> T:
    """The first true thing that `look` finds."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        await asyncio.sleep(0.03)
    return found


async def dossier(client: httpx2.AsyncClient, code: str) -> dict[str, Any]:
    """One dossier as the operator sees it; {} when it is not known yet."""
    answer = await client.get(f"/v1/sync/dossiers/{code}")
    return answer.json() if answer.status_code == 200 else {}


async def until_state(client: httpx2.AsyncClient, code: str, state: str, version: int | None = None) -> dict[str, Any]:
    """The dossier once it is in that state (at that desired version)."""
    seen: dict[str, Any] = {}

    async def look() -> dict[str, Any] | None:
        nonlocal seen
        seen = await dossier(client, code)
        fits = seen.get("state") == state and (version is None or seen["desired_version"] == version)
        return seen if fits else None

    try:
        return await until(look, what=f"{code} {state}")
    except AssertionError as late:
        raise AssertionError(f"{late}: {seen}") from late


async def until_level(client: httpx2.AsyncClient, codes: list[str], *, seconds: float = 30.0) -> None:
    """All of these are synced."""

    async def look() -> bool:
        found = await _listed(client)
        return all(code in found and found[code]["state"] == "synced" for code in codes)

    await until(look, seconds=seconds, what="level")


async def until_settled(client: httpx2.AsyncClient, codes: list[str], *, seconds: float = 60.0) -> None:
    """All of these are synced, and no push that was given up can come over it any more."""

    async def look() -> bool:
        found = await _listed(client)
        ours = [found.get(code, {}) for code in codes]
        return all(item.get("state") == "synced" and item["next_try_at"] is None for item in ours)

    await until(look, seconds=seconds, what="settled")


async def _listed(client: httpx2.AsyncClient) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    cursor = None
    while True:
        query = {"limit": 500} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/sync/dossiers", params=query)).json()
        found.update({item["code"]: item for item in page["items"]})
        cursor = page["next_cursor"]
        if cursor is None:
            return found
