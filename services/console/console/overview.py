"""What the synchronisation page says of one destination. Rules only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console import wording

# In the order in which one looks: what is done, what moves, what needs somebody.
STATES = ("synced", "pending", "in_flight", "unknown", "failed", "parked", "held")
TROUBLED = ("parked", "failed", "unknown")


@dataclass(frozen=True, slots=True)
class Slice:
    """One state's part of the bar; `start` and `width` in per cent of its length."""

    state: str
    name: str
    tone: str
    count: int
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Destination:
    """One national system and how level it is."""

    name: str
    total: int
    synced: int
    synced_pct: float
    slices: Sequence[Slice]
    oldest_unsynced: str
    per_second: float
    last_minute: int
    breaker: str
    breaker_tone: str
    code: str
    holds: Sequence[Mapping[str, Any]]
    drain: Mapping[str, Any]
    failures: Mapping[str, int]
    last_reconciliation: Mapping[str, Any] | None
    quota_left: int | None

    @property
    def unsynced(self) -> int:
        """How many dossiers the portal does not show as they are."""
        return self.total - self.synced

    @property
    def is_held(self) -> bool:
        """Whether nothing at all is pushed there now."""
        return any(it["agency_code"] is None for it in self.holds)

    @property
    def forecast(self) -> str:
        """When what waits will have gone out, in words."""
        drain = self.drain
        if not drain["waiting"]:
            return "Không có hồ sơ chờ"
        if drain["expected_at"]:
            return f"Dự kiến xong lúc {wording.moment(drain['expected_at'])}"
        if self.is_held:
            return "Chưa dự báo được: đang tạm giữ, chưa có giờ kết thúc hoặc chưa có tốc độ"
        return "Chưa dự báo được: phút vừa qua không có hồ sơ nào đi"


def destination(status: Mapping[str, Any]) -> Destination:
    """From one entry of `GET /v1/sync/status`."""
    counts: Mapping[str, int] = status["counts"]
    total = sum(counts.values())
    synced = counts.get("synced", 0)
    oldest = status.get("oldest_unsynced_seconds")
    return Destination(
        name=wording.word(wording.DESTINATIONS, status["destination"]),
        total=total,
        synced=synced,
        synced_pct=wording.share_pct(synced, total),
        slices=slices(counts, total),
        oldest_unsynced="Không có" if oldest is None else wording.age(oldest),
        per_second=status.get("throughput_per_second") or 0.0,
        last_minute=status.get("acknowledged_last_minute") or 0,
        breaker=wording.word(wording.BREAKERS, status["breaker"]),
        breaker_tone=wording.BREAKER_TONES.get(status["breaker"], ""),
        code=status["destination"],
        holds=status["holds"],
        drain=status["drain"],
        failures=status["failures"],
        last_reconciliation=status["last_reconciliation"],
        quota_left=status.get("quota_left"),
    )


def slices(counts: Mapping[str, int], total: int) -> list[Slice]:
    """The bar: the parts lie side by side and fill it."""
    found, start = [], 0.0
    for state in STATES:
        count = counts.get(state, 0)
        width = 100 * count / total if total else 0.0
        name, tone = wording.SYNC_STATES[state], wording.SYNC_TONES[state]
        found.append(Slice(state, name, tone, count, round(start, 3), round(width, 3)))
        start += width
    return found
