"""As much at once, and in a minute, as the portal bears."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_national import pacing
from sync_national.pacing import Lanes, Quota


async def in_lane(lanes: Lanes, inside: list[int], go: asyncio.Event) -> None:
    """A batch that stays until told to go."""
    async with lanes:
        inside[0] += 1
        await go.wait()
        inside[0] -= 1


async def test_quick_answers_open_one_lane_more_for_each_round_of_them() -> None:
    lanes, inside, go = Lanes(4, quick_seconds=1.0), [0], asyncio.Event()
    batches = [asyncio.create_task(in_lane(lanes, inside, go)) for _ in range(6)]
    await asyncio.sleep(0)
    assert inside == [1]
    found = []
    for _ in range(12):
        lanes.answered(0.1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        found.append(inside[0])
    assert found[0] == 2
    assert found == sorted(found)
    assert found[-1] == 4
    go.set()
    await asyncio.gather(*batches)
    assert inside == [0]


def test_slow_answers_open_nothing() -> None:
    lanes = Lanes(4, quick_seconds=1.0)
    for _ in range(50):
        lanes.answered(1.5)
    assert lanes.open == 1.0


def test_trouble_halves_once_for_all_calls_that_were_under_way() -> None:
    lanes = Lanes(8, quick_seconds=1.0)
    for _ in range(100):
        lanes.answered(0.1)
    begun = time.monotonic()
    for _ in range(8):
        lanes.overloaded(begun)
    assert lanes.open == 4.0
    lanes.overloaded(time.monotonic() + 0.001)
    assert lanes.open == 2.0


@given(st.lists(st.one_of(st.floats(0, 3), st.none()), max_size=200), st.integers(1, 16))
def test_there_is_always_a_lane_and_never_one_too_many(answers: list[float | None], most: int) -> None:
    lanes = Lanes(most, quick_seconds=1.0)
    for now, seconds in enumerate(answers):
        if seconds is None:
            lanes.overloaded(time.monotonic() + now)
        else:
            lanes.answered(seconds)
        assert 1 <= lanes.open <= most


async def test_who_gives_up_waiting_leaves_the_place_to_the_next() -> None:
    lanes, inside, go = Lanes(1, quick_seconds=1.0), [0], asyncio.Event()
    first, second, third = (asyncio.create_task(in_lane(lanes, inside, go)) for _ in range(3))
    await asyncio.sleep(0)
    second.cancel()
    go.set()
    await asyncio.gather(first, third)
    with pytest.raises(asyncio.CancelledError):
        await second


class Minute:
    """What all copies share, and the clock by which its minute ends."""

    def __init__(self, calls: int) -> None:
        self.left = calls
        self.asked = 0
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def reserve(self, calls: int) -> tuple[int, float]:
        self.asked += 1
        granted = min(self.left, calls)
        self.left -= granted
        await asyncio.sleep(0)
        return granted, 60 - self.now % 60

    def passes(self, calls: int) -> None:
        """Another minute with so many calls."""
        self.left = calls
        self.now += 60


@pytest.fixture
def minute(monkeypatch: pytest.MonkeyPatch) -> Minute:
    made = Minute(25)
    monkeypatch.setattr(pacing, "time", made)
    return made


async def begins(quota: Quota) -> bool:
    """Whether a batch may begin, which is over at once."""
    async with quota.batch() as may_begin:
        return may_begin


async def test_the_copies_together_take_no_more_than_the_minute_grants(minute: Minute) -> None:
    copies = [Quota(minute.reserve), Quota(minute.reserve)]
    taken = [await copy.take() for _ in range(20) for copy in copies]
    assert sum(taken) == 25
    assert not any(taken[-10:])


async def test_when_the_minute_is_used_up_nobody_asks_before_the_next(minute: Minute) -> None:
    minute.left = 5
    quota = Quota(minute.reserve)
    assert await begins(quota)
    assert [await quota.take() for _ in range(5)] == [True] * 5
    asked = minute.asked
    assert not await quota.take()
    assert not await begins(quota)
    assert quota.wait_seconds > 0
    assert minute.asked <= asked + 1
    minute.passes(10)
    assert await begins(quota)


async def test_what_was_reserved_in_a_minute_is_not_spent_in_the_next(minute: Minute) -> None:
    early, late = Quota(minute.reserve), Quota(minute.reserve)
    assert await early.take()  # nine are left over
    minute.passes(25)
    taken = [await quota.take() for quota in (late, early) for _ in range(30)]
    assert sum(taken) == 25


async def test_batches_begun_together_each_have_their_calls(minute: Minute) -> None:
    minute.left = 10
    quota, go = Quota(minute.reserve), asyncio.Event()

    async def one() -> bool:
        async with quota.batch() as may_begin:
            await go.wait()
            return may_begin

    batches = [asyncio.create_task(one()) for _ in range(5)]
    for _ in range(50):
        await asyncio.sleep(0)
    go.set()
    assert sum(await asyncio.gather(*batches)) == 2
    assert await begins(quota), "those that are over keep nothing"


async def test_without_a_limit_nothing_is_counted() -> None:
    quota = Quota()
    assert await begins(quota)
    assert all([await quota.take() for _ in range(1000)])
