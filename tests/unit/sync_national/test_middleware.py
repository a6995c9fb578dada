"""A province's middleware: what is begun, what is left for the next turn, and what nobody can tell."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from shared import http
from shared.errors import UpstreamTimeout
from sync_national import middleware, portal_profile
from sync_national.change import Doubt, Limits, Presence, Settled, Standing, State, settle
from sync_national.middleware import Middleware
from sync_national.portal import Account
from sync_national.portal_record import EqualRows
from sync_national.round import Round
from sync_national.store import Claim
from tests.service.sync_national.province import a_dossier

DEADLINE = 60.0
WELL = '{"error_code": "0", "message": "Đồng bộ thành công"}'
PROFILE = portal_profile.known()["thanh-hoa@1"]
LIMITS = Limits(portal_timeout=60.0, first=1.0, longest=300.0, refusals=3)


class Slow(Middleware):
    """Takes `took` seconds for each call and answers what `answer` says of its number and body."""

    def __init__(self, took: float, answer: Callable[[int, Any], str | Exception]) -> None:
        account = Account("hub", "hub", "H08", "dvcqg")
        super().__init__(cast("Any", None), account, deadline_seconds=DEADLINE, profile=PROFILE)
        self.now, self.sent = 0.0, list[tuple[str, Any]]()
        self._took, self._answer = took, answer

    async def _post(self, path: str, body: Any, deadline: float) -> http.Answer:
        assert self.now < deadline
        sent = orjson.loads(orjson.dumps(body))
        self.sent.append((path, sent))
        self.now += self._took
        answer = self._answer(len(self.sent), sent)
        if isinstance(answer, Exception):
            raise answer
        return http.Answer(200, {}, answer.encode())


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Slow]:
    """A middleware on a clock of its own."""

    def made(took: float, answer: Callable[[int, Any], str | Exception]) -> Slow:
        found = Slow(took, answer)
        monkeypatch.setattr(middleware, "time", SimpleNamespace(monotonic=lambda: found.now))
        return found

    return made


async def visited(
    portal: Middleware, standings: Sequence[Standing], *, equal_rows: EqualRows = "ignore", **changes: Any
) -> tuple[Round, list[Claim]]:
    items = {it["code"]: it for it in (a_dossier(n, **changes) for n in range(1, len(standings) + 1))}
    claims = [Claim(code, "H08.15", standing) for code, standing in zip(items, standings, strict=True)]

    async def hold() -> bool:
        return True

    visit = Round(claims, items, portal, hold, equal_rows=equal_rows)
    await visit.run(1)
    return visit, claims


NEW = Standing(State.PENDING, 1, 0, 1, 0, Presence.ABSENT, None)


async def test_a_call_that_may_not_end_in_time_is_left_for_the_next_turn(slow: Callable[..., Slow]) -> None:
    portal = slow(10.0, lambda _, __: WELL)
    visit, claims = await visited(portal, [NEW] * 6)
    records = [body for path, body in portal.sent if path.endswith("them-moi")]
    assert len(records) == 3, "after 30 s three times 10 s do not fit into 60 any more"
    kinds = [trouble and trouble.kind for trouble in (visit.visit(it.dossier_code).trouble for it in claims)]
    assert kinds[3:] == ["untried"] * 3
    for claim in claims[3:]:
        after = settle(NEW, visit.visit(claim.dossier_code), LIMITS, 0.0)
        assert (after.standing.state, after.due_in, after.standing.tries) == (State.PENDING, 0.0, 0)
        assert visit.attempt(claim, after, 1) is None, "nothing was said to the portal"


async def test_what_was_left_has_no_part_in_the_one_call_there_was_time_for(slow: Callable[..., Slow]) -> None:
    visit, (sent, *left) = await visited(slow(25.0, lambda _, __: WELL), [NEW] * 3)
    assert visit.attempt(sent, Settled(NEW, None), 1) is not None
    assert [visit.attempt(claim, Settled(NEW, None), 1) for claim in left] == [None, None]


async def test_rows_behind_a_refused_chunk_are_not_sent_and_those_before_it_count(slow: Callable[..., Slow]) -> None:
    def answer(number: int, body: Any) -> str:
        return WELL if "MaTTHC" in body[0] else "Cập nhật tiến trình thành công" if number == 2 else "Lỗi dữ liệu"

    portal = slow(0.1, answer)
    row = a_dossier()["progress"][0]
    rows = [{**row, "number": n, "at": f"2026-03-02T08:{n:02d}:00+07:00"} for n in range(1, 26)]
    visit, (claim,) = await visited(portal, [NEW], progress=rows)
    assert [len(body) for path, body in portal.sent if path.endswith("tien-trinh")] == [10, 10], "the third is not sent"
    found = visit.visit(claim.dossier_code)
    assert found.trouble is not None
    assert (found.trouble.kind, found.progress) == ("refused", 10)
    attempt = visit.attempt(claim, Settled(NEW, None), 1)
    assert attempt is not None
    assert len(orjson.loads(attempt.exchanges)) == 3, "each call of its own is in its evidence"


async def test_each_dossier_sees_its_own_calls_only(slow: Callable[..., Slow]) -> None:
    def answer(_: int, body: Any) -> str:
        code = body[0]["MaHoSo"]
        if code.endswith("1") or "MaTTHC" not in body[0]:
            return WELL if "MaTTHC" in body[0] else "Cập nhật tiến trình thành công"
        return orjson.dumps({"error_code": "-5", "message": f"Sai số {code[-1]}"}).decode()

    visit, claims = await visited(slow(0.1, answer), [NEW] * 3)
    words = []
    for claim in claims:
        attempt = visit.attempt(claim, Settled(NEW, None), 1)
        assert attempt is not None
        words.append(orjson.loads(attempt.exchanges)[0]["message"])
    assert words == ["Đồng bộ thành công", "Sai số 2", "Sai số 3"]


LOST = Standing(State.UNKNOWN, 2, 1, 2, 0, Presence.THERE, b"x" * 16, doubt=Doubt.OVER)


@pytest.mark.parametrize(
    ("equal_rows", "doubt", "kind"),
    [("ignore", Doubt.OVER, None), ("show", Doubt.OPEN, "unsettled"), ("neither", Doubt.OVER, "untellable")],
)
async def test_rows_that_may_be_there_are_not_sent_twice_where_that_would_show(
    slow: Callable[..., Slow], equal_rows: EqualRows, doubt: Doubt, kind: str | None
) -> None:
    portal = slow(0.1, lambda _, body: WELL if "MaTTHC" in body[0] else "Cập nhật tiến trình thành công")
    standing = LOST._replace(doubt=doubt)
    visit, (claim,) = await visited(portal, [standing], equal_rows=equal_rows)
    found = visit.visit(claim.dossier_code)
    assert (found.trouble and found.trouble.kind) == kind
    assert any(path.endswith("tien-trinh") for path, _ in portal.sent) is (kind is None)
    after = settle(standing, found, LIMITS, 0.0)
    assert after.doubt == ("keep" if kind == "unsettled" else "clear"), (
        "sent again and taken, or for a person to decide"
    )
    assert after.standing.acknowledged_version >= 1, "nobody said that it is gone"


async def test_a_doubt_stays_while_it_could_not_be_sent_again(slow: Callable[..., Slow]) -> None:
    visit, (claim,) = await visited(slow(0.1, lambda _, __: UpstreamTimeout(outcome_unknown=True)), [LOST])
    after = settle(LOST, visit.visit(claim.dossier_code), LIMITS, 0.0)
    assert (after.standing.state, after.doubt) == (State.UNKNOWN, "raise")


async def test_a_new_dossier_whose_record_was_lost_has_no_rows_there(slow: Callable[..., Slow]) -> None:
    portal = slow(0.1, lambda _, body: WELL if "MaTTHC" in body[0] else "Cập nhật tiến trình thành công")
    standing = NEW._replace(state=State.UNKNOWN, doubt=Doubt.OPEN)
    visit, (claim,) = await visited(portal, [standing], equal_rows="neither")
    assert visit.visit(claim.dossier_code).trouble is None


async def test_words_of_a_middleware_name_nobody_and_can_be_stored(slow: Callable[..., Slow]) -> None:
    portal = slow(0.1, lambda _, body: WELL if "MaTTHC" in body[0] else "Lỗi\x00: 012345678901 an@example.vn")
    visit, (claim,) = await visited(portal, [NEW])
    trouble = visit.visit(claim.dossier_code).trouble
    assert trouble is not None
    assert (trouble.kind, trouble.reason) == ("refused", "Lỗi: *** ***")
