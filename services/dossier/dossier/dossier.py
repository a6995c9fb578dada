"""The life of a dossier: one table, and the pure function that takes one step of it.

The ten national statuses are the states (their numbers are `TrangThaiHoSo` on the wire). Identity and payment
are facts beside the state that guard its arrows; they are folded by `dossier.fact`. Which action changes what
besides the status stands in `dossier.effect`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dossier import reception
from dossier.effect import EFFECTS, no_effect, promise
from dossier.record import STATUS_NAMES, Command, Dossier, Status, Step, Terms
from dossier.refusal import (
    ActionNotForRole,
    ChargeOpen,
    ExtensionNotAllowed,
    IdentityPending,
    IdentityReasonRequired,
    LegalExceptionRequired,
    NotLate,
    PersonalNumberAwaited,
    PersonalNumberNotAwaited,
    TimeGoesBack,
    TransitionNotAllowed,
)
from shared.errors import FieldError, HubError, InsufficientScope, InvalidRequest, PreconditionFailed

AHEAD = timedelta(minutes=5)
"""How far `at` may lie ahead of the hub's clock."""
BACK = timedelta(hours=1)
"""How far `at` may lie back without scope `dossier:import`."""

Guard = Callable[[Dossier, Command, datetime], None]


@dataclass(frozen=True, slots=True)
class Arrow:
    """One row of the life. `target`: a status, `_STAY`, or `_BACK` to where the dossier came from."""

    action: str
    event: str
    sources: frozenset[int]
    target: int
    roles: frozenset[str]
    guards: tuple[Guard, ...]


def _needs(field: str) -> Guard:
    def guard(_dossier: Dossier, command: Command, _at: datetime) -> None:
        if not _given(command, field):
            raise InvalidRequest(errors=[FieldError(f"/{field}", "is required for this action")])

    return guard


def _given(command: Command, field: str) -> bool:
    given = command.documents if field == "result" else getattr(command, field)
    return bool(given.strip() if isinstance(given, str) else given)


def _once(dossier: Dossier, command: Command, _at: datetime) -> None:
    if dossier.supplements and not command.legal_exception:
        raise LegalExceptionRequired


def _number_there(dossier: Dossier, _command: Command, _at: datetime) -> None:
    if dossier.paused is not None:
        raise PersonalNumberAwaited


def _none_awaited_in_work(dossier: Dossier, command: Command, at: datetime) -> None:
    if dossier.status is not Status.SUPPLEMENT_REQUESTED:
        _number_there(dossier, command, at)


def _number_awaited(dossier: Dossier, _command: Command, _at: datetime) -> None:
    if dossier.paused is None:
        raise PersonalNumberNotAwaited


def _extension_allowed(dossier: Dossier, command: Command, at: datetime) -> None:
    if dossier.is_extended:
        raise ExtensionNotAllowed("The due time was extended before; that is possible once")
    if dossier.due_at is None:
        raise ExtensionNotAllowed("The dossier has no due time")
    if command.new_due_at is not None and command.new_due_at <= dossier.due_at:
        raise InvalidRequest(errors=[FieldError("/new_due_at", "must be later than the due time")])
    if at > dossier.due_at - timedelta(days=1):
        raise ExtensionNotAllowed("The due time can be extended until a day before it")


def _late(dossier: Dossier, command: Command, at: datetime) -> None:
    if dossier.due_at is None or dossier.paused is not None or at <= dossier.due_at:
        raise NotLate
    if command.new_due_at is not None and command.new_due_at <= at:
        raise InvalidRequest(errors=[FieldError("/new_due_at", "must be later than now")])


def _result_or_reason(_dossier: Dossier, command: Command, _at: datetime) -> None:
    if not command.documents and not command.reason:
        raise InvalidRequest(errors=[FieldError("/result", "result documents or a reason are required")])


def _identity_settled(dossier: Dossier, command: Command, _at: datetime) -> None:
    if dossier.identity_outcome == "pending":
        raise IdentityPending
    if dossier.identity_outcome not in ("match", "not_required") and not command.identity_reason:
        raise IdentityReasonRequired


def _none_open(dossier: Dossier, _command: Command, _at: datetime) -> None:
    if any(charge.is_open for charge in dossier.charges):
        raise ChargeOpen


