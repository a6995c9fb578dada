"""What the evidence of each dossier of a batch shows of the portal's words."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from shared import clock
from sync_national.batch import Answer
from sync_national.change import Presence, Settled, Standing, State
from sync_national.portal import Exchange, Portal
from sync_national.portal_profile import NATIONAL
from sync_national.portal_record import Item
from sync_national.round import Round
from sync_national.store import Claim
from tests.service.sync_national.province import a_dossier

WORDS = "Số giấy tờ của bà Lò Thị Mẩy không đúng"


class OneByOne(Portal):
    """Takes every record but those it refuses, each with its own answer."""

    def __init__(self, refused: Sequence[str], *, lists: bool) -> None:
        self.profile = NATIONAL
        self._refused, self._lists = refused, lists

    async def _push(self, service: str, data: Any, codes: Any, *, updating: bool) -> tuple[Answer, Exchange]:
        exchange = Exchange(service, updating, clock.now(), 1, 1, 200, "-5", WORDS)
        if self._lists:
            own = {code: (replace(exchange, message=f"Sai ở {code}"),) for code in self._refused}
            exchange = replace(exchange, message="Đã nhận một phần", own=own)
        return Answer("each", WORDS, each={code: Answer("refused", WORDS) for code in self._refused}), exchange


async def shown(refused: Sequence[str], items: Mapping[str, Item], *, lists: bool = False) -> dict[str, str]:
    """The words of the one call, as each dossier's evidence has them."""
    standing = Standing(State.PENDING, 1, 0, 0, 0, Presence.ABSENT, None)
    claims = [Claim(code, "H08.15", standing) for code in items]

    async def hold() -> bool:
        return True

    visit = Round(claims, items, OneByOne(refused, lists=lists), hold, equal_rows="ignore")
    await visit.run(1)
    found = {}
    for claim in claims:
        attempt = visit.attempt(claim, Settled(standing, None), 1)
        assert attempt is not None
        found[claim.dossier_code] = orjson.loads(attempt.exchanges)[0]["message"]
    return found


async def test_only_the_one_that_was_refused_shows_the_words_about_it() -> None:
    items = {str(item["code"]): item for item in (a_dossier(number) for number in (1, 2, 3))}
    first, second, third = items
    found = await shown([second], items)
    assert found[second] == WORDS
    assert WORDS not in (found[first], found[third])
    found = await shown([second, third], items)
    assert WORDS not in found.values(), "about which of the two they are, one exchange does not say"


async def test_of_two_refused_each_sees_its_own_words() -> None:
    items = {str(item["code"]): item for item in (a_dossier(number) for number in (1, 2, 3))}
    first, second, third = items
    found = await shown([second, third], items, lists=True)
    assert (found[second], found[third]) == (f"Sai ở {second}", f"Sai ở {third}")
    assert second not in found[first]
    assert third not in found[first]
