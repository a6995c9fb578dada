"""CloudEvents 1.0 in JSON structured mode: the only thing that travels between services.

`id` is a UUIDv7, `source` `/lgsp/<service>`, `type` `vn.lgsp.<noun>.<past tense>.v<n>`, `subject` the dossier's
code (and the Kafka key), `time` business time, `sequence` the version of the aggregate, `traceparent` that of the
exchange it came of (none when a worker found something out by itself).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
import uuid_utils

from shared import clock, strict_json
from shared.errors import HubError

MAX_BYTES = 900_000
"""Larger events are refused when they are written: Kafka's own limit is 1 MiB with its framing."""

_LONGEST_NAMES = 2_600
"""Bytes of origin and id together, and of the key: PostgreSQL's indexes take entries of at most 2,704."""

_BRACKETS = 250
"""orjson reads 1,024 levels, and writes 254."""

_CONTEXT = {"specversion", "id", "source", "type", "subject", "time", "sequence", "traceparent", "data"}


class Cause(NamedTuple):
    """The exchange that something came of: the gateway's id of it, and its W3C `traceparent`."""

    exchange_id: str | None = None
    traceparent: str | None = None


UNCAUSED = Cause()
"""What a worker or a sweeper does by itself."""


class MalformedEvent(HubError):
    """The bytes are no CloudEvent of ours; can never pass."""

    status, code, title = 422, "malformed_event", "Not a CloudEvent"


class EventTooLarge(HubError):
    """An event that Kafka would refuse is refused when it is written."""

    status, code, title = 413, "event_too_large", "The event is too large"


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent. `headers` are the Kafka record's headers, not part of the event's own JSON."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: dict[str, Any]
    sequence: int | None = None
    traceparent: str | None = None
    extensions: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    published_at: datetime | None = None
    """The Kafka record's own timestamp, on events a reader took in."""

    @property
    def origin(self) -> str:
        """What makes `id` unique: the source, for partners' events within the client that sent it."""
        client = self.headers.get("hub-client")
        return f"{client} {self.source}" if client else self.source

    @property
    def key(self) -> str:
        """What orders it: its dossier."""
        code = self.data.get("dossier_code")
        return code if isinstance(code, str) and code else self.subject or self.id


def new_id() -> str:
    """A UUIDv7: unique, and sorted by the time it was drawn."""
    return str(uuid_utils.uuid7())


def new_event(
    source: str,
    type: str,  # noqa: A002 - the CloudEvents attribute is called so
    subject: str,
    time: datetime,
    data: dict[str, Any],
    sequence: int | None = None,
    id: str | None = None,  # noqa: A002 - likewise
    traceparent: str | None = None,
) -> Event:
    """An event with a fresh id (or the given one)."""
    return Event(id or new_id(), source, type, subject, time, data, sequence, traceparent)


def encode(event: Event) -> bytes:
    """Structured-mode JSON, to be published. Raises `EventTooLarge`."""
    value = written(event)
    if len(value) > MAX_BYTES:
        raise EventTooLarge(internal=f"{event.type} {event.id}: {len(value)} bytes")
    return value


def written(event: Event) -> bytes:
    """Structured-mode JSON of any size: one that came may be larger when it is written down again."""
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": event.time,
        "datacontenttype": "application/json",
    }
    if event.sequence is not None:
        envelope["sequence"] = event.sequence
    if event.traceparent is not None:
        envelope["traceparent"] = event.traceparent
    envelope.update(event.extensions)
    envelope["data"] = event.data
    return strict_json.dumps(envelope)


def decode(value: bytes, headers: Mapping[str, str] | None = None, published_at: datetime | None = None) -> Event:
    """The event in a Kafka record; one without `time` (CloudEvents asks for none) has the record's. Raises
    `MalformedEvent`.
    """
    try:
        # What is on the topics was checked when it was accepted: here only speed, shape and what no database keeps.
        envelope = orjson.loads(value)
        if b"\\u0000" in value or value.count(b"[") + value.count(b"{") > _BRACKETS:
            strict_json.loads(value)
        sequence, trace = envelope.get("sequence"), envelope.get("traceparent")
        event = Event(
            id=_text(envelope, "id"),
            source=_text(envelope, "source"),
            type=_text(envelope, "type"),
            subject=envelope.get("subject") or "",
            time=_time(envelope) if "time" in envelope else published_at or clock.now(),
            data=envelope.get("data") or {},
            # A partner's own `sequence` may be any text (CloudEvents extension), its `traceparent` anything.
            sequence=sequence if type(sequence) is int else None,
            traceparent=trace if isinstance(trace, str) else None,
            extensions={k: v for k, v in envelope.items() if k not in _CONTEXT and k != "datacontenttype"},
            headers=dict(headers or {}),
            published_at=published_at,
        )
    except (HubError, AttributeError, KeyError, OverflowError, TypeError, ValueError) as fault:
        raise MalformedEvent(internal=_why(fault)) from fault
    if not isinstance(event.data, dict) or not isinstance(event.subject, str):
        raise MalformedEvent("data is not an object")
    if max(len(event.origin.encode()) + len(event.id.encode()), len(event.key.encode())) > _LONGEST_NAMES:
        raise MalformedEvent("its names are longer than can be kept")
    return event


def _why(fault: Exception) -> str:
    """Short: part of what came may stand in it."""
    said = "; ".join(each.message for each in fault.errors) if isinstance(fault, HubError) else repr(fault)
    return said[:200]


def moment_of(timestamp_ms: int) -> datetime:
    """The moment of a Kafka timestamp (milliseconds since the epoch)."""
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC)


def _text(envelope: dict[str, Any], name: str) -> str:
    value = envelope[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is missing")
    return value


def _time(envelope: dict[str, Any]) -> datetime:
    moment = datetime.fromisoformat(_text(envelope, "time"))
    if moment.tzinfo is None:
        raise ValueError("time has no offset")
    moment.astimezone(UTC)  # one that has no moment in UTC is kept by no database
    return moment
