"""Agencies and procedures: who performs what, for how long, at which fee. Rules only.

Both are valid for a time, because decrees change them: an old dossier keeps the agency and the version of
the procedure it was filed under. A procedure's version in force on a day is the newest of those whose
`valid_from` is the latest not after that day; `valid_from` absent means "always". An agency's `valid_to` is
its last day.

An agency that has ended may name its successor: what is filed under the retired code goes there, and what was filed
before keeps its code. Codes have two forms (`shared.agency_codes`); aliases are found in both.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from dossier.deadline import Limit, SupplementPolicy
from shared.agency_codes import canonical, covers
from shared.vietnamese import fold

Channel = Literal["counter", "online", "post"]
OnlineLevel = Literal["full", "partial", "information"]
FeeKind = Literal["fee", "charge"]

AGENCY_CODE = r"^[A-Z][0-9]{2}(\.[0-9]{1,5}){0,5}$"
PROCEDURE_CODE = r"^[0-9A-Za-z][0-9A-Za-z.\-]{0,49}$"
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Agency:
    """A public body. `level` is named as the province names it; `aliases` are its other and former codes."""

    code: str
    name: str
    level: str | int
    parent: str | None
    valid_from: date | None
    valid_to: date | None
    successor: str | None
    aliases: tuple[str, ...]
    is_vertical: bool = False
    """Of a ministry, not of the province: its dossiers are not among the province's totals unless asked for."""

    def is_valid_on(self, day: date) -> bool:
        """Whether dossiers could be filed there that day."""
        return (self.valid_from is None or self.valid_from <= day) and not self.has_ended_by(day)

    def has_ended_by(self, day: date) -> bool:
        """Whether its last day lies before that day."""
        return self.valid_to is not None and self.valid_to < day


@dataclass(frozen=True, slots=True)
class ChannelLimit:
    """The processing time of dossiers filed through one channel."""

    channel: Channel
    limit: Limit


@dataclass(frozen=True, slots=True)
class Fee:
    """What a procedure costs, in đồng."""

    code: str
    name: str
    kind: FeeKind
    amount_vnd: int
    channel: Channel | None = None
    """Filed through this channel only; None: through any."""


@dataclass(frozen=True, slots=True)
class Component:
    """A paper the applicant has to bring."""

    code: str
    name: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Result:
    """A document the procedure ends with."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Procedure:
    """One version of an administrative procedure. `agencies` perform it; `*` is every agency."""

    code: str
    version: int
    name: str
    field_code: str
    field_name: str
    online_level: OnlineLevel
    limits: tuple[ChannelLimit, ...]
    fees: tuple[Fee, ...]
    components: tuple[Component, ...]
    results: tuple[Result, ...]
    agencies: tuple[str, ...]
    supplement_policy: SupplementPolicy
    valid_from: date | None
    valid_to: date | None = None
    """The last day of the procedure; a version that begins later revives it."""

    def limit(self, channel: Channel) -> Limit:
        """The limit of this channel; the first one where the channel has none of its own."""
        own = (entry.limit for entry in self.limits if entry.channel == channel)
        return next(own, self.limits[0].limit)

    def is_performed_by(self, agency_code: str) -> bool:
        """Whether this agency, or one it belongs to, performs the procedure."""
        return covers(self.agencies, agency_code)

    def has_begun_by(self, day: date) -> bool:
        """Whether this version has come into force by that day."""
        return self.valid_from is None or self.valid_from <= day

    def has_ended_by(self, day: date) -> bool:
        """Whether its last day lies before that day."""
        return self.valid_to is not None and self.valid_to < day


def newest(versions: Iterable[Procedure], day: date) -> Procedure | None:
    """The version that came last into force by `day`, though the procedure may have ended since; or None."""
    begun = (version for version in versions if version.has_begun_by(day))
    return max(begun, key=lambda version: (version.valid_from or date.min, version.version), default=None)


def in_force(versions: Iterable[Procedure], day: date) -> Procedure | None:
    """The version in force on `day`, or None."""
    found = newest(versions, day)
    return None if found is None or found.has_ended_by(day) else found


def is_found(text: str, *names: str) -> bool:
    """Whether each word looked for begins a word of the names: without accents (đ is d), in any order."""
    known = [word for name in names for word in _words(name)]
    return all(any(word.startswith(wanted) for word in known) for wanted in _words(text))


@lru_cache(maxsize=65536)
def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(fold(text)))


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The catalogue as it was at one `number` of its version counter."""

    number: int
    agencies: Mapping[str, Agency]
    aliases: Mapping[str, str]
    procedures: Mapping[str, tuple[Procedure, ...]]

    def find(self, code: str) -> Agency | None:
        """The agency under its code, a former code or an alias, in either form; valid or not."""
        plain = canonical(code)
        found = self.agencies.get(code) or self.agencies.get(plain)
        return found or self.agencies.get(self.aliases.get(plain, ""))

    def agency(self, code: str, day: date) -> Agency | None:
        """The agency that stands under this code on `day`: itself, or whoever succeeded it."""
        found, seen = self.find(code), set[str]()
        while found is not None and not found.is_valid_on(day):
            if found.successor is None or not found.has_ended_by(day) or found.code in seen:
                return None
            seen.add(found.code)
            found = self.find(found.successor)
        return found

    def successions(self, day: date) -> dict[str, str]:
        """The agencies ended by `day` → who has their dossiers that day."""
        ended = (it.code for it in self.agencies.values() if it.successor is not None and it.has_ended_by(day))
        return {code: now.code for code in ended if (now := self.agency(code, day)) is not None}

    def procedure(self, code: str, day: date) -> Procedure | None:
        """The procedure's version in force on `day`."""
        return in_force(self.procedures.get(code, ()), day)

    def find_agencies(self, text: str) -> list[Agency]:
        """Those whose name, code or alias has all these words, in the order of their codes."""
        found = (it for it in self.agencies.values() if is_found(text, it.name, it.code, *it.aliases))
        return sorted(found, key=lambda it: it.code)

    def find_procedures(self, text: str, day: date) -> list[Procedure]:
        """Those whose name, field or code has all these words, in the order of their codes: in force on `day`, or the
        last version."""
        shown = (newest(versions, day) or versions[-1] for versions in self.procedures.values() if versions)
        found = (it for it in shown if is_found(text, it.name, it.field_name, it.code))
        return sorted(found, key=lambda it: it.code)


def snapshot(number: int, agencies: Iterable[Agency], procedures: Iterable[Procedure]) -> Snapshot:
    """Index what the store holds."""
    by_code = {agency.code: agency for agency in agencies}
    versions: dict[str, list[Procedure]] = {}
    for procedure in procedures:
        versions.setdefault(procedure.code, []).append(procedure)
    return Snapshot(
        number,
        by_code,
        {canonical(alias): agency.code for agency in by_code.values() for alias in agency.aliases},
        {code: tuple(entries) for code, entries in versions.items()},
    )
