"""Batches against portals of every temper: everyone gets the answer that is theirs, in few calls."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from sync_national.batch import Answer, Batch, Call
from sync_national.change import Trouble


@dataclass
class Model:
    """A portal that stores a batch whole or not at all; names the first bad code, or none."""

    stored: set[str] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)
    names: bool = True
    refuses_all: bool = False
    calls: list[Call] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def push(self, call: Call) -> Answer:
        self.calls.append(call)
        if self.refuses_all:
            return Answer("refused", "Hệ thống bận")
        for code in call.codes:
            named = code if self.names else None
            if code in self.bad:
                return Answer("refused", "không hợp lệ", named)
            if call.updating and code not in self.stored:
                return Answer("missing", "không tồn tại", named)
            if not call.updating and code in self.stored:
                return Answer("exists", "đã tồn tại", named)
        self.stored.update(call.codes)
        self.written += call.codes
        return Answer("accepted")


def run(batch: Batch, portal: Model) -> None:
    while (call := batch.next_call()) is not None:
        batch.answered(call, portal.push(call))
        assert len(portal.calls) < 2000


def codes(number: int) -> list[str]:
    return [f"H08.15-260302-{n:04d}" for n in range(number)]


subsets = st.sets(st.integers(0, 39))


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 40), subsets, subsets, subsets, st.booleans())
def test_every_record_gets_its_own_answer(
    number: int, there: set[int], bad: set[int], known: set[int], names: bool
) -> None:
    """Whatever the hub believes (`known`) and whatever is true (`there`), as long as something passes."""
    all_codes = codes(number)
    portal = Model({all_codes[n] for n in there if n < number}, {all_codes[n] for n in bad if n < number}, names)
    updates = [code for n, code in enumerate(all_codes) if n in known]
    batch = Batch([code for code in all_codes if code not in updates], updates)
    run(batch, portal)
    assert set(batch.results) == set(all_codes)
    assert sorted(portal.written) == sorted(set(portal.written))
    for code, result in batch.results.items():
        if result.is_accepted:
            assert code not in portal.bad
            assert code in portal.stored
        else:
            assert result.trouble is not None
            if result.trouble.kind == "refused":
                assert code in portal.bad
    if names:
        assert {code for code, result in batch.results.items() if result.is_accepted} == set(all_codes) - portal.bad


@settings(max_examples=200, deadline=None)
@given(st.sets(st.integers(0, 99), max_size=3))
def test_unnamed_bad_records_are_found_by_halving(bad: set[int]) -> None:
    all_codes = codes(100)
    portal = Model(bad={all_codes[n] for n in bad}, names=False)
    waiting = list(all_codes)
    refused: set[str] = set()
    rounds = 0
    while waiting:  # what was left for later comes again, as the workers do it
        batch = Batch(waiting)
        run(batch, portal)
        refused |= {c for c, r in batch.results.items() if r.trouble and r.trouble.kind == "refused"}
        waiting = [c for c, r in batch.results.items() if r.trouble and r.trouble.kind == "unreachable"]
        rounds += 1
        assert rounds <= 4
    assert refused == portal.bad
    assert portal.stored == set(all_codes) - portal.bad


def test_one_bad_record_costs_one_call_more() -> None:
    all_codes = codes(100)
    portal = Model(bad={all_codes[40]})
    run(Batch(all_codes), portal)
    assert [len(call.codes) for call in portal.calls] == [100, 99]


def test_a_whole_batch_that_exists_costs_one_call_more() -> None:
    all_codes = codes(100)
    portal = Model(set(all_codes))
    run(Batch(all_codes), portal)
    assert [(len(call.codes), call.updating) for call in portal.calls] == [(100, False), (100, True)]


def test_a_few_that_exist_are_updated_together() -> None:
    all_codes = codes(100)
    portal = Model({all_codes[50]})
    run(Batch(all_codes), portal)
    assert [(len(call.codes), call.updating) for call in portal.calls] == [(100, False), (99, False), (1, True)]


def test_a_portal_that_refuses_everything_is_not_asked_a_hundred_times() -> None:
    portal = Model(refuses_all=True)
    batch = Batch(codes(100))
    run(batch, portal)
    assert len(portal.calls) <= 10
    kinds = [result.trouble.kind for result in batch.results.values() if result.trouble]
    assert kinds.count("refused") == 1
    assert kinds.count("unreachable") == 99


def test_a_portal_that_contradicts_itself_is_not_asked_for_ever() -> None:
    batch = Batch(codes(3))
    asked = 0
    while (call := batch.next_call()) is not None:
        asked += 1
        assert asked < 50
        batch.answered(call, Answer("missing" if call.updating else "exists", "?", call.codes[0]))
    assert all(not result.is_accepted for result in batch.results.values())


def test_trouble_stops_the_visit_and_the_rest_was_not_sent() -> None:
    first, second = codes(40)[:20], codes(40)[20:]
    batch = Batch(first, second)
    call = batch.next_call()
    assert call is not None
    batch.answered(call, Answer("trouble", "mất kết nối", trouble=Trouble("lost", "mất kết nối")))
    assert batch.next_call() is None
    assert {batch.results[code].trouble.kind for code in first} == {"lost"}  # type: ignore[union-attr]
    assert {batch.results[code].trouble.kind for code in second} == {"unreachable"}  # type: ignore[union-attr]


@given(subsets)
def test_answers_record_by_record_are_taken_as_they_are(bad: set[int]) -> None:
    all_codes = codes(40)
    batch = Batch(all_codes)
    call = batch.next_call()
    assert call is not None
    each = {all_codes[n]: Answer("refused", "không hợp lệ", all_codes[n]) for n in bad}
    batch.answered(call, Answer("each", "", each=each) if each else Answer("accepted"))
    assert batch.next_call() is None
    assert {code for code, result in batch.results.items() if not result.is_accepted} == set(each)


def _sizes(calls: Sequence[Call]) -> list[int]:
    return [len(call.codes) for call in calls]


def test_two_bad_ones_named_one_by_one() -> None:
    all_codes = codes(10)
    portal = Model(bad={all_codes[2], all_codes[7]})
    batch = Batch(all_codes)
    run(batch, portal)
    assert _sizes(portal.calls) == [10, 9, 8]
