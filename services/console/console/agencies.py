"""Names of agencies. Events carry codes only, so the dossier service is asked for its list, every few seconds
(an agency registered just now has its row, though nothing was paid there)."""

import asyncio
import time
from collections.abc import Mapping

from shared.agency_codes import covers
from shared.auth import Caller, InternalToken
from shared.errors import Upstream
from shared.http import Peer
from shared.telemetry import log

_KEEP_SECONDS = 5.0
_TRY_AGAIN_SECONDS = 2.0


class AgencyNames:
    """`GET /internal/agencies` of dossier, remembered; while it is away the last known names serve."""

    def __init__(self, dossier: Peer, token: InternalToken) -> None:
        self._dossier = dossier
        self._token = token
        self._names: dict[str, str] = {}
        self._vertical: frozenset[str] = frozenset()
        self._read_again_at = 0.0
        self._lock = asyncio.Lock()

    async def within(self, province: str | None, caller: Caller) -> Mapping[str, str]:
        """Names by code of the province's agencies (None: of all) that the caller may see, the ministries' own too."""
        asked = ["*" if province is None else province]
        return {code: name for code, name in (await self.all()).items() if covers(asked, code) and caller.covers(code)}

    async def vertical(self) -> frozenset[str]:
        """Agencies of the ministries: not among a province's totals unless asked for."""
        await self.all()
        return self._vertical

    async def all(self) -> Mapping[str, str]:
        """All names by code; without names a report shows codes."""
        async with self._lock:
            if time.monotonic() >= self._read_again_at:
                try:
                    self._names = await self._read()
                    self._read_again_at = time.monotonic() + _KEEP_SECONDS
                except Upstream as fault:
                    log.warning("agency_names_not_read", fault=fault.internal)
                    self._read_again_at = time.monotonic() + _TRY_AGAIN_SECONDS
        return self._names

    async def _read(self) -> dict[str, str]:
        answer = await self._dossier.send("GET", "/internal/agencies", headers=await self._token.header())
        items = answer.json()["items"] if answer.status == 200 else []
        if items:
            self._vertical = frozenset(item["code"] for item in items if item.get("vertical"))
        return {item["code"]: item["name"] for item in items} or self._names
