"""Agencies and procedures: who performs what, for how long, at which fee. Rules only.

Both are valid for a time, because decrees change them: an old dossier keeps the agency and the version of
the procedure it was filed under. A procedure's version in force on a day is the newest of those whose
`valid_from` is the latest not after that day; `valid_from` absent means "always". An agency's `valid_to` is
its last day.

Agency codes (Decision 20/2020/QĐ-TTg): `H08` the province, `H08.15` a department, further levels after dots.
The form before (QCVN 102:2016/BTTTT) stood the other way round, padded with zeros: `000.00.15.H08`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from dossier.deadline import Limit, SupplementPolicy

Channel = Literal["counter", "online", "post"]
OnlineLevel = Literal["full", "partial", "information"]
FeeKind = Literal["fee", "charge"]

AGENCY_CODE = r"^[A-Z][0-9]{2}(\.[0-9]{1,5}){0,5}$"
OLD_AGENCY_CODE = r"^[0-9]{3}\.[0-9]{2}\.[0-9]{2}\.[A-Z][0-9]{2}$"
PROCEDURE_CODE = r"^[0-9A-Za-z][0-9A-Za-z.\-]{0,49}$"

_OLD_FORM = re.compile(OLD_AGENCY_CODE)


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

    def is_valid_on(self, day: date) -> bool:
        """Whether dossiers could be filed there that day."""
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)


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

    def limit(self, channel: Channel) -> Limit:
        """The limit of this channel; the first one where the channel has none of its own."""
        own = (entry.limit for entry in self.limits if entry.channel == channel)
        return next(own, self.limits[0].limit)

    def is_performed_by(self, agency_code: str) -> bool:
        """Whether this agency, or one it belongs to, performs the procedure."""
        return any(agency in {"*", agency_code} or agency_code.startswith(agency + ".") for agency in self.agencies)

    def is_valid_on(self, day: date) -> bool:
        """Whether this version has come into force by that day."""
        return self.valid_from is None or self.valid_from <= day


def canonical_agency_code(code: str) -> str:
    """The code in its present form: `000.00.15.H08` → `H08.15`; another form stays as it is."""
    if not _OLD_FORM.fullmatch(code):
        return code
    parts = code.split(".")[::-1]
    while len(parts) > 1 and not parts[-1].strip("0"):
        parts.pop()
    return ".".join(parts)


def in_force(versions: Iterable[Procedure], day: date) -> Procedure | None:
    """The version in force on `day`, or None."""
    valid = (version for version in versions if version.is_valid_on(day))
    return max(valid, key=lambda version: (version.valid_from or date.min, version.version), default=None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The catalogue as it was at one `number` of its version counter."""

    number: int
    agencies: Mapping[str, Agency]
    aliases: Mapping[str, str]
    procedures: Mapping[str, tuple[Procedure, ...]]

    def agency(self, code: str, day: date) -> Agency | None:
        """The agency under its code, a former code or an alias, if valid on `day`."""
        found = self.agencies.get(code) or self.agencies.get(canonical_agency_code(code))
        if found is None and code in self.aliases:
            found = self.agencies.get(self.aliases[code])
        return found if found is not None and found.is_valid_on(day) else None

    def procedure(self, code: str, day: date) -> Procedure | None:
        """The procedure's version in force on `day`."""
        return in_force(self.procedures.get(code, ()), day)


def snapshot(number: int, agencies: Iterable[Agency], procedures: Iterable[Procedure]) -> Snapshot:
    """Index what the store holds."""
    by_code = {agency.code: agency for agency in agencies}
    versions: dict[str, list[Procedure]] = {}
    for procedure in procedures:
        versions.setdefault(procedure.code, []).append(procedure)
    return Snapshot(
        number,
        by_code,
        {alias: agency.code for agency in by_code.values() for alias in agency.aliases},
        {code: tuple(entries) for code, entries in versions.items()},
    )