def _to_be_handed_over(dossier: Dossier, _command: Command, _at: datetime) -> None:
    reception.require_open(dossier)


def _arrived(dossier: Dossier, _command: Command, _at: datetime) -> None:
    reception.require_handed_over(dossier)


_BACK, _STAY = 0, -1
_DESK = frozenset({"desk"})
_OFFICE = frozenset({"desk", "ministry"})
_FILER = frozenset({"portal", "desk"})
_POST = frozenset({"post"})
"""Staff of the public post, who take papers in and bring results (NĐ 61/2018 Đ16)."""
_HUB = frozenset({"hub"})
_WHY, _FEES, _NEW_DUE_AT, _RESULT = (_needs(it) for it in ("reason", "fees", "new_due_at", "result"))


def _arrow(action: str, event: str, sources: set[int], target: int, roles: frozenset[str], *guards: Guard) -> Arrow:
    return Arrow(action, event, frozenset(sources), target, roles, guards)


SUBMITTERS = _FILER | _POST
# `submit` (nothing → 1, portal, desk and post) has no row: it makes a dossier instead of changing one.
LIFE: dict[str, Arrow] = {
    arrow.action: arrow
    for arrow in (
        #      action                    event                        from                to     who      guards
        _arrow("hand_over",              "handed_over",               {1},                _STAY, _DESK | _POST,
               _to_be_handed_over),
        _arrow("receive",                "received",                  {1},                2,     _OFFICE | _POST,
               _arrived),
        _arrow("refuse",                 "refused",                   {1},                3,     _DESK,   _WHY),
        _arrow("start",                  "started",                   {2},                4,     _OFFICE),
        _arrow("request_supplement",     "supplement_requested",      {1, 2, 4},          5,     _OFFICE, _WHY, _once,
               _number_there),
        _arrow("supplement",             "supplemented",              {5},                _BACK, _FILER | _POST),
        _arrow("request_payment",        "payment_requested",         {1, 2, 4},          6,     _OFFICE, _FEES,
               _number_there),
        _arrow("settle",                 "settled",                   {6},                _BACK, _HUB,    _none_open),
        _arrow("withdraw",               "withdrawn",                 {1, 2, 4, 5, 6, 8}, 7,     _FILER,  _WHY),
        _arrow("stop",                   "stopped",                   {2, 4, 5},          8,     _OFFICE, _WHY,
               _none_awaited_in_work),
        _arrow("resume",                 "resumed",                   {8},                4,     _OFFICE, _WHY),
        _arrow("await_personal_number",  "personal_number_awaited",   {2, 4},             _STAY, _OFFICE, _WHY,
               _number_there),
        _arrow("record_personal_number", "personal_number_recorded",  {2, 4},             _STAY, _OFFICE,
               _number_awaited),
        _arrow("extend",                 "extended",                  {2, 4},             _STAY, _DESK,   _WHY,
               _NEW_DUE_AT, _extension_allowed),
        _arrow("apologise",              "apologised",                {2, 4},             _STAY, _DESK,   _WHY,
               _NEW_DUE_AT, _late),
        _arrow("finish",                 "finished",                  {2, 4},             9,     _OFFICE,
               _result_or_reason, _identity_settled, _none_open),
        _arrow("return_result",          "returned",                  {9},                10,    _DESK | _POST),
        _arrow("attach_result",          "result_attached",           {9, 10},            _STAY, _OFFICE, _RESULT),
    )
}  # fmt: skip

_ONLY_WITH = {
    "fees": ("request_payment",),
    "result": ("finish", "attach_result"),
    "new_due_at": ("extend", "apologise"),
    "apology": ("extend", "apologise"),
    "identity_reason": ("finish",),
    "legal_exception": ("request_supplement",),
}


def allowed_actions(status: Status, *, is_for_another: bool = False) -> list[str]:
    """What callers may ask for in `status`, in the table's order. `is_for_another`: taken in for another agency."""
    found = [a.action for a in LIFE.values() if status in a.sources and a.roles is not _HUB]
    return [action for action in found if action != "hand_over" or is_for_another]


