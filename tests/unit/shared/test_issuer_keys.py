"""Row 18: the issuer's keys are rotated with and without overlap, away, slow, unknown; the list of revocations old."""

import asyncio
import time
from typing import Any

import pytest

from shared.auth import JwksSource, TokenVerifier
from shared.errors import Unauthenticated, UpstreamUnavailable
from shared.revocations import STALE_SECONDS, Revocations
from tests.support.tokens import TokenIssuer


class Clock:
    """Monotonic time that a test moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        real = time.monotonic
        for module in ("shared.auth", "shared.revocations"):
            monkeypatch.setattr(f"{module}.time.monotonic", lambda: real() + self._ahead)

    def pass_by(self, seconds: float) -> None:
        self._ahead += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Issuer:
    """The gateway's key set, fetched by a service."""

    def __init__(self) -> None:
        self.fetched = 0
        self.fault: Exception | None = None
        self.seconds = 0.0
        self.first, self.second = TokenIssuer(kid="first"), TokenIssuer(kid="second")
        self.published = [self.first]

    async def fetch(self) -> dict[str, Any]:
        self.fetched += 1
        await asyncio.sleep(self.seconds)
        if self.fault:
            raise self.fault
        return {"keys": [key for issuer in self.published for key in issuer.jwks["keys"]]}

    def verifier(self) -> TokenVerifier:
        return TokenVerifier(self.first.issuer, JwksSource(self.fetch))


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


async def test_with_overlap_no_token_is_refused(issuer: Issuer, clock: Clock) -> None:
    verifier = issuer.verifier()
    old = issuer.first.token()
    await verifier.verify(old)
    issuer.published = [issuer.first, issuer.second]
    clock.pass_by(31)
    await verifier.verify(issuer.second.token())
    await verifier.verify(old)
    await verifier.verify(issuer.first.token())
    assert issuer.fetched == 2


async def test_without_overlap_the_old_keys_tokens_end_with_it(issuer: Issuer, clock: Clock) -> None:
    """Also those that were believed before: a key is taken back because somebody else may have it."""
    verifier = issuer.verifier()
    old = issuer.first.token()
    await verifier.verify(old)
    issuer.published = [issuer.second]
    clock.pass_by(31)
    await verifier.verify(issuer.second.token())
    for token in (old, issuer.first.token()):
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)


async def test_a_key_taken_back_is_noticed_though_nobody_brings_a_new_one(issuer: Issuer, clock: Clock) -> None:
    verifier = issuer.verifier()
    await verifier.verify(issuer.first.token())
    issuer.published = [issuer.second]
    clock.pass_by(301)
    with pytest.raises(Unauthenticated):
        await verifier.verify(issuer.first.token())


async def test_a_new_key_is_asked_for_once_in_thirty_seconds(issuer: Issuer, clock: Clock) -> None:
    verifier = issuer.verifier()
    await verifier.verify(issuer.first.token())
    for _ in range(3):
        clock.pass_by(31)
        for _ in range(20):
            with pytest.raises(Unauthenticated):
                await verifier.verify(issuer.second.token())
    assert issuer.fetched == 4


@pytest.mark.parametrize("fault", [UpstreamUnavailable(), ValueError("no JSON"), KeyError("keys")])
async def test_while_the_issuer_is_away_known_keys_hold_and_unknown_ones_are_refused(
    issuer: Issuer, clock: Clock, fault: Exception
) -> None:
    verifier = issuer.verifier()
    await verifier.verify(issuer.first.token())
    issuer.fault = fault
    clock.pass_by(301)
    await verifier.verify(issuer.first.token())
    with pytest.raises(Unauthenticated):
        await verifier.verify(issuer.second.token())
    issuer.fault = None
    issuer.published = [issuer.first, issuer.second]
    clock.pass_by(31)
    await verifier.verify(issuer.second.token())


async def test_a_slow_issuer_holds_up_nobody_whose_key_is_known(issuer: Issuer, clock: Clock) -> None:
    verifier = issuer.verifier()
    await verifier.verify(issuer.first.token())
    issuer.seconds = 1.0
    clock.pass_by(31)
    waiting = [asyncio.create_task(verifier.verify(issuer.second.token())) for _ in range(20)]
    await asyncio.sleep(0.01)
    async with asyncio.timeout(0.5):
        for _ in range(20):
            await verifier.verify(issuer.first.token())
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, Unauthenticated) for outcome in outcomes)
    assert issuer.fetched == 2, "they waited for one answer"


async def test_a_list_of_revocations_older_than_any_token_is_no_list(issuer: Issuer, clock: Clock) -> None:
    revocations = Revocations()
    verifier = TokenVerifier(issuer.first.issuer, JwksSource(issuer.fetch), revocations=revocations)
    token = issuer.first.token()
    await verifier.verify(token)
    clock.pass_by(STALE_SECONDS + 1)
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)
    revocations.replace(set(), {})
    await verifier.verify(token)


async def test_where_nobody_tells_what_is_revoked_nothing_grows_old(issuer: Issuer, clock: Clock) -> None:
    """Services' own tokens have no such list: an hour after its start a service refused every neighbour."""
    verifier = TokenVerifier(issuer.first.issuer, JwksSource(issuer.fetch))
    token = issuer.first.token()
    await verifier.verify(token)
    clock.pass_by(STALE_SECONDS + 1)
    await verifier.verify(token)
