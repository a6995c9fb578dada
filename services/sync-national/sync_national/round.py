"""One visit of a batch to the portal: ask, push records, push progress, and note what each dossier got.

What is pushed is decided per dossier by knowledge (insert or update), by digest (nothing, when the portal already
accepted exactly this record) and by number (only the progress rows not yet acknowledged).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from shared import strict_json
from sync_national import portal_record
from sync_national.batch import Answer, Batch, Result
from sync_national.change import ACCEPTED, Presence, Settled, State, Trouble, Visit
from sync_national.evidence import Attempt
from sync_national.portal import Exchange, Portal
from sync_national.portal_record import EqualRows, Item, MappingFailed, Prepared
from sync_national.store import Claim

_LET_GO = Trouble("unreachable", "Hết thời hạn giữ hồ sơ trước khi gửi")
_ROWS_UNSETTLED = Trouble("unsettled", "Cổng có thể còn ghi các dòng tiến độ đã gửi trước đó")
_ROWS_UNTELLABLE = Trouble("untellable", "Cổng không cho biết các dòng tiến độ đã nhận hay chưa")
_NOT_THERE = Trouble("broken", "Dịch vụ hồ sơ không có hồ sơ này")
_BYSTANDER = "Cổng nói về hồ sơ khác trong lô"


@dataclass(slots=True)
class Passage:
    """One dossier on its way."""

    claim: Claim
    prepared: Prepared
    presence: Presence
    digest: bytes | None
    """Of the record the portal is known to show."""
    progress: int
    """Last progress row the portal is known to have."""
    trouble: Trouble | None = None
    found_absent: bool = False
    was_overwritten: bool = False
    was_asked: bool = False
    has_looked: bool = False
    """Whether the portal said what it shows."""
    is_untold: bool = False
    """Whether the destination never says it (profile)."""
    left_open: bool = False
    exchanges: list[tuple[Exchange, bool]] = field(default_factory=list)
    """Calls it was part of; whether their words are about it."""
    sent_record: bool = False
    sent_rows: Sequence[Mapping[str, str]] = ()

    @property
    def differs(self) -> bool:
        """Whether its record must be pushed."""
        return self.trouble is None and self.digest != self.prepared.digest

    @property
    def new_rows(self) -> Sequence[Mapping[str, str]]:
        """Progress rows not yet acknowledged."""
        return self.prepared.rows[self.progress :]

    @property
    def _is_past_doubt(self) -> bool:
        """Where nobody can look, a doubt ends when all was sent again and accepted, or when a person must decide."""
        return self.is_untold and (self.trouble is None or self.trouble is _ROWS_UNTELLABLE)

    @property
    def may_have_rows(self) -> bool:
        """Whether an earlier visit can have sent rows: only what the portal has accepted gets any."""
        standing = self.claim.standing
        return standing.state is State.IN_FLIGHT or standing.acknowledged_version > 0

    def visit(self) -> Visit:
        """What this visit brought."""
        shown = self.digest == self.prepared.digest and not self.found_absent
        is_there = self.presence is Presence.THERE and not self.found_absent
        return Visit(
            version=self.prepared.version,
            progress_count=len(self.prepared.rows),
            digest=self.prepared.digest if shown else None,
            progress=self.progress if is_there else None,
            presence=Presence.ABSENT if self.found_absent else self.presence,
            has_looked=self.has_looked or self._is_past_doubt,
            left_open=self.left_open,
            shows_other=not shown and (self.was_asked or self.sent_record),
            trouble=self.trouble,
        )


class Round:
    """Carries one batch. `hold` says before each call whether the lease still covers it."""

    def __init__(
        self,
        claims: Sequence[Claim],
        items: Mapping[str, Item],
        portal: Portal,
        hold: Callable[[], Awaitable[bool]],
        *,
        equal_rows: EqualRows,
    ) -> None:
        self._portal = portal
        self._hold = hold
        self._equal_rows = equal_rows
        self._passages: dict[str, Passage] = {}
        self._unprepared: dict[str, Visit] = {}
        self._exchange_texts: dict[tuple[int, bool], bytes] = {}
        for claim in claims:
            self._prepare(claim, items.get(claim.dossier_code))

    async def run(self, look_ups_at_once: int) -> None:
        """The whole visit."""
        await self._look_up([p for p in self._passages.values() if p.claim.standing.looks_first], look_ups_at_once)
        await self._push_records([p for p in self._passages.values() if p.differs])
        await self._push_progress([p for p in self._passages.values() if p.trouble is None and p.new_rows])

    def visit(self, code: str) -> Visit:
        """What came of a dossier."""
        passage = self._passages.get(code)
        return passage.visit() if passage else self._unprepared[code]

    def troubles(self) -> Counter[str]:
        """How many visits ended in which kind of trouble."""
        found = [self.visit(code).trouble for code in (*self._passages, *self._unprepared)]
        return Counter(trouble.kind for trouble in found if trouble)

    def overwritten(self) -> int:
        """How many dossiers the portal had shown as they should be, and showed otherwise when their doubt was over."""
        return sum(passage.was_overwritten for passage in self._passages.values())

    @property
    def left_open(self) -> bool:
        """Whether any push got no answer."""
        return any(passage.left_open for passage in self._passages.values())

    def pushed(self) -> set[str]:
        """The dossiers for which anything was sent."""
        return {code for code, passage in self._passages.items() if passage.sent_record or passage.sent_rows}

    def portal_names(self) -> dict[str, str]:
        """The portal's own code → ours, of those that were filed there."""
        return {theirs: ours for theirs, ours in _names(self._passages.values()).items() if theirs != ours}

    def attempt(self, claim: Claim, after: Settled, number: int) -> Attempt | None:
        """The evidence of a dossier's visit; None when nothing was said to the portal."""
        passage = self._passages.get(claim.dossier_code)
        if passage is None or not passage.exchanges:
            return None
        return Attempt(
            dossier_code=claim.dossier_code,
            agency_code=claim.agency_code,
            number=number,
            version=passage.prepared.version,
            progress_number=after.standing.acknowledged_progress,
            outcome=passage.trouble.kind if passage.trouble else ACCEPTED,
            reason=passage.trouble.reason if passage.trouble else None,
            exchanges=self._exchange_list(passage.exchanges),
            request={
                "record": portal_record.masked(passage.prepared.record) if passage.sent_record else None,
                "progress": [portal_record.masked_row(row) for row in passage.sent_rows],
                **({"digest": passage.prepared.digest.hex()} if passage.sent_record else {}),
            },
        )

    def _prepare(self, claim: Claim, item: Item | None) -> None:
        standing = claim.standing
        try:
            if item is None:
                raise MappingFailed(_NOT_THERE.reason)
            prepared = portal_record.prepare(item, self._portal.profile)
        except MappingFailed as fault:
            count = standing.desired_progress
            version = standing.desired_version
            self._unprepared[claim.dossier_code] = Visit(version, count, trouble=Trouble("broken", str(fault)))
            return
        self._passages[claim.dossier_code] = Passage(
            claim, prepared, standing.presence, standing.digest, standing.acknowledged_progress
        )

    async def _look_up(self, passages: Sequence[Passage], at_once: int) -> None:
        places = asyncio.Semaphore(at_once)

        async def one(passage: Passage) -> None:
            async with places:
                if await self._hold():
                    await self._ask(passage)
                else:
                    passage.trouble = Trouble("unclear", _LET_GO.reason)

        if passages:
            await asyncio.gather(*(one(passage) for passage in passages))

    async def _ask(self, passage: Passage) -> None:
        """TraCuuHoSo settles an earlier visit whose answer is missing."""
        found, exchange = await self._portal.look_up(passage.prepared.portal_code)
        passage.exchanges.append((exchange, True))
        passage.was_asked = True
        if found.trouble is not None:
            # Still not known: neither executed nor not. Asked again later.
            passage.trouble = Trouble("unclear", found.trouble.reason, found.trouble.wait_seconds)
            return
        if not found.is_told:
            self._take_for_lost(passage)
            return
        passage.has_looked = True
        if found.record is None:
            passage.presence, passage.digest, passage.progress = Presence.ABSENT, None, 0
            passage.found_absent = True
        else:
            passage.presence = Presence.THERE
            passage.digest = portal_record.shown_digest(passage.prepared.record, found.record)
            self._compare_rows(passage, found.record)
        was = passage.claim.standing
        passage.was_overwritten = (
            was.state is State.SYNCED
            and was.desired_version == passage.prepared.version
            and (passage.digest != passage.prepared.digest or bool(passage.new_rows))
        )

    def _take_for_lost(self, passage: Passage) -> None:
        """Nobody can say what of the last visit arrived: it goes again, but for rows that might be kept twice."""
        passage.is_untold, passage.digest = True, None
        if passage.new_rows and passage.may_have_rows and self._equal_rows != "ignore":
            passage.trouble = _ROWS_UNSETTLED if passage.claim.standing.is_unsettled else _ROWS_UNTELLABLE

    def _compare_rows(self, passage: Passage, shown: Mapping[str, Any]) -> None:
        rows = shown.get(portal_record.PROGRESS_FIELD)
        if isinstance(rows, list):
            passage.progress = portal_record.rows_shown(passage.prepared.rows, rows)
        if passage.new_rows and self._equal_rows != "ignore":
            if passage.claim.standing.is_unsettled:
                passage.trouble = _ROWS_UNSETTLED
            elif not isinstance(rows, list):
                passage.trouble = _ROWS_UNTELLABLE

    async def _push_records(self, passages: Sequence[Passage]) -> None:
        batch = Batch(
            [p.prepared.code for p in passages if p.presence is not Presence.THERE],
            [p.prepared.code for p in passages if p.presence is Presence.THERE],
        )
        while (call := batch.next_call()) is not None:
            if not await self._hold():
                batch.answered(call, Answer("trouble", _LET_GO.reason, trouble=_LET_GO))
                continue
            sent = [self._passages[code] for code in call.codes]
            records = [orjson.Fragment(p.prepared.text) for p in sent]
            answer, exchange = await self._portal.push(records, _names(sent), updating=call.updating)
            for passage in self._note(sent, answer, exchange):
                passage.sent_record = True
            batch.answered(call, answer)
        for code, result in batch.results.items():
            self._learn(self._passages[code], result)

    def _learn(self, passage: Passage, result: Result) -> None:
        if result.is_accepted:
            passage.presence, passage.digest = Presence.THERE, passage.prepared.digest
            passage.found_absent = False
            return
        passage.trouble = _about(passage, result.trouble)
        if result.exists is not None:
            passage.presence = Presence.THERE if result.exists else Presence.ABSENT
            passage.found_absent = not result.exists

    async def _push_progress(self, passages: Sequence[Passage]) -> None:
        batch = Batch([], [p.prepared.code for p in passages])
        while (call := batch.next_call()) is not None:
            sent = [self._passages[code] for code in call.codes]
            answer = await self._push_rows(sent)
            for passage in sent:
                passage.progress += answer.rows.get(passage.prepared.code, 0)
            if answer.kind == "missing":
                # The portal lost a dossier it had accepted: the record goes again, with all its rows.
                for passage in sent if len(sent) == 1 else [p for p in sent if p.prepared.code == answer.named]:
                    passage.found_absent = True
                answer = Answer("refused", answer.words, answer.named)
            elif answer.kind == "each":
                for passage in sent:
                    passage.found_absent |= _is_missing(answer, passage)
                refused = {
                    code: replace(it, kind="refused") for code, it in answer.each.items() if it.kind == "missing"
                }
                answer = replace(answer, each={**answer.each, **refused})
            batch.answered(call, answer)
        for code, result in batch.results.items():
            passage = self._passages[code]
            if result.is_accepted:
                passage.progress = len(passage.prepared.rows)
            else:
                passage.trouble = _about(passage, result.trouble)
                if passage.found_absent and passage.trouble:
                    passage.trouble = Trouble("unreachable", passage.trouble.reason)

    async def _push_rows(self, sent: Sequence[Passage]) -> Answer:
        if not await self._hold():
            return Answer("trouble", _LET_GO.reason, trouble=_LET_GO)
        rows = [row for passage in sent for row in passage.new_rows]
        answer, exchange = await self._portal.push_progress(rows, _names(sent))
        for passage in self._note(sent, answer, exchange):
            passage.sent_rows = passage.new_rows
        return answer

    def _note(self, sent: Iterable[Passage], answer: Answer, exchange: Exchange) -> list[Passage]:
        """Those that were part of a call. Only whom the portal names sees its words: they may be another agency's."""
        told = []
        for passage in sent:
            code = passage.prepared.code
            trouble = answer.each.get(code, answer).trouble
            passage.left_open |= trouble is not None and trouble.kind == "lost"
            own = exchange.own.get(code)
            passage.exchanges += [(exchange, _is_about(answer, code))] if own is None else [(it, True) for it in own]
            if own != ():
                told.append(passage)
        return told

    def _exchange_list(self, exchanges: Sequence[tuple[Exchange, bool]]) -> str:
        texts = []
        for exchange, about_it in exchanges:
            key = (id(exchange), about_it)
            if key not in self._exchange_texts:
                self._exchange_texts[key] = strict_json.dumps(_shown(exchange, about_it=about_it))
            texts.append(self._exchange_texts[key])
        return (b"[" + b",".join(texts) + b"]").decode()