def possible(dossier: Dossier, now: datetime) -> list[tuple[Arrow, str | None]]:
    """What callers may ask for now, each with the code of what would still refuse it (None: it can be done).

    What a caller has to say besides (a reason, a new time, documents) is taken as said.
    """
    soon = max(now, dossier.due_at or now) + timedelta(days=1)
    told = Command("", "", now, reason="…", documents=({},), fees=({},), new_due_at=soon)
    return [
        (arrow, _refusal(arrow, dossier, told))
        for arrow in LIFE.values()
        if dossier.status in arrow.sources and arrow.roles is not _HUB
    ]


def _refusal(arrow: Arrow, dossier: Dossier, told: Command) -> str | None:
    try:
        for guard in arrow.guards:
            guard(dossier, told, told.now)
    except HubError as refusal:
        return refusal.code
    return None


def take(dossier: Dossier, command: Command, terms: Terms) -> Step:
    """One step of the life. Raises the error of the first rule that says no, in this order.

    Unknown action and fields foreign to it (422), role and agency (403), expected version (412), status (409),
    time (403, 409, 422), the arrow's guards.
    """
    arrow = LIFE.get(command.action)
    if arrow is None:
        raise InvalidRequest(errors=[FieldError("/action", "is not a known action")])
    _refuse_foreign_fields(command)
    if command.role not in arrow.roles:
        raise ActionNotForRole
    reception.require_side(dossier, command)
    if command.expected_version is not None and not (
        dossier.transition_version <= command.expected_version <= dossier.version
    ):
        raise PreconditionFailed(version=dossier.version)
    _check_status(dossier, arrow)
    at = action_time(dossier.last_at, command)
    for guard in arrow.guards:
        guard(dossier, command, at)
    after = moved(dossier, arrow, command, at, terms)
    return Step(
        after, command.action, arrow.event, dossier.status, at, dossier.due_at, True, command.reason,
        command.actor, command.documents, command.fees, command.attachments, command.legal_exception,
        promise(command) if len(after.apologies) > len(dossier.apologies) else None,
    )  # fmt: skip


def moved(dossier: Dossier, arrow: Arrow, command: Command, at: datetime, terms: Terms) -> Dossier:
    """The dossier one arrow further, with everything the action changes; no rule is asked."""
    version = dossier.version + 1
    further = replace(
        dossier, status=_target(dossier, arrow), version=version, transition_version=version,
        last_at=at, last_reason=command.reason or dossier.last_reason,
        has_digitised=dossier.has_digitised or any(a.get("digitised") for a in command.attachments),
    )  # fmt: skip
    return EFFECTS.get(command.action, no_effect)(further, dossier, command, terms)


def action_time(last_at: datetime | None, command: Command) -> datetime:
    """The action's time, checked: not before the last action, not ahead, old ones only for an import."""
    if command.at is None:
        # The last action may lie up to five minutes ahead of us.
        return command.now if last_at is None else max(command.now, last_at)
    if command.at > command.now + AHEAD:
        raise InvalidRequest(errors=[FieldError("/at", "lies more than 5 minutes ahead")])
    if last_at is not None and command.at < last_at:
        raise TimeGoesBack
    if command.at < command.now - BACK and not command.may_import:
        raise InsufficientScope("A time more than an hour back needs scope dossier:import")
    return command.at


def _refuse_foreign_fields(command: Command) -> None:
    foreign = [
        FieldError(f"/{name}", "does not belong to this action")
        for name, actions in _ONLY_WITH.items()
        if command.action not in actions and _given(command, name)
    ]
    if foreign:
        raise InvalidRequest(errors=foreign)


def _check_status(dossier: Dossier, arrow: Arrow) -> None:
    if dossier.status in arrow.sources:
        return
    if arrow.action == "finish" and dossier.back_to in arrow.sources:
        # What keeps it from ending is the open charge: once that is paid, the same action passes.
        _none_open(dossier, Command("finish", "", dossier.last_at), dossier.last_at)
    allowed = allowed_actions(dossier.status, is_for_another=dossier.receiver_code is not None)
    raise TransitionNotAllowed(
        f"{arrow.action} is not allowed in status {STATUS_NAMES[dossier.status]}; "
        f"allowed: {', '.join(allowed) or 'nothing'}",
        allowed=allowed,
    )


def _target(dossier: Dossier, arrow: Arrow) -> Status:
    if arrow.target == _STAY:
        return dossier.status
    if arrow.target == _BACK:
        assert dossier.back_to is not None
        return dossier.back_to
    return Status(arrow.target)
