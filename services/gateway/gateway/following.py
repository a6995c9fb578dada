"""Following a ministry's event through the hub: accepted, stored, published, applied to its dossier, synced.

Each service keeps what it did, and is asked for it: the gateway its own tables, the dossier service what became of the
event, sync-national since when the nation has the version that it made. A service that does not answer leaves its
columns empty and says so (`unknown`); what the gateway itself knows is told all the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.auth import InternalToken
from shared.errors import HubError, UpstreamInvalid
from shared.http import Peer
from shared.telemetry import log

_DEADLINE_SECONDS = 5.0
_MOST_BYTES = 8 * 1024 * 1024
Name = tuple[str, str, str]
"""Client, source and id: what makes an event unique."""


class Following:
    """What the two other services know."""

    def __init__(self, dossier_url: str, sync_url: str, token: InternalToken | None) -> None:
        limits: dict[str, Any] = {"deadline_seconds": _DEADLINE_SECONDS, "max_bytes": _MOST_BYTES, "concurrency": 8}
        self._dossier = Peer("dossier outcomes", dossier_url, **limits)
        self._sync = Peer("sync acknowledgements", sync_url, **limits)
        self._token = token

    async def outcomes(self, names: Sequence[Name], dossier_code: str | None = None) -> dict[Name, Any] | None:
        """What became of these events, and of all that concern a dossier; None: the service does not answer."""
        question = {
            "events": [{"client_id": client, "source": source, "id": id_} for client, source, id_ in names],
            "dossier_code": dossier_code,
        }
        items = await self._asked(self._dossier, "/internal/events/outcomes", question)
        return None if items is None else {(it["client_id"], it["source"], it["id"]): it for it in items}

    async def acknowledged(self, versions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Any] | None:
        """Since when the nation has these versions of dossiers."""
        asked = [{"code": code, "version": version} for code, version in sorted(set(versions))]
        if not asked:
            return {}
        items = await self._asked(self._sync, "/internal/sync/acknowledged", {"dossiers": asked})
        return None if items is None else {(it["code"], it["version"]): it for it in items}

    async def close(self) -> None:
        """Close the connections."""
        await self._dossier.close()
        await self._sync.close()

    async def _asked(self, peer: Peer, path: str, question: Mapping[str, Any]) -> list[Any] | None:
        try:
            header = {} if self._token is None else await self._token.header()
            answer = await peer.send("POST", path, json=question, headers=header)
            if answer.status != 200:
                raise UpstreamInvalid(internal=f"{path}: HTTP {answer.status}")
            items: list[Any] = answer.json()["items"]
        except (HubError, KeyError, TypeError) as fault:
            log.warning("event_not_followed", path=path, fault=repr(fault))
            return None
        return items


def matrix(
    row: Mapping[str, Any], outcome: Mapping[str, Any] | None, synced: Mapping[str, Any] | None
) -> dict[str, Any]:
    """One event's row. `outcome` and `synced` are None where nothing is known yet."""
    known = outcome or {}
    return {
        "client_id": row["client_id"],
        "source": row["source"],
        "id": row["event_id"],
        "type": row["type"],
        "dossier_code": known.get("dossier_code") or row["dossier_code"],
        "exchange_id": None if row["exchange_id"] is None else str(row["exchange_id"]),
        "accepted_at": row["accepted_at"],
        "stored_at": row["recorded_at"],
        # The dossier service remembers it longer than the gateway's own 35 days.
        "published_at": row["published_at"] or known.get("published_at"),
        "taken_at": known.get("taken_at"),
        "applied_at": known.get("applied_at"),
        "synced_at": None if synced is None else synced["acknowledged_at"],
        "state": known.get("state"),
        "reason": known.get("reason"),
        "owner": known.get("owner"),
        "action": known.get("action"),
        "happened_at": known.get("happened_at"),
        "version": known.get("version"),
        "vocabulary_version": known.get("vocabulary_version"),
        "sync_state": None if synced is None else synced["state"],
    }


def stage(item: Mapping[str, Any], *, is_dossier_away: bool, is_sync_away: bool) -> dict[str, Any]:
    """What the event's state is called, as far as it has come, and which columns nobody could tell."""
    state = item["state"]
    if state is None:
        state = "unknown" if is_dossier_away else "published" if item["published_at"] else "stored"
    elif state == "applied" and item["synced_at"]:
        state = "synced"
    unknown = ["applied_at", "synced_at"] if is_dossier_away else []
    if is_sync_away and not is_dossier_away and item["version"] is not None:
        unknown = ["synced_at"]
    return {"state": state, "unknown": unknown}
