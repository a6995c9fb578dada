"""CloudEvents 1.0 as ministry systems push them, in three modes, decoded strictly and kept untouched.

| mode | Content-Type | the event |
|---|---|---|
| structured | application/cloudevents+json | the body |
| batch | application/cloudevents-batch+json | a JSON array, at most 500 |
| binary | application/json and `ce-*` headers | attributes in headers (percent-encoded), data in the body |
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from shared import strict_json
from shared.agency_codes import canonical_dossier
from shared.errors import FieldError, HubError, InvalidRequest
from shared.events import MAX_BYTES

MOST_EVENTS = 500
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,40}")
_REQUIRED = ("id", "source", "type")
_LONGEST = {"id": 255, "source": 500, "type": 255, "subject": 255}
_MOST_NAME_BYTES = 2000
"""Of `source` and `id` together, which make an event unique: an entry of PostgreSQL's index takes 2,704 bytes."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
"""CloudEvents 1.0 §3.1.1; a percent-encoded NUL comes past the JSON decoder, and PostgreSQL keeps none."""
_JSON = re.compile(r"application/([a-z0-9.+-]+\+)?json", re.IGNORECASE)


class UnsupportedEvents(HubError):
    """Not one of the three modes."""

    status, code, title = 415, "unsupported_media_type", "Events come as CloudEvents: structured, batch or binary"


@dataclass(frozen=True, slots=True)
class Pushed:
    """One event as it came. `value` is its structured-mode JSON, `key` the Kafka key."""

    id: str
    source: str
    type: str
    key: str
    dossier_code: str | None
    value: str


def decode(content_type: str, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> list[Pushed | InvalidRequest]:
    """Every event of the request, or why it is none. Raises `InvalidRequest` or `UnsupportedEvents` for the whole."""
    media_type = content_type.split(";", 1)[0].strip().lower()
    if media_type == BATCH:
        events = strict_json.loads(body)
        if not isinstance(events, list) or not 0 < len(events) <= MOST_EVENTS:
            raise InvalidRequest(errors=[FieldError("", f"an array of 1 to {MOST_EVENTS} events")])
        return [_judged(event) for event in events]
    if media_type == STRUCTURED:
        return [_judged(strict_json.loads(body))]
    given = [
        (name[3:].decode("ascii", "replace"), unquote(value.decode("utf-8", "replace")))
        for name, value in headers
        if name.startswith(b"ce-")
    ]
    if not given or not _JSON.fullmatch(media_type):
        raise UnsupportedEvents
    attributes = dict(given)
    if len(attributes) != len(given):
        # As with duplicate keys: whoever reads the first and whoever reads the last would see two events.
        return [InvalidRequest("Not a CloudEvent of version 1.0", errors=[FieldError("", "an attribute stands twice")])]
    envelope: dict[str, Any] = {**attributes, "datacontenttype": content_type}
    return [_judged(envelope | ({"data": strict_json.loads(body)} if body else {}))]


def _judged(envelope: Any) -> Pushed | InvalidRequest:
    faults = list(_faults(envelope))
    if faults:
        return InvalidRequest("Not a CloudEvent of version 1.0", errors=faults)
    value = strict_json.dumps(envelope)
    if len(value) > MAX_BYTES:
        return InvalidRequest(f"An event may have {MAX_BYTES} bytes")
    payload = envelope.get("data")
    code = payload.get("dossier_code") if isinstance(payload, dict) else None
    code = canonical_dossier(code) if isinstance(code, str) and 0 < len(code) <= 255 else None
    return Pushed(
        envelope["id"],
        envelope["source"],
        envelope["type"],
        code or envelope.get("subject") or envelope["id"],
        code,
        value.decode(),
    )


def _faults(envelope: Any) -> Iterable[FieldError]:
    if not isinstance(envelope, dict):
        yield FieldError("", "an object")
        return
    if envelope.get("specversion") != "1.0":
        yield FieldError("/specversion", '"1.0"')
    for name, value in envelope.items():
        if fault := _fault(name, value):
            yield fault
    for name in _REQUIRED:
        if not envelope.get(name):
            yield FieldError(f"/{name}", "is required")
    for name, longest in _LONGEST.items():
        value = envelope.get(name, "")
        if not isinstance(value, str) or len(value) > longest:
            yield FieldError(f"/{name}", f"a string of at most {longest} characters")
    if len(f"{envelope.get('source')}{envelope.get('id')}".encode()) > _MOST_NAME_BYTES:
        yield FieldError("/source", f"with `id` at most {_MOST_NAME_BYTES} bytes of UTF-8")
    if "time" in envelope and not _is_time(envelope["time"]):
        yield FieldError("/time", "an RFC 3339 time with an offset, between 1990 and 2059")
    if "data_base64" in envelope or not _JSON.fullmatch(
        str(envelope.get("datacontenttype", "application/json")).split(";")[0]
    ):
        yield FieldError("/datacontenttype", "data is JSON")


def _fault(name: str, value: Any) -> FieldError | None:
    """What is wrong with one attribute as such."""
    if not _ATTRIBUTE.fullmatch(name) and name != "data_base64":
        return FieldError("", "attribute names are 1 to 40 lower-case letters and digits")
    if name in ("data", "data_base64"):
        return None
    if not isinstance(value, str | int | bool):
        return FieldError(f"/{name}", "a string, an integer or a boolean")
    if isinstance(value, str) and _CONTROL.search(value):
        return FieldError(f"/{name}", "no control characters")
    return None


def _is_time(value: Any) -> bool:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    # The years that the hub's bodies take; a time on the edge of the calendar has no moment in UTC.
    return moment.tzinfo is not None and 1990 <= moment.year <= 2059
