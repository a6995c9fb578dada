"""A ministry's own words as data: what its event types and their values mean here, per source, in versions.

A place is a JSON pointer (RFC 6901) into the whole CloudEvent: `/data/maHoSo`, `/subject`, `/time`.
Two of them come along in `seed/vocabularies` (wire §1.11); operators declare others and further versions over REST.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints, ValidationError

from dossier.bodies import Moment
from dossier.dossier import LIFE
from shared import problems
from shared.clock import VIETNAM
from shared.errors import FieldError, InvalidRequest
from shared.web import Body

SEEDED = Path(__file__).parent / "seed" / "vocabularies"
ISSUE_RESULT = "issue_result"
"""Finishes a dossier in work, joins one that has ended (`result-issued`)."""
Action = Literal[
    "receive", "start", "request_supplement", "request_payment", "stop", "resume", "await_personal_number",
    "record_personal_number", "finish", "attach_result", "issue_result",
]  # fmt: skip
"""What a ministry may ask for."""
assert set(get_args(Action)) == {it.action for it in LIFE.values() if "ministry" in it.roles} | {ISSUE_RESULT}

_SECOND, _MINUTE, _DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
_FORMATS = {
    "yyyyMMddHHmmss": ("%Y%m%d%H%M%S", _SECOND),
    "yyyy-MM-dd HH:mm:ss": ("%Y-%m-%d %H:%M:%S", _SECOND),
    "dd/MM/yyyy HH:mm:ss": ("%d/%m/%Y %H:%M:%S", _SECOND),
    "dd/MM/yyyy HH:mm": ("%d/%m/%Y %H:%M", _MINUTE),
    "dd/MM/yyyy": ("%d/%m/%Y", _DAY),
    "dd-MM-yyyy": ("%d-%m-%Y", _DAY),
}
"""Local times of Vietnam, and how exact they are. One that is not exact means the end of its second, minute or day, or
the time of the event itself when that was earlier: else what followed ours at once would lie before it."""
Format = Literal[
    "rfc3339", "yyyyMMddHHmmss", "yyyy-MM-dd HH:mm:ss", "dd/MM/yyyy HH:mm:ss", "dd/MM/yyyy HH:mm", "dd/MM/yyyy",
    "dd-MM-yyyy",
]  # fmt: skip
_LONGEST_CODE = 100
Place = Annotated[str, StringConstraints(pattern=r"^(/([^~/]|~[01])*)+$", max_length=500)]
Type = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class When(Body):
    """A time, and how it is written."""

    place: Place
    format: Format = "rfc3339"


class Coded(Body):
    """A value of theirs and the action it means; null: says nothing that a dossier here would show."""

    place: Place
    values: Annotated[dict[Annotated[str, Field(max_length=200)], Action | None], Field(min_length=1, max_length=200)]


class Actor(Body):
    """Who acted there."""

    name: Place
    title: Place | None = None
    unit: Place | None = None


class Documents(Body):
    """A list of result papers; places within one of them, as pointers too."""

    place: Place
    name: Place
    result_code: Place | None = None
    number: Place | None = None
    url: Place | None = None
    sha256: Place | None = None


class Fees(Body):
    """A list of amounts to pay; places within one of them."""

    place: Place
    name: Place
    amount_vnd: Place
    code: Place
    kind: Literal["fee", "charge"] = "fee"


class Meaning(Body):
    """What one type of event says."""

    dossier_code: Place
    action: Action | Coded
    at: When | None = None
    reason: Place | None = None
    actor: Actor | None = None
    documents: Documents | None = None
    fees: Fees | None = None
    identity_reason: Place | None = None


class Declaration(Body):
    """A version of a vocabulary. It holds for events whose own time lies in its validity, the newest version first."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    valid_from: Moment
    valid_to: Moment | None = None
    types: Annotated[dict[Type, Meaning], Field(min_length=1, max_length=100)]


class Seeded(Declaration):
    """As a file holds it."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=500)]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One version, as it is kept."""

    source: str
    version: int
    valid_from: datetime
    valid_to: datetime | None
    types: Mapping[str, Meaning]


class UnmappedValue(InvalidRequest):
    """The vocabulary has no meaning for what stands there."""

    code, title = "unmapped_value", "The ministry's vocabulary does not have this value"


def valid_at(known: Sequence[Vocabulary], moment: datetime) -> Vocabulary | None:
    """The newest version that is valid then."""
    fitting = [it for it in known if it.valid_from <= moment and (it.valid_to is None or moment < it.valid_to)]
    return max(fitting, key=lambda it: it.version, default=None)


