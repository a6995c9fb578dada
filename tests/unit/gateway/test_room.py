"""Places are bounded, clients take turns, and nobody takes the others' share."""

import asyncio
import time
import timeit
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.room import Crowded, Room, ShareTaken

FAST_MICROSECONDS = 5


def a_room(at_once: int = 4, most_waiting: int = 8, wait_seconds: float = 30) -> Room:
    return Room(at_once=at_once, most_waiting=most_waiting, wait_seconds=wait_seconds)


async def come(room: Room, who: str) -> "asyncio.Task[None]":
    """A request that has a place, waits, or was refused when this returns."""
    task = asyncio.create_task(room.enter(who))
    await asyncio.sleep(0)
    return task


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_client_alone_has_three_quarters_and_half_of_the_waiting_room() -> None:
    room = a_room()
    came = [await come(room, "noisy") for _ in range(8)]
    assert (room.under_way, room.waiting) == (3, 4)
    assert isinstance(came[-1].exception(), ShareTaken)
    with pytest.raises(ShareTaken):
        room.require("noisy")
    room.require("quiet")
    await room.enter("quiet")  # without waiting
    assert room.under_way == 4
    for task in came:
        task.cancel()


async def test_clients_take_turns() -> None:
    room = a_room(at_once=2, most_waiting=100)
    for who in ("first", "second"):
        await room.enter(who)
    order: list[str] = []

    async def one(who: str) -> None:
        await room.enter(who)
        order.append(who)
        room.leave(who)

    tasks = [asyncio.create_task(one(who)) for who in ["noisy"] * 5 + ["quiet"] * 2]
    await settle()
    room.leave("first")
    await asyncio.gather(*tasks)
    assert order == ["noisy", "quiet", "noisy", "quiet", "noisy", "noisy", "noisy"]
    room.leave("second")
    assert (room.under_way, room.waiting) == (0, 0)


async def test_when_nothing_is_left_everybody_is_refused_at_once() -> None:
    room = a_room(at_once=2, most_waiting=2)
    tasks = [await come(room, f"client {number}") for number in range(4)]
    assert (room.under_way, room.waiting) == (2, 2)
    with pytest.raises(Crowded) as refused:
        await room.enter("late")
    assert refused.value.retry_after_seconds == 1
    with pytest.raises(Crowded):
        room.require("late")
    for task in tasks:
        task.cancel()


async def test_who_waits_too_long_is_refused_and_leaves_nothing_behind() -> None:
    room = a_room(at_once=1, wait_seconds=0.01)
    await room.enter("slow")
    with pytest.raises(Crowded):
        await room.enter("other")
    assert (room.under_way, room.waiting) == (1, 0)
    room.leave("slow")
    await room.enter("other")
    assert room.under_way == 1


async def test_a_place_given_to_one_that_gave_up_goes_to_the_next() -> None:
    room = a_room(at_once=1)
    await room.enter("slow")
    gone, next_one = await come(room, "gone"), await come(room, "next")
    room.leave("slow")
    gone.cancel()
    await settle()
    assert gone.cancelled()
    assert next_one.done()
    assert (room.under_way, room.waiting) == (1, 0)


@pytest.mark.parametrize("number", [1, 2])
async def test_one_that_gave_up_and_was_not_yet_told_so_is_passed_over(number: int) -> None:
    room = a_room(at_once=1)
    await room.enter("slow")
    gone, next_one = [await come(room, "gone") for _ in range(number)], await come(room, "next")
    for task in gone:
        task.cancel()
    room.leave("slow")
    await settle()
    assert next_one.done()
    assert (room.under_way, room.waiting) == (1, 0)
    room.leave("next")
    assert (room.under_way, room.waiting) == (0, 0)


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["come", "come", "leave", "give up"])), max_size=80)
)
def test_whatever_happens_places_are_bounded_and_never_idle(steps: list[tuple[str, str]]) -> None:
    async def played() -> None:
        room = a_room()
        held: Counter[str] = Counter()
        waits: dict[str, list[asyncio.Task[None]]] = {who: [] for who in "abcde"}

        def sorted_out() -> None:
            for who, tasks in waits.items():
                done = [task for task in tasks if task.done()]
                held[who] += sum(1 for task in done if not task.cancelled() and task.exception() is None)
                waits[who] = [task for task in tasks if not task.done()]

        for who, what in steps:
            waiting = {name: len(tasks) for name, tasks in waits.items()}
            if what == "come":
                task = await come(room, who)
                refused = task.done() and task.exception() is not None
                assert not (refused and not waiting[who] and sum(waiting.values()) < 8), "there was room for this one"
                waits[who].append(task)
            elif what == "leave" and held[who]:
                held[who] -= 1
                room.leave(who)
            elif what == "give up" and waits[who]:
                waits[who][0].cancel()
                holder = next((name for name in held if held[name]), None)
                if holder is not None:  # before it has been told
                    held[holder] -= 1
                    room.leave(holder)
            await settle()
            sorted_out()
            assert room.under_way == held.total() <= 4
            assert max(held.values(), default=0) <= 3
            assert room.waiting == sum(map(len, waits.values())) <= 8
            could = [name for name, tasks in waits.items() if tasks and held[name] < 3]
            assert not (could and room.under_way < 4), "nobody waits beside a free place"
        for tasks in waits.values():
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert room.waiting == 0

    asyncio.run(played())


async def test_a_place_that_is_free_costs_next_to_nothing() -> None:
    room = a_room()

    def through() -> None:
        room.require("client")
        coroutine = room.enter("client")
        with pytest.raises(StopIteration):
            coroutine.send(None)
        room.leave("client")

    def bare() -> None:
        with pytest.raises(StopIteration):
            raise StopIteration

    def seconds(what: Callable[[], None]) -> float:
        """Of one: the best of many short runs on the thread's own clock, for other work may be beside them."""
        return min(timeit.repeat(what, timer=time.thread_time, number=500, repeat=40)) / 500

    taken, spent = seconds(through), seconds(bare)
    assert (taken - spent) * 1e6 < FAST_MICROSECONDS
