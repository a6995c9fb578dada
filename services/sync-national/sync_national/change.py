"""The rules of level-triggered synchronisation: desired version, acknowledged version, and what to do about it.

```
             event                     claim                    answer
synced ─────────────▶ pending ───────────────▶ in_flight ──┬──▶ synced      all level
   ▲                   ▲   ▲                               ├──▶ pending     the dossier moved on meanwhile
   │  event, retry     │   │ time                          ├──▶ failed      not executed, or refused: again later
   └── parked ─────────┘   ├── failed                      ├──▶ unknown     the answer was lost
                           └── unknown (looks first)       └──▶ parked      refused too often, or our own fault
```
`held` is `pending` at a destination on hold: shown, never stored. A lost answer is neither success nor failure:
the portal may still be working on it, so nothing is pushed for that dossier until the portal's own time-out is
over; then the portal is asked (TraCuuHoSo), then it is decided.

But a portal may execute a push long after everybody gave up waiting for it, over what it was told since. So a lost
answer leaves a doubt behind, for as long as that can happen (`Limits.settle`). It changes nothing meanwhile; when it is
over, the portal is asked once more, whatever the state, `synced` too, and told again what it should show.

Waiting times: failures in succession n wait `first · 2^(n-1)`, at most `longest` seconds, of which a random half
is taken off so that a thousand dossiers do not come back in the same second.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from shared.errors import Owner

ACCEPTED = "accepted"


class State(StrEnum):
    """Where a dossier stands at a destination (api.md)."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    SYNCED = "synced"
    UNKNOWN = "unknown"
    FAILED = "failed"
    PARKED = "parked"
    HELD = "held"


class Presence(StrEnum):
    """What the hub knows about the dossier's existence at the portal: insert or update."""

    UNTOLD = "untold"
    THERE = "there"
    ABSENT = "absent"


class Doubt(StrEnum):
    """Whether a push that was given up may still be executed by the portal."""

    NONE = "none"
    OPEN = "open"
    OVER = "over"
    """Not any more; but what the portal shows since is not known."""


