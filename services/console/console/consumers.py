"""One function per topic: decode is done, call. `lgsp.ministry` is not read here: it may name persons."""

from collections.abc import Sequence

from console import projecting
from shared.db import Transaction
from shared.events import Event
from shared.inbox import Handler, Park


async def dossier(tx: Transaction, events: Sequence[Event]) -> Sequence[Park]:
    """`lgsp.dossier`"""
    await projecting.dossiers(tx, events)
    return ()


async def identity(tx: Transaction, events: Sequence[Event]) -> Sequence[Park]:
    """`lgsp.identity`"""
    await projecting.identities(tx, events)
    return ()


async def payment(tx: Transaction, events: Sequence[Event]) -> Sequence[Park]:
    """`lgsp.payment`"""
    await projecting.payments(tx, events)
    return ()


async def sync(tx: Transaction, events: Sequence[Event]) -> Sequence[Park]:
    """`lgsp.sync`"""
    await projecting.syncs(tx, events)
    return ()


TOPICS: dict[str, Handler] = {
    "lgsp.dossier": dossier,
    "lgsp.identity": identity,
    "lgsp.payment": payment,
    "lgsp.sync": sync,
}
