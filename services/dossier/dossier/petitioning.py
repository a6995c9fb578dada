"""Taking petitions in and steps with them; each function runs in the transaction it is given."""

import uuid_utils

from dossier import petition, petition_store, reading_store
from dossier.deadline import WorkingCalendar
from dossier.dossier import action_time
from dossier.petition import Asked, Petition
from dossier.record import Command
from dossier.refusal import ActionNotForRole
from shared.db import Transaction
from shared.errors import NotFound


async def file(
    tx: Transaction, asked: Asked, calendar: WorkingCalendar, *, agency_code: str, dossier_code: str | None,
    subject: str, external_reference: str | None, client_id: str, exchange_id: str | None,
) -> Petition:  # fmt: skip
    """A new petition, about a dossier of the caller's agencies or about an agency."""
    if asked.role not in petition.FILERS:
        raise ActionNotForRole
    if dossier_code is not None and not await reading_store.exists(tx, dossier_code):
        raise NotFound
    at = action_time(None, Command("file", asked.role, asked.now, asked.at, may_import=asked.may_import))
    it = petition.received(str(uuid_utils.uuid7()), agency_code, dossier_code, at, calendar)
    await petition_store.insert(tx, it, subject=subject, external_reference=external_reference, client_id=client_id)
    await petition_store.add_step(
        tx, it, "file", reason=None, actor=asked.actor, client_id=client_id, exchange_id=exchange_id
    )
    return it


async def step(
    tx: Transaction, petition_id: str, asked: Asked, calendar: WorkingCalendar, *, client_id: str,
    exchange_id: str | None,
) -> Petition:  # fmt: skip
    """One step with a petition. Raises `NotFound`, and what the rules refuse."""
    before = await petition_store.lock(tx, petition_id)
    if before is None:
        raise NotFound
    after = petition.take(before, asked, calendar)
    await petition_store.save(tx, after, asked.text)
    await petition_store.add_step(
        tx, after, asked.action, reason=asked.reason, actor=asked.actor, client_id=client_id, exchange_id=exchange_id
    )
    return after