def seeded(folder: Path = SEEDED) -> list[Seeded]:
    """The files of a folder, in order of their names. Raises `ValueError` naming the first that is wrong."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(Seeded.model_validate(json.loads(path.read_text(encoding="utf-8"))))
        except (ValidationError, json.JSONDecodeError) as fault:
            raise ValueError(f"{path.name}: {fault}") from fault
    return found


def kept(types: Mapping[str, Meaning]) -> dict[str, Any]:
    """Types as JSON keeps them."""
    found = {name: meaning.model_dump(mode="json", exclude_none=True) for name, meaning in types.items()}
    for name, meaning in types.items():
        if not isinstance(meaning.action, str):  # its nulls mean something: it says nothing here
            found[name]["action"] = {"place": meaning.action.place, "values": dict(meaning.action.values)}
    return found


def types_of(said: Mapping[str, Any]) -> dict[str, Meaning]:
    """Types as they were declared, from their JSON. Raises `InvalidRequest`."""
    try:
        return {name: Meaning.model_validate(meaning) for name, meaning in said.items()}
    except ValidationError as failure:
        raise problems.invalid(failure) from None


def translated(meaning: Meaning, event: Mapping[str, Any]) -> dict[str, Any] | None:
    """The event's `data` as the contract has it; None when it says nothing here. Raises `InvalidRequest`.

    What is absent there is left out; empty text counts as absent.
    """
    action = _action(meaning.action, event)
    if action is None:
        return None
    said: dict[str, Any] = {"dossier_code": _text(event, meaning.dossier_code), "action": action}
    if not said["dossier_code"] or len(said["dossier_code"]) > _LONGEST_CODE:
        raise InvalidRequest(errors=[FieldError(meaning.dossier_code, "names no dossier")])
    if meaning.at is not None:
        said["at"] = _moment(event, meaning.at)
    if meaning.actor is not None and _text(event, meaning.actor.name):
        said["actor"] = _members(event, meaning.actor, ("name", "title", "unit"))
    for name in ("reason", "identity_reason"):
        if place := getattr(meaning, name):
            said[name] = _text(event, place)
    documents = _each(event, meaning.documents, ("name", "result_code", "number", "url", "sha256"))
    fees = [
        {**it, "kind": meaning.fees.kind, "amount_vnd": _amount(it.get("amount_vnd"), meaning.fees)}
        for it in _each(event, meaning.fees, ("code", "name", "amount_vnd"))
        if meaning.fees is not None
    ]
    if documents:
        said |= {"documents": documents} if action == ISSUE_RESULT else {"result": {"documents": documents}}
    if fees:
        said["fees"] = fees
    return {name: value for name, value in said.items() if value is not None}


def named_dossier(meaning: Meaning, event: Mapping[str, Any]) -> str | None:
    """The dossier that an event names, whether the rest of it is understood or not."""
    try:
        code = _text(event, meaning.dossier_code)
    except InvalidRequest:
        return None
    return code if code and len(code) <= _LONGEST_CODE else None


def _action(meant: str | Coded, event: Mapping[str, Any]) -> str | None:
    if isinstance(meant, str):
        return meant
    value = _text(event, meant.place)
    if value is None or value not in meant.values:
        raise UnmappedValue(errors=[FieldError(meant.place, "has no meaning in the vocabulary")])
    return meant.values[value]


def _moment(event: Mapping[str, Any], when: When) -> str | None:
    text = _text(event, when.place)
    if text is None or when.format == "rfc3339":
        return text
    form, exact_to = _FORMATS[when.format]
    try:
        begins = datetime.strptime(text, form).replace(tzinfo=VIETNAM).astimezone(UTC)
        ends = begins + exact_to - timedelta(microseconds=1)
        return max(begins, min(ends, datetime.fromisoformat(event["time"]))).isoformat()
    except (ValueError, OverflowError):
        raise InvalidRequest(errors=[FieldError(when.place, f"is no time of the form {when.format}")]) from None


def _amount(text: str | None, fees: Fees) -> int:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 15:
        raise InvalidRequest(errors=[FieldError(fees.place + fees.amount_vnd, "is no amount in đồng")])
    return int(text)


def _each(event: Mapping[str, Any], listed: Documents | Fees | None, names: Sequence[str]) -> list[dict[str, Any]]:
    if listed is None:
        return []
    found = _found(event, listed.place)
    if found is None:
        return []
    if not isinstance(found, list):
        raise InvalidRequest(errors=[FieldError(listed.place, "is no list")])
    return [_members(one, listed, names) for one in found]


def _members(event: Any, places: Actor | Documents | Fees, names: Sequence[str]) -> dict[str, Any]:
    given = {name: _text(event, place) for name in names if (place := getattr(places, name))}
    return {name: value for name, value in given.items() if value is not None}


def _text(event: Any, place: str) -> str | None:
    """What stands there as text; whole numbers count, and nothing else does."""
    found = _found(event, place)
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if found is None or found == "":
        return None
    if not isinstance(found, str):
        raise InvalidRequest(errors=[FieldError(place, "is no text")])
    return found.strip() or None


def _found(event: Any, place: str) -> Any:
    for part in place[1:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(event, Mapping):
            event = event.get(name)
        elif isinstance(event, list) and name.isdecimal() and int(name) < len(event):
            event = event[int(name)]
        else:
            return None
    return event
