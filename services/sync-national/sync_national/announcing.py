"""The events of `lgsp.sync`: what the other services learn about the synchronisation."""

from datetime import datetime

from shared.events import UNCAUSED, Cause, Event, new_event
from sync_national.change import Standing

SOURCE = "/lgsp/sync-national"


def acknowledged(code: str, destination: str, standing: Standing, at: datetime) -> Event:
    """The portal now shows this version and these progress rows."""
    return _event(
        "acknowledged",
        code,
        destination,
        at,
        standing.acknowledged_version,
        version=standing.acknowledged_version,
        progress_number=standing.acknowledged_progress,
    )


def parked(code: str, destination: str, standing: Standing, at: datetime) -> Event:
    """A person is needed: why, and whose fault it is."""
    return _event(
        "parked", code, destination, at, standing.desired_version, reason=standing.reason, owner=standing.owner
    )


def unparked(code: str, destination: str, desired_version: int, at: datetime, cause: Cause = UNCAUSED) -> Event:
    """It is tried again: the dossier changed, or someone asked for it."""
    return _event("unparked", code, destination, at, desired_version, cause)


def _event(
    what: str, code: str, destination: str, at: datetime, sequence: int, cause: Cause = UNCAUSED, **further: object
) -> Event:
    """`sequence` is the version of the dossier: acknowledged, or desired and not reached."""
    content = {"dossier_code": code, "destination": destination, "at": at, **further}
    type_ = f"vn.lgsp.sync.{what}.v1"
    return new_event(SOURCE, type_, code, at, content, sequence, traceparent=cause.traceparent)
