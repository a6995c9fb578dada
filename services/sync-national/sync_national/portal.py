"""The national portal over HTTP: one session for all workers, and every answer put into one of a few kinds.

| what comes                                     | kind                                                       |
|------------------------------------------------|------------------------------------------------------------|
| error_code 0, "0", "00"                        | accepted                                                   |
| words "đã tồn tại" with code 0, 3 or -3        | exists (wire §1.3)                                         |
| words "hồ sơ … không tồn tại"                  | missing                                                    |
| words about the session ("phiên")              | log in again, once, and repeat: it was not executed        |
| another code, records listed in `result`       | each                                                       |
| another code                                   | refused; the first bad code is looked for in the words     |
| 429, other 4xx, breaker open, no connection    | trouble unreachable: certainly not executed                |
| time-out, cut connection, 502, 504             | trouble lost: perhaps executed, perhaps still running      |
| other 5xx, HTML, endless answer                | trouble unclear: over, but who knows whether executed      |

Real codes beyond these are unknown (wire §9.1), so the words decide where the wire document has nothing better.
"""

import asyncio
import math
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared import clock, http, strict_json, vietnamese
from shared.crashpoint import crashpoint
from shared.errors import Upstream, UpstreamInvalid, UpstreamTimeout, UpstreamUnavailable
from shared.http import BreakerState, Peer
from sync_national.batch import Answer
from sync_national.change import Trouble
from sync_national.pacing import Lanes, Quota
from sync_national.portal_profile import NATIONAL, Doing, Profile
from sync_national.words import as_kept

_CODE = re.compile(r"[A-Z0-9][A-Z0-9.]*-\d{6}-\d{4,}")
_MISSING = re.compile(r"hồ sơ[^,;]{0,80}?(không|chưa) tồn tại")
_SESSION = re.compile(r"phiên(?! (bản|dịch))|\bsession\b")
_NO_ANSWER = "Cổng không trả lời"
_NO_READING = "Hệ thống này không có dịch vụ tra cứu"
_NO_CALLS_LEFT = "Đã dùng hết số lần gọi cổng của phút này"
_LOGIN_PAUSE_SECONDS = 5  # a wrong password is not tried thousands of times

Names = Mapping[str, str]
"""Our codes of the dossiers in a call, by the `MaHoSo` the portal has for them."""


class LoginRefused(UpstreamUnavailable):
    """The portal does not let us in."""

    code, title = "portal_login_refused", "The portal refused the login"


