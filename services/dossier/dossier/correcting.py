"""Asking for a correction, approving it, refusing it. Each function runs in the transaction it is given."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import uuid_utils

from dossier import correction, correction_store, reading_store, store
from dossier.correction import Correction, Outcome, Person, Retimed
from dossier.handling import Procedures
from dossier.history import Entry
from dossier.record import Dossier, Step
from dossier.refusal import CorrectionDecided
from dossier.store import Change
from shared import clock
from shared.db import Reading, Transaction
from shared.errors import FieldError, InvalidRequest, NotFound
from shared.events import Cause


async def ask(
    tx: Transaction, code: str, wanted: Correction, asker: Person, reason: str, procedures: Procedures
) -> Mapping[str, Any]:
    """Keep the request; it is tried out first, so that nobody approves what cannot be done."""
    dossier = await _locked(tx, code)
    await _outcome(tx, dossier, wanted, procedures)
    members = _members(wanted)
    correction_id = str(uuid_utils.uuid7())
    return await correction_store.ask(tx, correction_id, code, dossier.agency_code, reason, members, asdict(asker))


async def approve(
    tx: Transaction, code: str, correction_id: str, approver: Person, procedures: Procedures, cause: Cause
) -> Step:
    """Correct the dossier: a transition of its own, with what was before and what is now."""
    dossier = await _locked(tx, code)
    asked = await _open(tx, code, correction_id)
    correction.require_another(Person(**asked["asked_by"]), approver)
    made = await _outcome(tx, dossier, _a_correction(asked["wanted"]), procedures)
    detail = {
        "correction_id": correction_id,
        "reason": asked["reason"],
        "asked_by": _named(asked["asked_by"]),
        "asked_at": asked["asked_at"],
        "approved_by": _named(asdict(approver)),
    }
    step = correction.as_step(dossier, made, max(clock.now(), made.after.last_at), _named(asdict(approver)), detail)
    await store.save(tx, [Change(step, approver.client_id, cause)], clock.now())
    await correction_store.decide(tx, correction_id, "approved", asdict(approver), step.after.version)
    return step


async def reject(tx: Transaction, code: str, correction_id: str, person: Person) -> None:
    """Nothing changes; who asked may take it back too."""
    await _locked(tx, code)
    await _open(tx, code, correction_id)
    await correction_store.decide(tx, correction_id, "rejected", asdict(person), None)


async def listed(rx: Reading, code: str) -> Sequence[Mapping[str, Any]]:
    """The corrections of a dossier, oldest first. Raises `NotFound` for a dossier that cannot be seen."""
    if not await reading_store.exists(rx, code):
        raise NotFound
    return await correction_store.of_dossier(rx, code)


async def _locked(tx: Transaction, code: str) -> Dossier:
    dossier = (await store.lock(tx, [code])).get(code)
    if dossier is None or not await store.speaks_for(tx, dossier.agency_code):
        raise NotFound  # who took the papers in for this agency does not correct what it did
    return dossier


async def _open(tx: Transaction, code: str, correction_id: str) -> Mapping[str, Any]:
    asked = await correction_store.one(tx, code, correction_id)
    if asked is None:
        raise InvalidRequest(errors=[FieldError("/correction_id", "is not a correction of this dossier")])
    if asked["state"] != "asked":
        raise CorrectionDecided
    return asked


async def _outcome(tx: Transaction, dossier: Dossier, wanted: Correction, procedures: Procedures) -> Outcome:
    rows = await reading_store.history(tx, [dossier.code])
    return correction.outcome(dossier, entries(rows), wanted, procedures.terms(dossier), clock.now())


def entries(rows: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """The history as it counts: what was recorded, with the corrections that were approved."""
    found: list[Entry] = []
    for row in rows:
        detail = row["detail"] or {}
        if row["action"] == "correct":
            found = correction.corrected(found, _a_correction(detail["correction"]), row["version"])
        elif row["action"] != "submit":
            found.append(_an_entry(row, detail))
    return found


def _an_entry(row: Mapping[str, Any], detail: Mapping[str, Any]) -> Entry:
    promised = detail.get("apology", {})
    new_due_at = row["due_after"] if row["action"] == "extend" else None
    return Entry(
        version=row["version"], action=row["action"], at=row["at"], reason=row["reason"], actor=row["actor"],
        new_due_at=_moment(promised["promised_at"]) if row["action"] == "apologise" else new_due_at,
        apology=promised.get("letter"),
        documents=tuple(detail.get("documents", ())), fees=tuple(detail.get("fees", ())),
        attachments=tuple(detail.get("attachments", ())), legal_exception=detail.get("legal_exception"),
        ministry_event=detail.get("ministry_event"),
    )  # fmt: skip


def _members(wanted: Correction) -> dict[str, Any]:
    return {"times": [asdict(it) for it in wanted.times], "steps": [asdict(it) for it in wanted.steps]}


def _a_correction(members: Mapping[str, Any]) -> Correction:
    """From the request, or from the transition it became."""
    times = tuple(Retimed(it["version"], _moment(it["at"])) for it in members["times"])
    return Correction(times, tuple(_a_step(it) for it in members["steps"]), tuple(members.get("dropped", ())))


def _a_step(it: Mapping[str, Any]) -> Entry:
    return Entry(
        version=0, action=it["action"], at=_moment(it["at"]), reason=it.get("reason"), actor=it.get("actor"),
        documents=tuple(it.get("documents", ())), attachments=tuple(it.get("attachments", ())),
        legal_exception=it.get("legal_exception"), identity_reason=it.get("identity_reason"),
        ministry_event=it.get("ministry_event"),
    )  # fmt: skip


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _named(person: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": person["name"], "title": person["title"], "unit": person["unit"]}
