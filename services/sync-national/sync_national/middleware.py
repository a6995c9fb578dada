"""A province's own middleware in front of the national portal (wire §1.3), spoken to as its profile says.

No session, bare arrays, an address for each call; the answer to progress may be plain text. Where it takes one dossier
a call, a push of many is many calls under one deadline: each record has its own answer, a call that may not end in time
is not begun but left for the next turn, and what was not sent certainly was not executed. Without a read service
nothing can be asked: after a lost answer the dossier goes again; "đã tồn tại" puts right what was thought of it.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from shared import clock, http, vietnamese
from shared.errors import Upstream, UpstreamInvalid
from sync_national.batch import Answer
from sync_national.change import Trouble
from sync_national.portal import (
    Exchange,
    Names,
    Portal,
    Reply,
    doing_of,
    exchange_of,
    failed_exchange,
    judge,
    reply_of,
    trouble_of,
)
from sync_national.portal_profile import Doing
from sync_national.words import as_kept

_NO_TIME = "Lượt này không còn thời gian để gửi"
_ROOM = 3
"""A call is begun when so many times the longest one of this turn would still fit into it."""
_FAILED = re.compile(r"(không|chưa|chẳng|thất bại)[^.;,]{0,20}thành công")
_OF_SO_MANY = re.compile(r"thành công[^\d.;,]{0,20}(\d+)\s*/\s*(\d+)(?![\d/])")


@dataclass(slots=True)
class _Time:
    """Of one turn's calls; monotonic seconds."""

    ends: float
    longest: float = 0.0

    @property
    def has_room(self) -> bool:
        return time.monotonic() + _ROOM * self.longest < self.ends


class Middleware(Portal):
    """The same as `Portal` to those who push."""

    def _check(self, path: str, answer: http.Answer) -> None:
        """An object; for progress, where the profile answers so, text; never a page."""
        is_text = self.profile.progress_answer == "text" and path == self._place("progress")
        if is_text and not answer.content.lstrip().startswith((b"{", b"<")):
            return
        super()._check(path, answer)

    async def _push(
        self, service: str, data: Sequence[Any], codes: Names, *, updating: bool
    ) -> tuple[Answer, Exchange]:
        doing = doing_of(service, updating=updating)
        left = _Time(time.monotonic() + self._deadline_seconds)
        each: dict[str, Answer] = {}
        own: dict[str, list[Exchange]] = {code: [] for code in codes.values()}
        taken: Counter[str] = Counter()
        first: Exchange | None = None
        stopped: Trouble | None = None
        for names, part in self._parts(doing, data, list(codes)):
            if any(each[name].kind != "accepted" for name in names if name in each):
                continue  # its rows come in their order: those behind a refused one are not sent
            if stopped is None and not left.has_room:
                stopped = Trouble("untried", _NO_TIME)
            if stopped is not None:
                answer = Answer("trouble", stopped.reason, trouble=stopped)
            else:
                answer, told = await self._told(doing, service, part, {name: codes[name] for name in names}, left)
                first = first or told
                for name in names:
                    own[codes[name]].append(told)
                if answer.kind == "accepted" and doing == "progress" and len(names) == 1:
                    taken[codes[names[0]]] += len(part)
                if answer.trouble is not None:
                    stopped = Trouble("unreachable", answer.trouble.reason, answer.trouble.wait_seconds)
            each |= dict.fromkeys(names, answer)
        assert first is not None  # the first call always has room
        if any(told != [first] for told in own.values()):  # each dossier sees the calls that it was part of
            first = replace(first, own={code: tuple(told) for code, told in own.items()})
        whole, *others = each.values()
        if all(answer is whole for answer in others):
            return replace(whole, rows=taken), first
        bad = {codes[name]: answer for name, answer in each.items() if answer.kind != "accepted"}
        return (Answer("each", "", each=bad, rows=taken) if bad else Answer("accepted")), first

    def _parts(self, doing: Doing, data: Sequence[Any], names: list[str]) -> Iterator[tuple[list[str], list[Any]]]:
        """What goes in one call: records with their names, or rows of one dossier (of all, where it takes many)."""
        if doing != "progress":
            most = self.profile.most_records
            for first in range(0, len(names), most):
                yield names[first : first + most], list(data[first : first + most])
        elif self.profile.most_records > 1 and len(data) <= self.profile.most_rows:
            yield names, list(data)
        else:
            for name, found in groupby(data, key=lambda row: str(row["MaHoSo"])):
                rows = list(found)
                for first in range(0, len(rows), self.profile.most_rows):
                    yield [name], rows[first : first + self.profile.most_rows]

    async def _told(
        self, doing: Doing, service: str, part: list[Any], names: Names, left: _Time
    ) -> tuple[Answer, Exchange]:
        at, started = clock.now(), time.monotonic()
        updating = doing != "insert"
        try:
            reply = self._reply(doing, await self._post(self._place(doing), part, left.ends))
        except Upstream as fault:
            trouble = trouble_of(fault)
            self._turn_away(trouble)
            exchange = failed_exchange(service, updating, at, started, len(part), fault, trouble)
            return Answer("trouble", trouble.reason, trouble=trouble), exchange
        finally:
            left.longest = max(left.longest, time.monotonic() - started)
        return self._judged(doing, reply, names), exchange_of(service, updating, at, started, len(part), reply)

    def _reply(self, doing: Doing, answer: http.Answer) -> Reply:
        if doing != "progress" or self.profile.progress_answer == "json":
            return reply_of(answer)
        try:
            text = answer.content.decode().strip().strip('"')
        except UnicodeDecodeError as fault:
            raise UpstreamInvalid(internal="the answer is no text", outcome_unknown=True) from fault
        if not text:
            raise UpstreamInvalid(internal="the answer is empty", outcome_unknown=True)
        return Reply(answer.status, 0 if self._says_success(text) else None, as_kept(text), [])

    def _judged(self, doing: Doing, reply: Reply, names: Names) -> Answer:
        answer = judge(reply, names, self.profile.exists_codes)
        if answer.kind != "accepted":
            return answer
        if not self._says_success(reply.words):
            return Answer("refused", reply.words or f"error_code {reply.code}, {doing}")
        if _was_in_part(reply.words):
            return Answer("trouble", reply.words, trouble=Trouble("unclear", reply.words))
        return answer

    def _says_success(self, words: str) -> bool:
        said = vietnamese.normal(words).lower()
        return self.profile.success_words in said and not _FAILED.search(said)


def _was_in_part(words: str) -> bool:
    """“Thành công 3/10”: which three, nobody knows."""
    counted = _OF_SO_MANY.search(vietnamese.normal(words).lower())
    return counted is not None and int(counted[1]) != int(counted[2])