@dataclass(frozen=True, slots=True)
class Account:
    """How the province introduces itself."""

    username: str
    password: str
    agency_code: str
    """`madonvi`"""
    destination_code: str
    """Header `dstcode`"""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call as evidence keeps it: no session, no password, no citizen."""

    service: str
    updating: bool | None
    at: datetime
    took_ms: int
    records: int
    status: int | None
    error_code: str | None
    message: str
    own: "Mapping[str, Sequence[Exchange]]" = field(default_factory=dict)
    """By our code: what was said of that dossier alone, where it was told apart; the others see `message`."""


@dataclass(frozen=True, slots=True)
class Found:
    """What TraCuuHoSo says: the record, None when the portal has none, or why it could not be asked."""

    record: Mapping[str, Any] | None
    trouble: Trouble | None = None
    is_told: bool = True
    """Whether the destination tells at all what it holds (profile, place `look_up`)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read: `words` without what may identify a person."""

    status: int
    code: int | None
    words: str
    result: Sequence[Any]


class Portal:
    """The portal as the hub sees it. `turned_away_until` is a monotonic time (429 with Retry-After)."""

    def __init__(
        self,
        peer: Peer,
        account: Account,
        *,
        deadline_seconds: float = 60.0,
        lanes: Lanes | None = None,
        quota: Quota | None = None,
        profile: Profile = NATIONAL,
    ) -> None:
        self.lanes = lanes or Lanes(1, deadline_seconds)
        self.quota = quota or Quota()
        self.profile = profile
        self._peer = peer
        self._account = account
        self._deadline_seconds = deadline_seconds
        self._session = ""
        self._login = asyncio.Lock()
        self._turned_away_until = 0.0
        self._pushing_paths = {self._place(doing) for doing in ("insert", "update", "progress")}
        self._headers = {
            "accept": "application/json",
            "content-type": "application/json",
            "charset": "utf-8",
            "dstcode": account.destination_code,
        }

    @property
    def can_be_asked(self) -> bool:
        """Whether it tells what it holds of a dossier; else only its files do."""
        return "look_up" in self.profile.places

    @property
    def breaker(self) -> BreakerState:
        """State of the breaker."""
        return self._peer.breaker.state

    @property
    def is_closed_for_now(self) -> bool:
        """Whether a call now would only be refused here."""
        return self._peer.breaker.state == "open" or time.monotonic() < self._turned_away_until

    async def push(self, records: Sequence[Any], codes: Names, *, updating: bool) -> tuple[Answer, Exchange]:
        """DongBoHoSoMC. `records` are JSON values or ready fragments, one per code."""
        return await self._push("DongBoHoSoMC", records, codes, updating=updating)

    async def push_progress(self, rows: Sequence[Any], codes: Names) -> tuple[Answer, Exchange]:
        """CapNhatTienDoHoSoMC. Rows of several dossiers go together."""
        return await self._push("CapNhatTienDoHoSoMC", rows, codes, updating=True)

    async def look_up(self, code: str) -> tuple[Found, Exchange]:
        """TraCuuHoSo: what the portal shows of one dossier."""
        at, started = clock.now(), time.monotonic()
        if not self.can_be_asked:
            return Found(None, is_told=False), Exchange("TraCuuHoSo", None, at, 0, 0, None, None, _NO_READING)
        try:
            reply = await self._call(self._place("look_up"), {"service": "TraCuuHoSo", "mahoso": code})
        except Upstream as fault:
            trouble = trouble_of(fault)
            return Found(None, trouble), failed_exchange("TraCuuHoSo", None, at, started, 1, fault, trouble)
        exchange = exchange_of("TraCuuHoSo", None, at, started, 1, reply)
        if reply.code != 0:
            return Found(None, Trouble("unclear", reply.words)), exchange
        rows = [row for row in reply.result if isinstance(row, Mapping) and row.get("MaHoSo", code) == code]
        return Found(rows[0] if rows else None), exchange

    async def _push(
        self, service: str, data: Sequence[Any], codes: Names, *, updating: bool
    ) -> tuple[Answer, Exchange]:
        at, started = clock.now(), time.monotonic()
        body = {"service": service, "isUpdating": "True" if updating else "False", "data": data}
        try:
            reply = await self._call(self._place(doing_of(service, updating=updating)), body)
        except Upstream as fault:
            trouble = trouble_of(fault)
            self._turn_away(trouble)
            exchange = failed_exchange(service, updating, at, started, len(data), fault, trouble)
            return Answer("trouble", trouble.reason, trouble=trouble), exchange
        answer = judge(reply, codes, self.profile.exists_codes)
        told = exchange_of(service, updating, at, started, len(data), reply)
        return answer, replace(told, own=_told_apart(told, reply, codes))

    def _place(self, doing: str) -> str:
        return self.profile.place(doing, agency=self._account.agency_code, updating=doing == "update")

    def _turn_away(self, trouble: Trouble) -> None:
        if trouble.wait_seconds:
            self._turned_away_until = time.monotonic() + trouble.wait_seconds

    async def _call(self, path: str, parameters: Mapping[str, Any]) -> Reply:
        """Any call but the login; an expired session is renewed once (by whoever notices first).

        One deadline covers the call and the logins it needs: leases are measured by it.
        """
        deadline = time.monotonic() + self._deadline_seconds
        session = self._session or await self._renewed("", deadline)
        reply = await self._send(path, self._body(session, parameters), deadline)
        if _is_session_over(reply):
            session = await self._renewed(session, deadline)
            reply = await self._send(path, self._body(session, parameters), deadline)
            if _is_session_over(reply):
                raise LoginRefused(internal="a fresh session is refused")
        return reply

    def _body(self, session: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {"session": session, "madonvi": self._account.agency_code, **parameters}

    async def _renewed(self, stale: str, deadline: float) -> str:
        async with self._login:
            if self._session == stale:
                self._session = ""
                self._session = await self._log_in(deadline)
            return self._session

    async def _log_in(self, deadline: float) -> str:
        login = {"username": self._account.username, "password": self._account.password}
        try:
            answer = await self._post(self._place("login"), login, deadline)
        except Upstream as fault:
            # Whatever became of the login, the push behind it was not sent.
            raise LoginRefused(
                _NO_ANSWER, internal=fault.internal, retry_after_seconds=fault.retry_after_seconds
            ) from fault
        body = answer.json()
        session = body.get("session")
        if _number(body.get("error_code")) != 0 or not isinstance(session, str) or not session:
            raise LoginRefused(
                _words(body),
                internal=f"login error_code {body.get('error_code')}",
                retry_after_seconds=_LOGIN_PAUSE_SECONDS,
            )
        return session

    async def _send(self, path: str, body: Mapping[str, Any], deadline: float) -> Reply:
        return reply_of(await self._post(path, body, deadline))

    async def _post(self, path: str, body: Any, deadline: float) -> http.Answer:
        if not await self.quota.take():
            raise UpstreamUnavailable(_NO_CALLS_LEFT, retry_after_seconds=math.ceil(self.quota.wait_seconds))
        answer = await self._asked(path, strict_json.dumps(body), deadline)
        if path in self._pushing_paths:
            crashpoint("portal.before_answer")  # executed there, and nobody here has looked at the answer yet
        if answer.status == 429 or 400 <= answer.status < 500:
            raise UpstreamUnavailable(
                f"Cổng từ chối cuộc gọi (HTTP {answer.status})", retry_after_seconds=_retry_after(answer)
            )
        if answer.status in {502, 504}:
            raise UpstreamTimeout(f"{_NO_ANSWER} (HTTP {answer.status})", outcome_unknown=True)
        if answer.status >= 500:
            raise UpstreamInvalid(
                f"Cổng báo lỗi (HTTP {answer.status})",
                outcome_unknown=True,
                retry_after_seconds=_retry_after(answer),
            )
        return answer

    async def _asked(self, path: str, content: bytes, deadline: float) -> http.Answer:
        started = time.monotonic()
        try:
            answer = await self._peer.send(
                "POST",
                path,
                content=content,
                headers=self._headers,
                deadline_seconds=max(0.01, deadline - started),
                check=lambda answer: self._check(path, answer),
            )
        except UpstreamTimeout:
            self.lanes.overloaded(started)
            raise
        if answer.status == 429 or answer.status >= 500:
            self.lanes.overloaded(started)
        else:
            self.lanes.answered(time.monotonic() - started)
        return answer

    def _check(self, path: str, answer: http.Answer) -> None:  # noqa: ARG002 - a middleware's places differ
        if answer.status < 400:
            reply_of(answer)


def reply_of(answer: http.Answer) -> Reply:
    """The object that an answer is. Raises `UpstreamInvalid` when it is none."""
    document = answer.json()
    if not isinstance(document, Mapping) or "error_code" not in document:
        raise UpstreamInvalid(internal="the answer is no object with an error_code", outcome_unknown=True)
    result = document.get("result")
    return Reply(
        answer.status,
        _number(document.get("error_code")),
        _words(document),
        result if isinstance(result, list) else [],
    )


def judge(reply: Reply, codes: Names, exists_codes: Collection[int] = NATIONAL.exists_codes) -> Answer:
    """Which kind of answer it is to a push of these codes."""
    words = vietnamese.normal(reply.words).lower()
    named = next((codes[code] for code in _CODE.findall(reply.words) if code in codes), None)
    if "đã tồn tại" in words and reply.code in exists_codes:
        return Answer("exists", reply.words, named)
    if reply.code == 0:
        return Answer("accepted", reply.words)
    each = _each(reply, codes, exists_codes)
    if each:
        return Answer("each", reply.words, each=each)
    if _MISSING.search(words):
        return Answer("missing", reply.words, named)
    return Answer("refused", reply.words or f"error_code {reply.code}", named)


def doing_of(service: str, *, updating: bool) -> Doing:
    """Which place of the profile a push goes to."""
    if service == "CapNhatTienDoHoSoMC":
        return "progress"
    return "update" if updating else "insert"


def _each(reply: Reply, codes: Names, exists_codes: Collection[int]) -> dict[str, Answer]:
    """Answers of the records that a portal lists one by one (those not listed were accepted)."""
    found = {code: judge(one, codes, exists_codes) for code, one in _listed(reply, codes).items()}
    return {code: one for code, one in found.items() if one.kind != "accepted"}


def _listed(reply: Reply, codes: Names) -> dict[str, Reply]:
    """What the portal says of each record, where it lists them, by our codes."""
    return {
        codes[str(row["MaHoSo"])]: Reply(reply.status, _number(row["error_code"]), _words(row), ())
        for row in reply.result
        if isinstance(row, Mapping) and str(row.get("MaHoSo")) in codes and "error_code" in row
    }


def _told_apart(exchange: Exchange, reply: Reply, codes: Names) -> dict[str, Sequence[Exchange]]:
    """Each record's own code and words, where the portal lists them."""
    return {
        code: (replace(exchange, error_code=None if one.code is None else str(one.code), message=one.words),)
        for code, one in _listed(reply, codes).items()
    }


