"""The events of `lgsp.sync`: what the other services learn about the synchronisation."""

from datetime import datetime

from shared.events import Event, new_event
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


def unparked(code: str, destination: str, at: datetime) -> Event:
    """It is tried again: the dossier changed, or someone asked for it."""
    return _event("unparked", code, destination, at, None)


def _event(what: str, code: str, destination: str, at: datetime, sequence: int | None, **further: object) -> Event:
    content = {"dossier_code": code, "destination": destination, "at": at, **further}
    return new_event(SOURCE, f"vn.lgsp.sync.{what}.v1", code, at, content, sequence)
