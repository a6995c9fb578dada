"""What payment reads: `lgsp.dossier`."""

from collections.abc import Sequence

from payment import charging
from shared.db import Transaction
from shared.events import Event
from shared.inbox import Handler, Park
from shared.worker import Worker

REQUESTED = "vn.lgsp.dossier.payment_requested.v1"


def of_dossiers(initiating: Worker) -> Handler:
    """The handler of `lgsp.dossier`: learns whose dossiers these are, charges what is requested."""

    async def take(tx: Transaction, batch: Sequence[Event]) -> Sequence[Park]:
        await charging.learn_dossiers(tx, batch)
        requested = [event for event in batch if event.type == REQUESTED]
        if not requested:
            return []
        tx.on_commit(initiating.wake.set)
        return await charging.request_charges(tx, requested)

    return take
