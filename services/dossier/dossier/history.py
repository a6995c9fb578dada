"""A dossier made again from its transitions: the same arrows and effects as when it was handled, no guard.

What the transitions do not carry stays as it is known now: facts (identity, charges), the version.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dossier.dossier import LIFE, moved
from dossier.record import Command, Dossier, Status, Terms
from dossier.refusal import StepDoesNotFit, TimeGoesBack


@dataclass(frozen=True, slots=True)
class Entry:
    """One transition after the first (`submit`)."""

    version: int
    action: str
    at: datetime
    reason: str | None = None
    actor: dict[str, Any] | None = None
    new_due_at: datetime | None = None
    """What `extend` or `apologise` asked for."""
    documents: tuple[dict[str, Any], ...] = ()
    fees: tuple[dict[str, Any], ...] = ()
    attachments: tuple[dict[str, Any], ...] = ()
    legal_exception: str | None = None
    identity_reason: str | None = None
    apology: dict[str, Any] | None = None
    is_added: bool = False
    """Brought in by an approved correction, whose version it has."""
    ministry_event: int | None = None
    """Number of the ministry's event that it came of."""

    def command(self) -> Command:
        """The action as it was asked for."""
        return Command(
            action=self.action, role="hub", now=self.at, at=self.at, reason=self.reason, actor=self.actor,
            documents=self.documents, fees=self.fees, attachments=self.attachments, new_due_at=self.new_due_at,
            legal_exception=self.legal_exception, identity_reason=self.identity_reason,
            apology=self.apology,
        )  # fmt: skip


def filed(known: Dossier) -> Dossier:
    """The dossier as it was filed, with the facts that are known today."""
    return replace(
        known, status=Status.SUBMITTED, version=1, transition_version=1, last_at=known.submitted_at, back_to=None,
        received_at=None, due_at=None, finished_at=None, returned_at=None, refused_at=None, is_extended=False,
        has_electronic_result=False, supplements=(), pauses=(), results=(), apologies=(), last_reason=None,
        handed_over_at=None,
    )  # fmt: skip


def replay(known: Dossier, entries: Sequence[Entry], terms: Terms, *, since: Dossier | None = None) -> list[Dossier]:
    """The dossier after each entry, in this order; from its filing on, or from where it stood in between.

    Raises `StepDoesNotFit` where the life has no such arrow, `TimeGoesBack` where an entry precedes the one before.
    """
    states, dossier = [], filed(known) if since is None else since
    for entry in entries:
        arrow = LIFE[entry.action]
        if dossier.status not in arrow.sources:
            raise StepDoesNotFit(f"{entry.action} does not follow {dossier.status.name.lower()}")
        if entry.at < dossier.last_at:
            raise TimeGoesBack
        further = moved(dossier, arrow, entry.command(), entry.at, terms)
        dossier = replace(
            further, version=entry.version, transition_version=entry.version, charges=known.charges,
            identity_reason=further.identity_reason or known.identity_reason,
        )  # fmt: skip
        states.append(dossier)
    return states
