"""What each action changes beside the status. `moved` is the dossier already in its new status."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from dossier import charge
from dossier.record import Command, Dossier, Supplement, Terms

Effect = Callable[[Dossier, Dossier, Command, Terms], Dossier]


def no_effect(moved: Dossier, _before: Dossier, _command: Command, _terms: Terms) -> Dossier:
    return moved


def _receive(moved: Dossier, _before: Dossier, _command: Command, terms: Terms) -> Dossier:
    return replace(moved, received_at=moved.last_at, due_at=terms.due(moved.last_at))


def _refuse(moved: Dossier, _before: Dossier, _command: Command, _terms: Terms) -> Dossier:
    return replace(moved, refused_at=moved.last_at)


def _request_supplement(moved: Dossier, before: Dossier, command: Command, _terms: Terms) -> Dossier:
    asked = Supplement(moved.last_at, (command.actor or {}).get("name"), command.reason, before.due_at)
    return replace(moved, back_to=before.status, supplements=(*before.supplements, asked))


def _supplement(moved: Dossier, before: Dossier, _command: Command, terms: Terms) -> Dossier:
    asked, due = before.supplements[-1], before.due_at
    if due is not None:
        due = terms.due_after_supplement(due, asked.requested_at, moved.last_at)
    answered = replace(asked, answered_at=moved.last_at, due_after=due)
    return replace(moved, back_to=None, due_at=due, supplements=(*before.supplements[:-1], answered))


def _request_payment(moved: Dossier, before: Dossier, command: Command, _terms: Terms) -> Dossier:
    opened = charge.requested(command.fees, moved.last_at, moved.version)
    return replace(moved, back_to=before.status, charges=(*before.charges, opened))


def _leave_origin(moved: Dossier, _before: Dossier, _command: Command, _terms: Terms) -> Dossier:
    return replace(moved, back_to=None)


def _extend(moved: Dossier, _before: Dossier, command: Command, _terms: Terms) -> Dossier:
    return replace(moved, is_extended=True, due_at=command.new_due_at)


def _finish(moved: Dossier, before: Dossier, command: Command, _terms: Terms) -> Dossier:
    ended = replace(moved, finished_at=moved.last_at, identity_reason=command.identity_reason)
    return _with_results(ended, before, command)


def _return_result(moved: Dossier, _before: Dossier, _command: Command, _terms: Terms) -> Dossier:
    return replace(moved, returned_at=moved.last_at)


def _attach_result(moved: Dossier, before: Dossier, command: Command, _terms: Terms) -> Dossier:
    return _with_results(moved, before, command)


def _with_results(moved: Dossier, before: Dossier, command: Command) -> Dossier:
    at = moved.last_at.isoformat()
    added = tuple({**document, "at": at} for document in command.documents)
    return replace(
        moved,
        results=(*before.results, *added),
        has_electronic_result=before.has_electronic_result or is_electronic(command.documents),
    )


def is_electronic(documents: Sequence[dict[str, Any]]) -> bool:
    """An electronic result has an address and a digest (`api.md`, Reports)."""
    return any(document.get("url") and document.get("sha256") for document in documents)


EFFECTS: dict[str, Effect] = {
    "receive": _receive,
    "refuse": _refuse,
    "request_supplement": _request_supplement,
    "supplement": _supplement,
    "request_payment": _request_payment,
    "settle": _leave_origin,
    "withdraw": _leave_origin,
    "stop": _leave_origin,
    "extend": _extend,
    "finish": _finish,
    "return_result": _return_result,
    "attach_result": _attach_result,
}
