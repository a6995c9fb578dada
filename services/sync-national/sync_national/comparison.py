"""The rules of a reconciliation: our record against the portal's, both streams in the order of the codes.

```
missing_there     we want it shown, they do not have it
missing_here      they have it, the hub does not know it
status_differs    TrangThaiHoSo
time_differs      NgayHenTra or NgayKetThucXuLy, as precisely as their side tells them
verdict_differs   their monitor calls a dossier late that the dossier service calls on time, or the other way round
payment_differs   DuocThanhToanTrucTuyen
progress_differs  they have fewer of our progress rows than there are
record_differs    any other member of the record (only the portal's read service shows those)
```
What their side does not tell is not compared. A dossier that changed here a moment ago is *on the way*, and one
whose push was acknowledged after their export was made has *changed since*: both are counted, neither is a
difference. Everything is compared in the words of the wire (§1.4): codes as digits, times as `yyyyMMddHHmmss`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

from shared.agency_codes import covers

Kind = Literal[
    "missing_there",
    "missing_here",
    "status_differs",
    "time_differs",
    "verdict_differs",
    "payment_differs",
    "progress_differs",
    "record_differs",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
FIGURES = ("compared", "equal", *KINDS, "on_the_way", "changed_since", "not_asked_for")
ON_TIME, LATE = "on_time", "late"
_CODE = re.compile(r"(.+)-\d{6}-\d{4,}")


class Ours(NamedTuple):
    """A dossier as the portal should show it."""

    code: str
    agency_code: str
    status: str
    due: str
    ended: str
    payment: str | None
    """None when nobody told the hub yet."""
    progress: int
    state: str
    reason: str | None = None
    owner: str | None = None
    is_on_the_way: bool = False
    has_changed_since: bool = False
    is_asked_for: bool = True
    """Whether it lies in the period that was asked for (a file may well hold more)."""
    verdict: str | None = None
    """The dossier service's own by the national rule. It does not tell it yet: until then nobody's is compared."""


class Theirs(NamedTuple):
    """The same dossier as the portal shows it; None where it does not tell."""

    code: str
    status: str | None = None
    due: str | None = None
    ended: str | None = None
    payment: str | None = None
    progress: int | None = None
    verdict: str | None = None
    others: tuple[str, ...] = ()
    """Members of the record that differ from what we send, beyond those above."""


class Difference(NamedTuple):
    """One dossier that the two sides do not show alike."""

    code: str
    agency_code: str
    kinds: tuple[str, ...]
    ours: Ours | None
    theirs: Theirs | None

    def ours_shown(self) -> dict[str, Any] | None:
        """Our side for people: what is compared, nothing else."""
        it = self.ours
        if it is None:
            return None
        return {
            "status": it.status,
            "due": it.due,
            "ended": it.ended,
            "payment": it.payment,
            "progress": it.progress,
            "verdict": it.verdict,
        }

    def theirs_shown(self) -> dict[str, Any] | None:
        """Their side likewise; what they do not tell is left out."""
        if self.theirs is None:
            return None
        found = {name: value for name, value in self.theirs._asdict().items() if value is not None and name != "code"}
        return found | {"others": list(self.theirs.others)}


def compare(ours: Ours, theirs: Theirs) -> tuple[str, ...]:
    """In which kinds the two differ; () when they show the same."""
    kinds = []
    if theirs.status is not None and theirs.status != ours.status:
        kinds.append("status_differs")
    if not _same_time(ours.due, theirs.due) or not _same_time(ours.ended, theirs.ended):
        kinds.append("time_differs")
    if theirs.verdict and (own := ours.verdict) and own != theirs.verdict:
        kinds.append("verdict_differs")
    if theirs.payment is not None and ours.payment is not None and theirs.payment != ours.payment:
        kinds.append("payment_differs")
    if theirs.progress is not None and theirs.progress < ours.progress:
        kinds.append("progress_differs")
    if theirs.others:
        kinds.append("record_differs")
    return tuple(kinds)


def _same_time(ours: str, theirs: str | None) -> bool:
    """At the precision their side tells (a day, a minute, a second); a missing time equals a missing time only."""
    return theirs is None or (ours == theirs if not theirs or not ours else ours.startswith(theirs))


def agency_of(code: str) -> str:
    """The agency that a dossier's code begins with; "" when it is not one of our codes."""
    found = _CODE.fullmatch(code)
    return found[1] if found else ""


@dataclass(slots=True)
class Merge:
    """Walks both sides at once. Feed it our side in pieces (`take`), then `rest` for what only they have.

    `after` is the code up to which an earlier run has already compared; `covers` says which agencies' dossiers the
    asker may see: lines about others are passed over.
    """

    theirs: Iterator[Theirs]
    agencies: Sequence[str] = ("*",)
    after: str = ""
    figures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FIGURES, 0))
    _head: Theirs | None = None

    def __post_init__(self) -> None:
        self._advance()
        while self._head is not None and self._head.code <= self.after:
            self._advance()

    def take(self, piece: Iterable[Ours]) -> list[Difference]:
        """The next dossiers of ours, in the order of their codes."""
        found: list[Difference] = []
        figures = self.figures
        for ours in piece:
            while self._head is not None and self._head.code < ours.code:
                self._only_there(self._head, found)
                self._advance()
            theirs = self._head if self._head is not None and self._head.code == ours.code else None
            if theirs is not None:
                self._advance()
            elif not ours.is_asked_for:
                figures["not_asked_for"] += 1
                continue
            if ours.has_changed_since:
                figures["changed_since"] += 1
                continue
            kinds = compare(ours, theirs) if theirs is not None else ("missing_there",)
            if kinds and ours.is_on_the_way:
                figures["on_the_way"] += 1
                continue
            figures["compared"] += 1
            if kinds:
                self._note(Difference(ours.code, ours.agency_code, kinds, ours, theirs), found)
            else:
                figures["equal"] += 1
        return found

    def rest(self, most: int) -> list[Difference]:
        """What is left on their side when ours has ended, at most so many; [] when nothing is."""
        found: list[Difference] = []
        while self._head is not None and len(found) < most:
            self._only_there(self._head, found)
            self._advance()
        return found

    def _advance(self) -> None:
        self._head = next(self.theirs, None)

    def _only_there(self, theirs: Theirs, found: list[Difference]) -> None:
        agency = agency_of(theirs.code)
        if not covers(self.agencies, agency):
            self.figures["not_asked_for"] += 1
            return
        self.figures["compared"] += 1
        self._note(Difference(theirs.code, agency, ("missing_here",), None, theirs), found)

    def _note(self, difference: Difference, found: list[Difference]) -> None:
        for kind in difference.kinds:
            self.figures[kind] += 1
        found.append(difference)
