"""Effects without a record: a gateway that dies after the service acted and before it wrote the log leaves one.

Services keep the exchange's id beside their effect. Long enough afterwards for every exchange to have ended, those
ids are looked up in the log, and the ones it lacks are appended as `recovered`: who, which dossiers and when are
known; what was asked and answered is not (status 0, no digests), because nobody was answered.
"""

from gateway import store_recovery
from gateway.effects import Effect, Effects
from gateway.exchange import Exchange
from gateway.recording import Recorder
from shared.db import Database
from shared.telemetry import log

UNKNOWN = "unknown"


class Recovery:
    """Compares effects and log, ten seconds at a time; one copy of the gateway at a time."""

    def __init__(self, database: Database, effects: Effects, recorder: Recorder, *, after_seconds: float) -> None:
        self._database = database
        self._effects = effects
        self._recorder = recorder
        self._after_seconds = after_seconds

    async def step(self) -> int:
        """One look; 1 when there is more to compare at once."""
        async with self._database.transaction() as tx:
            window = await store_recovery.lease(tx, self._after_seconds)
        if window is None:
            return 0
        effects = await self._effects.recorded(window.after, window.until)
        async with self._database.reading() as rx:
            missing = await store_recovery.missing(rx, [effect.exchange_id for effect in effects])
        for effect in effects:
            if effect.exchange_id in missing:
                log.error("exchange_recovered", exchange=effect.exchange_id, dossiers=len(effect.dossier_codes))
                await self._recorder.record(_recovered(effect))
        async with self._database.transaction() as tx:
            await store_recovery.compared(tx, window.until)
        return 0 if window.is_last else 1


def _recovered(effect: Effect) -> Exchange:
    return Exchange(
        id=effect.exchange_id,
        kind="recovered",
        client_id=effect.client_id,
        subject=None,
        role=None,
        method=UNKNOWN,
        route=UNKNOWN,
        path=UNKNOWN,
        status=0,
        upstream_status=None,
        purpose=None,
        received_at=effect.recorded_at,
        answered_at=effect.recorded_at,
        request_sha256=None,
        response_sha256=None,
        dossier_codes=effect.dossier_codes,
    )
