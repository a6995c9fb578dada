"""A province's own middleware in front of the national portal (wire §1.3), spoken to as its profile says.

No session, bare arrays, an address for each call; the answer to progress may be plain text. Where it takes one dossier
a call, a push of many is many calls under one deadline: each record has its own answer, and what was not sent any more
certainly was not executed. Without a read service nothing can be asked: the dossier is taken for absent, sent again as
new, and "đã tồn tại" puts that right.
"""

import re
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from shared import clock, http, vietnamese
from shared.errors import Upstream, UpstreamInvalid
from sync_national.batch import Answer
from sync_national.change import Trouble
from sync_national.portal import (
    Exchange,
    Found,
    Names,
    Portal,
    Reply,
    exchange_of,
    failed_exchange,
    judge,
    reply_of,
    trouble_of,
)
from sync_national.portal_profile import Doing

_NO_READING = "Trục của tỉnh không có dịch vụ tra cứu"
_TOO_LATE = "Hết thời gian trước khi gửi"
_FAILED = re.compile(r"(không|chưa|chẳng|thất bại)[^.;,]{0,20}thành công")
_OF_SO_MANY = re.compile(r"thành công[^\d.;,]{0,20}(\d+)\s*/\s*(\d+)(?![\d/])")


class Middleware(Portal):
    """The same as `Portal` to those who push."""

    async def look_up(self, code: str) -> tuple[Found, Exchange]:  # noqa: ARG002 - it has nothing to ask
        """Nothing can be asked: absent, until the push says otherwise."""
        return Found(None), Exchange("TraCuuHoSo", None, clock.now(), 0, 0, None, None, _NO_READING)

    def _check(self, path: str, answer: http.Answer) -> None:
        """An object; for progress, where the profile answers so, text; never a page."""
        is_text = self.profile.progress_answer == "text" and path == self._place("progress")
        if is_text and not answer.content.lstrip().startswith((b"{", b"<")):
            return
        super()._check(path, answer)

    def _place(self, doing: Doing) -> str:
        return self.profile.place(doing, agency=self._account.agency_code, updating=doing == "update")

    async def _push(
        self, service: str, data: Sequence[Any], codes: Names, *, updating: bool
    ) -> tuple[Answer, Exchange]:
        doing: Doing = "progress" if service == "CapNhatTienDoHoSoMC" else "update" if updating else "insert"
        ends = time.monotonic() + self._deadline_seconds
        each: dict[str, Answer] = {}
        exchange: Exchange | None = None
        whole: Answer | None = None
        for names, part in self._parts(doing, data, list(codes)):
            stopped = next((answer for answer in each.values() if answer.trouble is not None), None)
            if stopped is not None and stopped.trouble is not None:
                answer = _unsent(stopped.trouble)
            else:
                answer, told = await self._told(doing, service, part, {name: codes[name] for name in names}, ends)
                if exchange is None or answer.kind != "accepted":
                    exchange = told
            whole = answer
            for name in names:
                if name not in each or each[name].kind == "accepted":  # of several parts the first that fails counts
                    each[name] = answer
        assert exchange is not None
        assert whole is not None
        if len({id(answer) for answer in each.values()}) == 1:
            return next(iter(each.values())), exchange
        bad = {codes[name]: answer for name, answer in each.items() if answer.kind != "accepted"}
        return (Answer("each", "", each=bad) if bad else whole), exchange

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
        self, doing: Doing, service: str, part: list[Any], names: Names, ends: float
    ) -> tuple[Answer, Exchange]:
        at, started = clock.now(), time.monotonic()
        updating = doing != "insert"
        try:
            if started >= ends:
                trouble = Trouble("unreachable", _TOO_LATE)
                return _unsent(trouble), Exchange(service, updating, at, 0, len(part), None, None, _TOO_LATE)
            reply = self._reply(doing, await self._post(self._place(doing), part, ends))
        except Upstream as fault:
            trouble = trouble_of(fault)
            self._turn_away(trouble)
            exchange = failed_exchange(service, updating, at, started, len(part), fault, trouble)
            return Answer("trouble", trouble.reason, trouble=trouble), exchange
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
        return Reply(answer.status, 0 if self._says_success(text) else None, text[:500], [])

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


def _unsent(trouble: Trouble) -> Answer:
    left = Trouble("unreachable", trouble.reason, trouble.wait_seconds)
    return Answer("trouble", trouble.reason, trouble=left)
