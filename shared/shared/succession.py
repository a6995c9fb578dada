"""Agencies that have ended, and who has their dossiers today: a caller of an agency may act for those that ended in it.

The dossier service keeps the catalogue and tells it at `GET /internal/agencies/successions`; the other services ask
every few seconds. While it is away, what it told last holds.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.auth import Caller

PATH = "/internal/agencies/successions"
EVERY_SECONDS = 5.0
_MOST_REMEMBERED = 10_000


class Successions:
    """Code of an ended agency → code of the one that has its dossiers now."""

    def __init__(self, now: Mapping[str, str] | None = None) -> None:
        self.now = now or {}
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def take(self, told: Mapping[str, Any]) -> None:
        """Take over what the dossier service answers."""
        if told["items"] != self.now:
            self.now, self._known = told["items"], {}

    def widen(self, caller: Caller) -> Caller:
        """The caller, who also has the dossiers of the agencies that his succeeded."""
        if not self.now or "*" in caller.agencies:
            return caller
        if caller.agencies not in self._known:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            own = (old for old, now in self.now.items() if caller.covers(now) and not caller.covers(old))
            self._known[caller.agencies] = tuple(sorted(own))
        more = self._known[caller.agencies]
        return replace(caller, agencies=(*caller.agencies, *more)) if more else caller
