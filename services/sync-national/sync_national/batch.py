"""How a batch finds its way through a portal that refuses it whole: correct, leave out, halve.

One bad record must not hold its ninety-nine neighbours. What the portal's answer to a call teaches:

```
accepted              all records of the call are done
exists, named         that record goes with the updates; the rest again. When the first of the call exists, or a
                      second one shows up, the records behind it are taken for existing too (a batch is stored
                      whole, so they come together); a wrong guess is corrected the same way
missing, named        likewise, the other way round
refused, named        that record alone is refused, with the portal's words; the rest again
any of these, unnamed one record: it is the one. Several: both halves on their own
each                  the portal judged record by record: each record has its own answer
trouble               the call did not get through: its records have that trouble, the remaining ones were not sent
```
When a record stands alone refused, nothing was accepted yet, and the largest remaining part is refused as well,
then the portal refuses everything: the rest is left for later instead of being halved to pieces.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sync_national.change import Trouble

Kind = Literal["accepted", "exists", "missing", "refused", "each", "trouble"]

_FLIPS = 3
"""A record called existing and missing in turn so often is refused: the portal contradicts itself."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The portal's answer to one call, as far as batching needs it."""

    kind: Kind
    words: str = ""
    named: str | None = None
    """The first bad code, when the words name one of the call."""
    each: "Mapping[str, Answer]" = field(default_factory=dict)
    """For kind `each`: the records that were not accepted."""
    trouble: Trouble | None = None
    rows: "Mapping[str, int]" = field(default_factory=dict)
    """Progress rows of a dossier that were taken before one was not."""


class Call(NamedTuple):
    """One push: these codes, as updates or as inserts."""

    codes: Sequence[str]
    updating: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one record."""

    is_accepted: bool
    exists: bool | None
    """What the portal said about its existence, if anything."""
    trouble: Trouble | None = None


class Batch:
    """One visit's records on their way: ask `next_call`, tell `answered`, until there is none; then `results`."""

    def __init__(self, inserts: Sequence[str], updates: Sequence[str] = ()) -> None:
        self.results: dict[str, Result] = {}
        self._parts: deque[Call] = deque(
            Call(codes, updating) for codes, updating in ((inserts, False), (updates, True)) if codes
        )
        self._corrected: dict[bool, list[str]] = {False: [], True: []}
        self._flips: dict[str, int] = {}
        self._told: dict[str, bool] = {}
        self._corrections = 0
        self._anything_accepted = False
        self._probing = False

    def next_call(self) -> Call | None:
        """The next push, or None when every record has its result."""
        if not self._parts:
            for updating in (False, True):
                if codes := self._corrected[updating]:
                    self._parts.append(Call(codes, updating))
                    self._corrected[updating] = []
        return self._parts.popleft() if self._parts else None

    def answered(self, call: Call, answer: Answer) -> None:
        """Take in what the portal said to `call`."""
        match answer.kind:
            case "accepted":
                self._accept(call.codes)
            case "each":
                self._accept([code for code in call.codes if code not in answer.each])
                for code in call.codes:
                    if code in answer.each:
                        self._judge_alone(code, call.updating, answer.each[code])
            case "trouble":
                self._give_up(call, answer)
            case _:
                self._judge(call, answer)

    def _judge_alone(self, code: str, updating: bool, answer: Answer) -> None:
        if answer.kind == "trouble":  # the call for this record did not get through; that of others did
            self._give_up(Call([code], updating), answer)
        else:
            self._judge(Call([code], updating), answer)

    def _accept(self, codes: Sequence[str]) -> None:
        for code in codes:
            self.results[code] = Result(is_accepted=True, exists=True)
        self._anything_accepted = self._anything_accepted or bool(codes)
        self._probing = False

    def _judge(self, call: Call, answer: Answer) -> None:
        named = answer.named if answer.named in call.codes else None
        if named is None and len(call.codes) == 1:
            named = call.codes[0]
            if answer.kind == "refused":
                self._refuse(named, answer.words)
                self._probe_if_nothing_passes()
                return
        if named is None:
            self._halve(call, answer)
        elif answer.kind == "refused":
            self._refuse(named, answer.words)
            self._again([code for code in call.codes if code != named], call.updating)
        else:
            self._correct(call, named, answer)

    def _refuse(self, code: str, words: str) -> None:
        self.results[code] = Result(False, self._told.get(code), Trouble("refused", words))

    def _correct(self, call: Call, named: str, answer: Answer) -> None:
        """The portal's knowledge of `named` is the opposite of what the call assumed."""
        exists = answer.kind == "exists"
        at = call.codes.index(named)
        self._told[named] = exists
        self._flips[named] = self._flips.get(named, 0) + 1
        self._corrections += 1
        if exists == call.updating or self._flips[named] > _FLIPS:
            # It contradicts the call (an update refused because it exists) or itself: no push can be right.
            self._refuse(named, answer.words)
            self._again([code for code in call.codes if code != named], call.updating)
            return
        if at == 0 or self._corrections > 1:
            self._again(call.codes[:at], call.updating)
            self._corrected[not call.updating].extend(call.codes[at:])
        else:
            self._again([code for code in call.codes if code != named], call.updating)
            self._corrected[not call.updating].append(named)

    def _again(self, codes: Sequence[str], updating: bool) -> None:
        if codes:
            self._parts.appendleft(Call(codes, updating))

    def _halve(self, call: Call, answer: Answer) -> None:
        if self._probing and not self._anything_accepted:
            trouble = Trouble("unreachable", answer.words)
            self._leave(call.codes, trouble)
            self._leave_rest(trouble)
            return
        middle = len(call.codes) // 2
        self._again(call.codes[middle:], call.updating)
        self._again(call.codes[:middle], call.updating)

    def _probe_if_nothing_passes(self) -> None:
        if self._anything_accepted or not self._parts:
            return
        largest = max(self._parts, key=lambda part: len(part.codes))
        self._parts.remove(largest)
        self._parts.appendleft(largest)
        self._probing = True

    def _give_up(self, call: Call, answer: Answer) -> None:
        for code in call.codes:
            self.results[code] = Result(False, self._told.get(code), answer.trouble)
        if answer.trouble is not None and answer.trouble.kind == "untried":
            self._leave_rest(answer.trouble)
        else:
            wait = answer.trouble.wait_seconds if answer.trouble else None
            self._leave_rest(Trouble("unreachable", answer.words, wait))

    def _leave_rest(self, trouble: Trouble) -> None:
        for part in self._parts:
            self._leave(part.codes, trouble)
        for codes in self._corrected.values():
            self._leave(codes, trouble)
        self._parts.clear()
        self._corrected = {False: [], True: []}

    def _leave(self, codes: Sequence[str], trouble: Trouble) -> None:
        for code in codes:
            self.results[code] = Result(False, self._told.get(code), trouble)
