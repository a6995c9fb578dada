"""Effects without a record: a gateway that dies after the service acted and before it wrote the log leaves one.

Services keep the exchange's id beside their effect. Long enough afterwards for every exchange to have ended, those
ids are looked up in the log, and the ones it lacks are appended as `recovered`: who, which dossiers and when are
known; what was asked and answered is not (status 0, no digests), because nobody was answered.
Each service is compared by itself: one that is away holds up nobody else's evidence.
"""

from collections.abc import Sequence

from gateway import store_recovery
from gateway.effects import Effect, Effects
from gateway.exchange import Exchange
from gateway.recording import Recorder
from shared import clock
from shared.db import Database
from shared.errors import Upstream
from shared.telemetry import log

UNKNOWN = "unknown"


class Recovery:
    """Compares the services' effects with the log, ten seconds at a time; one copy of the gateway at a time.

    One after the other: an exchange with effects in two services (an event taken in here, its transition there) is
    recovered once.
    """

    def __init__(
        self, database: Database, effects: Sequence[Effects], recorder: Recorder, *, after_seconds: float
    ) -> None:
        self._database = database
        self._effects = effects
        self._recorder = recorder
        self._after_seconds = after_seconds

    async def step(self) -> int:
        """One look at each service; how many have more to compare at once."""
        behind = 0
        for effects in self._effects:
            try:
                behind += await self._compare(effects)
            except Upstream as fault:
                log.warning("effects_not_compared", service=effects.service, fault=fault.internal or fault.message)
        return behind

    async def _compare(self, of: Effects) -> bool:
        """Whether there is more to compare."""
        async with self._database.transaction() as tx:
            window = await store_recovery.lease(tx, of.service, self._after_seconds)
        if window is None:
            return False
        effects = await of.recorded(window.after, window.until)
        async with self._database.reading() as rx:
            missing = await store_recovery.missing(rx, [effect.exchange_id for effect in effects])
        for effect in effects:
            if effect.exchange_id in missing:
                # All that the exchange did: a batch may have gone on into the next window.
                told = await of.recorded(window.after, clock.now(), effect.exchange_id)
                whole = next((it for it in told if it.exchange_id == effect.exchange_id), effect)
                log.error("exchange_recovered", exchange=whole.exchange_id, dossiers=len(whole.dossier_codes))
                await self._recorder.record(_recovered(whole))
        async with self._database.transaction() as tx:
            await store_recovery.compared(tx, of.service, window.until)
        return not window.is_last


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