DoubtChange = Literal["keep", "raise", "clear"]
TroubleKind = Literal["refused", "untried", "unreachable", "lost", "unclear", "unsettled", "untellable", "broken"]
"""
refused      the portal judged this record and said no (partner's)
untried      this visit had no time left for it: the next one takes it, and nobody failed
unreachable  certainly not executed: nothing was sent, or the portal turned the call away
lost         no answer: it may have been executed, it may still be running
unclear      the call is over, but its answer does not tell whether it was executed (5xx, HTML)
unsettled    rows may still come that the portal would then keep twice: nothing is pushed before the doubt is over
untellable   rows were sent, their answer was lost, and the portal can never say whether it has them
broken       we could not make the record (ours)
"""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a visit did not end level; `reason` is for people (the portal's words where it spoke)."""

    kind: TroubleKind
    reason: str
    wait_seconds: float | None = None
    """The portal's Retry-After, when it named one."""

    @property
    def owner(self) -> Owner:
        """Whose fault it is (nobody's, where nothing was tried)."""
        return "hub" if self.kind == "broken" else "partner"


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient the hub is; seconds. `portal_timeout` is the time after which the portal has certainly ended."""

    portal_timeout: float = 60.0
    settle: float = 300.0
    """How long after we gave up a push the portal may still execute it."""
    first: float = 1.0
    longest: float = 300.0
    refusals: int = 3
    """A record that the portal refused so often in succession is parked."""


class Standing(NamedTuple):
    """What the hub wants and knows of one dossier at one destination."""

    state: State
    desired_version: int
    acknowledged_version: int
    desired_progress: int
    acknowledged_progress: int
    presence: Presence
    digest: bytes | None
    """Of the record the portal accepted last."""
    tries: int = 0
    """Visits in succession that failed."""
    refusals: int = 0
    """Visits in succession in which the portal refused this record."""
    reason: str | None = None
    owner: Owner | None = None
    doubt: Doubt = Doubt.NONE
    """When it was claimed."""

    @property
    def is_level(self) -> bool:
        """Whether the portal shows what it should, progress rows included."""
        return self.acknowledged_version >= self.desired_version and self.acknowledged_progress >= self.desired_progress

    @property
    def looks_first(self) -> bool:
        """Whether the portal must be asked before anything is pushed: an earlier answer is missing.

        A claimed row that is claimed again (its lease ran out) belongs to a worker that died on the way.
        """
        return self.state in {State.UNKNOWN, State.IN_FLIGHT} or self.doubt is Doubt.OVER

    @property
    def is_unsettled(self) -> bool:
        """Whether the portal may still execute what an earlier visit, or the worker that died, sent to it."""
        return self.state is State.IN_FLIGHT or self.doubt is Doubt.OPEN


class Visit(NamedTuple):
    """What one visit to the portal brought for one dossier."""

    version: int
    """Version of the record that was read for this visit."""
    progress_count: int
    """Progress rows the dossier has at that version."""
    digest: bytes | None = None
    """Of the record the portal now certainly shows; None when the visit did not establish it."""
    progress: int | None = None
    """Number of the last progress row the portal now certainly has; None likewise."""
    presence: Presence | None = None
    has_looked: bool = False
    """Whether the portal answered what it shows."""
    left_open: bool = False
    """Whether a push got no answer, so that it may still be executed."""
    shows_other: bool = False
    """Whether the portal shows, or may show, another record than this one and than the one accepted before."""
    trouble: Trouble | None = None


class Settled(NamedTuple):
    """The standing after a visit, and in how many seconds a worker looks at it again.

    None: when its doubt is over; not by itself when there is none, or when it is parked.
    """

    standing: Standing
    due_in: float | None
    doubt: DoubtChange = "keep"

    @property
    def is_parked(self) -> bool:
        """Whether a person is needed now."""
        return self.standing.state is State.PARKED


def settle(standing: Standing, visit: Visit, limits: Limits, jitter: float) -> Settled:
    """Fold a visit into the standing as it is now (events may have raised the desired version meanwhile).

    `jitter` is a random number in [0, 1).
    """
    known = _learn(standing, visit)
    moved_on = known.desired_version > visit.version
    if visit.trouble is not None and visit.trouble.kind == "untried":
        after = Settled(known._replace(state=_untried(standing), reason=visit.trouble.reason, owner=None), 0.0)
    elif visit.trouble is None:
        state, due_in = (State.SYNCED, None) if known.is_level else (State.PENDING, 0.0)
        after = Settled(known._replace(state=state, tries=0, refusals=0, reason=None, owner=None), due_in)
    else:
        after = _after_trouble(known, visit.trouble, limits, jitter, moved_on=moved_on)
    return after._replace(doubt=_doubt(standing, visit))


def _untried(standing: Standing) -> State:
    """Who had to look first still has to."""
    return State.UNKNOWN if standing.looks_first else State.PENDING


def _doubt(standing: Standing, visit: Visit) -> DoubtChange:
    """A worker that died may have sent anything just before; who looked when all was over knows all."""
    if visit.left_open or standing.state is State.IN_FLIGHT:
        return "raise"
    return "clear" if standing.doubt is Doubt.OVER and visit.has_looked else "keep"


def _learn(standing: Standing, visit: Visit) -> Standing:
    """Acknowledgements only grow, unless the portal says that it does not have the dossier."""
    version, progress = standing.acknowledged_version, standing.acknowledged_progress
    presence, digest = visit.presence or standing.presence, standing.digest
    if visit.presence is Presence.ABSENT:
        version, progress, digest = 0, 0, None
    if visit.shows_other:
        digest = None
    if visit.digest is not None:
        presence, digest, version = Presence.THERE, visit.digest, max(version, visit.version)
    if visit.progress is not None:
        progress = max(progress, visit.progress)
    return standing._replace(
        acknowledged_version=version,
        acknowledged_progress=progress,
        presence=presence,
        digest=digest,
        # The record itself numbers its rows; the count kept from events was only an expectation.
        desired_progress=(
            visit.progress_count
            if visit.version >= standing.desired_version
            else max(standing.desired_progress, visit.progress_count)
        ),
    )


def _after_trouble(known: Standing, trouble: Trouble, limits: Limits, jitter: float, *, moved_on: bool) -> Settled:
    hurt = known._replace(tries=known.tries + 1, reason=trouble.reason, owner=trouble.owner)
    wait = max(backoff(hurt.tries, limits, jitter), trouble.wait_seconds or 0.0)
    match trouble.kind:
        case "lost":
            after = Settled(hurt._replace(state=State.UNKNOWN), max(limits.portal_timeout, wait))
        case "unclear":
            after = Settled(hurt._replace(state=State.UNKNOWN), wait)
        case "unsettled" | "untellable":
            after = Settled(hurt._replace(state=State.UNKNOWN), None)
        case "unreachable":
            after = Settled(hurt._replace(state=State.FAILED), wait)
        case "refused" | "broken" if moved_on:
            # The refused or unmappable version is not what the portal should show any more: judge the new one.
            after = Settled(hurt._replace(state=State.PENDING), backoff(1, limits, jitter))
        case "broken":
            after = Settled(hurt._replace(state=State.PARKED), None)
        case "refused":
            after = _after_refusal(hurt._replace(refusals=known.refusals + 1), trouble, limits, jitter)
    return after


def _after_refusal(hurt: Standing, trouble: Trouble, limits: Limits, jitter: float) -> Settled:
    if hurt.refusals >= limits.refusals:
        return Settled(hurt._replace(state=State.PARKED), None)
    wait = max(backoff(hurt.refusals, limits, jitter), trouble.wait_seconds or 0.0)
    return Settled(hurt._replace(state=State.FAILED), wait)


def backoff(failures: int, limits: Limits, jitter: float) -> float:
    """Seconds to wait after so many failures in succession."""
    full = min(limits.longest, limits.first * 2.0 ** min(failures - 1, 30))
    return full * (1.0 - jitter / 2.0)


class Gathering:
    """How long a first change waits, so that later ones of the dossier travel with it.

    `shortest` seconds while at most `CALM` changes a second come; one second more for every `CHANGES_A_SECOND` beyond
    that, up to `longest`. The portal is the nation's and its calls are counted: what it shows need not pass through
    every state in the second it happened, and in a rush of thousands of dossiers nobody watches each of them.
    """

    CALM = 200.0
    CHANGES_A_SECOND = 50.0
    MEMORY_SECONDS = 10.0
    """The rate is an average over about so long."""

    def __init__(self, shortest: float, longest: float) -> None:
        self._shortest = shortest
        self._longest = max(shortest, longest)
        self._rate = 0.0
        self._counted_at = 0.0

    def seconds(self, changes: int, present: float) -> float:
        """The pause for so many changes that came at `present` (a monotonic clock)."""
        self._rate *= math.exp(-max(0.0, present - self._counted_at) / self.MEMORY_SECONDS)
        self._rate += changes / self.MEMORY_SECONDS
        self._counted_at = present
        rush = max(0.0, self._rate - self.CALM)
        return min(self._shortest + rush / self.CHANGES_A_SECOND, self._longest)