def trouble_of(fault: Upstream) -> Trouble:
    """What a call that brought no answer means."""
    reason = fault.message if fault.message != type(fault).title else _NO_ANSWER
    wait = float(fault.retry_after_seconds) if fault.retry_after_seconds else None
    if not fault.outcome_unknown:
        return Trouble("unreachable", reason, wait)
    if isinstance(fault, UpstreamInvalid):
        return Trouble("unclear", reason if reason != _NO_ANSWER else "Cổng trả lời không hợp lệ", wait)
    return Trouble("lost", reason, wait)


def exchange_of(
    service: str, updating: bool | None, at: datetime, started: float, records: int, reply: Reply
) -> Exchange:
    """A call that was answered, as evidence."""
    took = int((time.monotonic() - started) * 1000)
    code = None if reply.code is None else str(reply.code)
    return Exchange(service, updating, at, took, records, reply.status, code, reply.words)


def failed_exchange(
    service: str, updating: bool | None, at: datetime, started: float, records: int, fault: Upstream, trouble: Trouble
) -> Exchange:
    """A call that was not."""
    took = int((time.monotonic() - started) * 1000)
    return Exchange(service, updating, at, took, records, None, fault.code, trouble.reason)


def _is_session_over(reply: Reply) -> bool:
    """Words about the session and about no dossier: a record refused for its version ("phiên bản") is no reason."""
    words = vietnamese.normal(reply.words)
    return reply.code != 0 and _SESSION.search(words.lower()) is not None and _CODE.search(words) is None


def _number(code: object) -> int | None:
    """error_code comes as 0, "0" or "00" (wire §1.1)."""
    if isinstance(code, int):
        return int(code)
    try:
        return int(str(code).strip())
    except ValueError:
        return None


def _words(document: Mapping[str, Any]) -> str:
    """The portal's message."""
    message = document.get("message")
    return as_kept(str(message)) if message else ""


def _retry_after(answer: http.Answer) -> int | None:
    value = answer.headers.get("retry-after", "")
    return min(int(value), 3600) if value.isascii() and value.isdigit() else None