def _names(sent: Iterable[Passage]) -> dict[str, str]:
    return {passage.prepared.portal_code: passage.prepared.code for passage in sent}


def _is_about(answer: Answer, code: str) -> bool:
    """Of an answer for each, only the one that was not accepted can be meant; of two nobody knows which."""
    if answer.kind == "each":
        return answer.each.keys() == {code}
    return answer.kind in {"accepted", "trouble"} or answer.named in {None, code}


def _is_missing(answer: Answer, passage: Passage) -> bool:
    one = answer.each.get(passage.prepared.code)
    return one is not None and one.kind == "missing"


def _shown(exchange: Exchange, *, about_it: bool) -> dict[str, Any]:
    return {
        "service": exchange.service,
        "is_updating": exchange.updating,
        "at": exchange.at,
        "took_ms": exchange.took_ms,
        "records": exchange.records,
        "http_status": exchange.status,
        "error_code": exchange.error_code,
        "message": exchange.message if about_it else _BYSTANDER,
    }


def _about(passage: Passage, trouble: Trouble | None) -> Trouble | None:
    """The reason as it is kept: the applicant's own words, should the portal repeat them, are left out."""
    if trouble is None:
        return None
    reason = trouble.reason
    for name in ("ChuHoSo", "SoGiayToChuHoSo", "Email", "SoDienThoai"):
        value = passage.prepared.record.get(name)
        if value and len(value) > 2:
            reason = reason.replace(value, "***")
    return Trouble(trouble.kind, reason, trouble.wait_seconds)
