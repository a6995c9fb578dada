"""What citizen-db-adapter reads: `lgsp.dossier`."""

from collections.abc import Sequence

from citizen_db_adapter import verifying
from shared.db import Transaction
from shared.events import Event
from shared.inbox import Handler, Park
from shared.worker import Worker

SUBMITTED = "vn.lgsp.dossier.submitted.v1"


def of_dossiers(asking: Worker) -> Handler:
    """The handler of `lgsp.dossier`: every submitted dossier becomes a question to the register."""

    async def take(tx: Transaction, batch: Sequence[Event]) -> Sequence[Park]:
        submitted = [event for event in batch if event.type == SUBMITTED]
        if submitted:
            tx.on_commit(asking.wake.set)
            await verifying.accept(tx, submitted)
        return []

    return take
