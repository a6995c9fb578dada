"""What each action changes beside the status. `moved` is the dossier already in its new status."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from dossier import charge
from dossier.record import Command, Dossier, Pause, PauseKind, Supplement, Terms

Effect = Callable[[Dossier, Dossier, Command, Terms], Dossier]


def no_effect(moved: Dossier, _before: Dossier, _command: Command, _terms: Terms) -> Dossier:
    return moved


def _hand_over(moved: Dossier, _before: Dossier, _command: Command, _terms: Terms) -> Dossier:
    return replace(moved, handed_over_at=moved.last_at)


def _receive(moved: Dossier, _before: Dossier, _command: Command, terms: Terms) -> Dossier:
    return replace(moved, received_at=moved.last_at, due_at=terms.due(moved.last_at))


def _refuse(moved: Dossier, _before: Dossier, _command: Command, _terms: Terms) -> Dossier:
    return replace(moved, refused_at=moved.last_at)


def _request_supplement(moved: Dossier, before: Dossier, command: Command, _terms: Terms) -> Dossier:
    asked = Supplement(
        moved.last_at, (command.actor or {}).get("name"), command.reason, before.due_at,
        legal_exception=command.legal_exception,
    )  # fmt: skip
    return _paused(replace(moved, back_to=before.status, supplements=(*before.supplements, asked)), "supplement")


def _supplement(moved: Dossier, before: Dossier, _command: Command, terms: Terms) -> Dossier:
    running = _running(replace(moved, back_to=None), terms, is_answered=True)
    answered = replace(before.supplements[-1], answered_at=moved.last_at, due_after=running.due_at)
    return replace(running, supplements=(*before.supplements[:-1], answered))


def _request_payment(moved: Dossier, before: Dossier, command: Command, _terms: Terms) -> Dossier:
    opened = charge.requested(command.fees, moved.last_at, moved.version)
    return _paused(replace(moved, back_to=before.status, charges=(*before.charges, opened)), "payment")


def _go_on(moved: Dossier, _before: Dossier, _command: Command, terms: Terms) -> Dossier:
    return _running(replace(moved, back_to=None), terms)


def _stop(moved: Dossier, _before: Dossier, _command: Command, terms: Terms) -> Dossier:
    # From an unanswered supplement: that pause ends where this one begins, so that nothing of the time is lost.
    return _paused(_running(replace(moved, back_to=None), terms), "stop")


def _await_personal_number(moved: Dossier, _before: Dossier, _command: Command, _terms: Terms) -> Dossier:
    return _paused(moved, "personal_number")


def _extend(moved: Dossier, before: Dossier, command: Command, _terms: Terms) -> Dossier:
    extended = replace(moved, is_extended=True, due_at=command.new_due_at)
    return extended if command.apology is None else _apologised(extended, before, command)


def _apologise(moved: Dossier, before: Dossier, command: Command, _terms: Terms) -> Dossier:
    # It is late and stays late: the time promised moves no due time.
    return _apologised(moved, before, command)


def _apologised(moved: Dossier, before: Dossier, command: Command) -> Dossier:
    said = {"at": moved.last_at.isoformat(), "reason": command.reason, **promise(command)}
    return replace(moved, apologies=(*before.apologies, said))


def promise(command: Command) -> dict[str, Any]:
    """What an apology promises: a new time, and the letter that says so."""
    assert command.new_due_at is not None
    letter = {} if command.apology is None else {"letter": command.apology}
    return {"promised_at": command.new_due_at.isoformat(), **letter}


def _finish(moved: Dossier, before: Dossier, command: Command, terms: Terms) -> Dossier:
    # Who ends a dossier that waits for a personal number has got it.
    ended = replace(_running(moved, terms), finished_at=moved.last_at, identity_reason=command.identity_reason)
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


def _paused(moved: Dossier, kind: PauseKind) -> Dossier:
    return replace(moved, pauses=(*moved.pauses, Pause(kind, moved.last_at)))


def _running(moved: Dossier, terms: Terms, *, is_answered: bool = False) -> Dossier:
    """The clock runs again, if it stood: the due time moves by the supplement policy or by what was left."""
    pause, due = moved.paused, moved.due_at
    if pause is None:
        return moved
    if due is not None:
        moves = terms.due_after_supplement if is_answered else terms.due_after_pause
        due = moves(due, pause.began_at, moved.last_at)
    ended = replace(pause, ended_at=moved.last_at)
    return replace(moved, due_at=due, pauses=(*moved.pauses[:-1], ended))


def is_electronic(documents: Sequence[dict[str, Any]]) -> bool:
    """An electronic result has an address and a digest (`api.md`, Reports)."""
    return any(document.get("url") and document.get("sha256") for document in documents)


EFFECTS: dict[str, Effect] = {
    "hand_over": _hand_over,
    "receive": _receive,
    "refuse": _refuse,
    "request_supplement": _request_supplement,
    "supplement": _supplement,
    "request_payment": _request_payment,
    "settle": _go_on,
    "withdraw": _go_on,
    "stop": _stop,
    "resume": _go_on,
    "await_personal_number": _await_personal_number,
    "record_personal_number": _go_on,
    "extend": _extend,
    "apologise": _apologise,
    "finish": _finish,
    "return_result": _return_result,
    "attach_result": _attach_result,
}
