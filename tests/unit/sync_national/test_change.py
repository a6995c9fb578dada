"""The state machine: what a visit does to a standing, whatever came before."""

from hypothesis import given
from hypothesis import strategies as st

from sync_national.change import (
    Doubt,
    Gathering,
    Limits,
    Presence,
    Standing,
    State,
    Trouble,
    TroubleKind,
    Visit,
    backoff,
    settle,
)

LIMITS = Limits(portal_timeout=60.0, first=1.0, longest=300.0, refusals=3)
KINDS: list[TroubleKind] = ["refused", "untried", "unreachable", "lost", "unclear", "unsettled", "untellable", "broken"]

digests = st.none() | st.binary(min_size=16, max_size=16)
jitters = st.floats(min_value=0, max_value=1, exclude_max=True)
troubles = st.builds(
    Trouble, st.sampled_from(KINDS), st.just("Cổng từ chối"), st.none() | st.floats(min_value=0, max_value=3600)
)


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    desired = draw(st.integers(1, 20))
    progress = draw(st.integers(0, 10))
    return Standing(
        state=State.IN_FLIGHT,
        desired_version=desired,
        acknowledged_version=draw(st.integers(0, desired)),
        desired_progress=progress,
        acknowledged_progress=draw(st.integers(0, progress)),
        presence=draw(st.sampled_from(Presence)),
        digest=draw(digests),
        tries=draw(st.integers(0, 40)),
        refusals=draw(st.integers(0, 5)),
        doubt=draw(st.sampled_from(Doubt)),
    )


@st.composite
def visits(draw: st.DrawFn, trouble: st.SearchStrategy[Trouble | None] | None = None) -> Visit:
    count = draw(st.integers(0, 12))
    return Visit(
        version=draw(st.integers(1, 25)),
        progress_count=count,
        digest=draw(digests),
        progress=draw(st.none() | st.integers(0, count)),
        presence=draw(st.none() | st.sampled_from(Presence)),
        has_looked=draw(st.booleans()),
        left_open=draw(st.booleans()),
        shows_other=draw(st.booleans()),
        trouble=draw(st.none() | troubles if trouble is None else trouble),
    )


@given(standings(), visits(), jitters)
def test_synced_means_level_and_level_without_trouble_means_synced(
    standing: Standing, visit: Visit, jitter: float
) -> None:
    after = settle(standing, visit, LIMITS, jitter)
    if after.standing.state is State.SYNCED:
        assert after.standing.is_level
        assert visit.trouble is None
        assert after.standing.reason is None
    elif visit.trouble is None:
        assert not after.standing.is_level
        assert after.standing.state is State.PENDING


@given(standings(), visits(), jitters)
def test_only_synced_parked_unsettled_and_untellable_wait_for_something_else_than_a_next_try(
    standing: Standing, visit: Visit, jitter: float
) -> None:
    after = settle(standing, visit, LIMITS, jitter)
    waits_for_ever = after.due_in is None
    about_rows = visit.trouble is not None and visit.trouble.kind in {"unsettled", "untellable"}
    assert waits_for_ever == (after.standing.state in {State.SYNCED, State.PARKED} or about_rows)
    assert after.standing.state not in {State.IN_FLIGHT, State.HELD}


@given(standings(), visits(), jitters)
def test_acknowledgements_grow_unless_the_portal_has_lost_the_dossier(
    standing: Standing, visit: Visit, jitter: float
) -> None:
    after = settle(standing, visit, LIMITS, jitter).standing
    if visit.presence is not Presence.ABSENT:
        assert after.acknowledged_version >= standing.acknowledged_version
        assert after.acknowledged_progress >= standing.acknowledged_progress
    if visit.digest is not None:
        assert after.acknowledged_version >= visit.version
        assert after.digest == visit.digest
        assert after.presence is Presence.THERE
    assert after.desired_version == standing.desired_version


@given(standings(), visits(st.sampled_from(KINDS).map(lambda kind: Trouble(kind, "x"))), jitters)
def test_trouble_is_never_success_and_a_lost_answer_never_failure(
    standing: Standing, visit: Visit, jitter: float
) -> None:
    assert visit.trouble is not None
    after = settle(standing, visit, LIMITS, jitter)
    assert after.standing.state is not State.SYNCED
    assert after.standing.tries == standing.tries + (visit.trouble.kind != "untried")
    if visit.trouble.kind == "lost":
        assert after.standing.state is State.UNKNOWN
        assert after.due_in is not None
        assert after.due_in >= LIMITS.portal_timeout
        assert after.standing.looks_first
    if visit.trouble.kind == "unclear":
        assert after.standing.looks_first
    if visit.trouble.kind == "untried":
        assert (after.due_in, after.standing.owner) == (0.0, None), "nobody failed"


@given(standings(), visits(), jitters, st.sampled_from(State))
def test_a_doubt_ends_only_by_a_look_after_its_time(
    standing: Standing, visit: Visit, jitter: float, state: State
) -> None:
    """And what may still be executed raises it anew: a push without an answer, a worker that died."""
    after = settle(standing._replace(state=state), visit, LIMITS, jitter)
    if visit.left_open or state is State.IN_FLIGHT:
        assert after.doubt == "raise"
    else:
        assert (after.doubt == "clear") == (visit.has_looked and standing.doubt is Doubt.OVER)
        assert after.doubt != "raise"


@given(standings())
def test_whoever_has_a_doubt_that_is_over_is_looked_at_first(standing: Standing) -> None:
    for state in State:
        looks = standing._replace(state=state).looks_first
        assert looks == (state in {State.UNKNOWN, State.IN_FLIGHT} or standing.doubt is Doubt.OVER)


@given(standings(), st.integers(1, 25), jitters)
def test_a_new_version_outruns_a_refusal_of_the_old_one(standing: Standing, version: int, jitter: float) -> None:
    visit = Visit(version, 1, trouble=Trouble("refused", "không hợp lệ"))
    after = settle(standing, visit, LIMITS, jitter)
    if standing.desired_version > version:
        assert after.standing.state is State.PENDING
        assert after.standing.refusals == standing.refusals
    else:
        assert after.standing.state in {State.FAILED, State.PARKED}
        assert (after.standing.state is State.PARKED) == (standing.refusals + 1 >= LIMITS.refusals)
        assert after.standing.owner == "partner"


def test_three_refusals_in_succession_park_and_a_success_forgets_them() -> None:
    standing = Standing(State.IN_FLIGHT, 1, 0, 1, 0, Presence.UNTOLD, None)
    refused = Visit(1, 1, trouble=Trouble("refused", "thiếu trường"))
    states = []
    for _ in range(3):
        standing = settle(standing, refused, LIMITS, 0.5).standing
        states.append(standing.state)
    assert states == [State.FAILED, State.FAILED, State.PARKED]
    well = settle(standing, Visit(1, 1, digest=b"d" * 16, progress=1), LIMITS, 0.5).standing
    assert (well.state, well.refusals, well.tries, well.reason) == (State.SYNCED, 0, 0, None)


def test_the_record_itself_numbers_its_progress_rows() -> None:
    standing = Standing(State.IN_FLIGHT, 3, 0, 7, 0, Presence.UNTOLD, None)
    after = settle(standing, Visit(3, 2, digest=b"d" * 16, progress=2), LIMITS, 0.0)
    assert after.standing.state is State.SYNCED
    assert after.standing.desired_progress == 2


def test_what_moved_on_during_the_visit_is_pending_at_once() -> None:
    standing = Standing(State.IN_FLIGHT, 4, 0, 2, 0, Presence.UNTOLD, None)
    after = settle(standing, Visit(3, 2, digest=b"d" * 16, progress=2), LIMITS, 0.0)
    assert (after.standing.state, after.due_in) == (State.PENDING, 0.0)
    assert after.standing.acknowledged_version == 3


def test_a_mapping_failure_is_ours_and_parks_at_once() -> None:
    standing = Standing(State.IN_FLIGHT, 1, 0, 1, 0, Presence.UNTOLD, None)
    after = settle(standing, Visit(1, 1, trouble=Trouble("broken", "KeyError: 'channel'")), LIMITS, 0.0)
    assert after.is_parked
    assert after.standing.owner == "hub"


def test_a_lost_dossier_starts_from_nothing() -> None:
    standing = Standing(State.IN_FLIGHT, 5, 5, 3, 3, Presence.THERE, b"d" * 16)
    visit = Visit(5, 3, presence=Presence.ABSENT, trouble=Trouble("unreachable", "không tồn tại"))
    after = settle(standing, visit, LIMITS, 0.0).standing
    assert (after.acknowledged_version, after.acknowledged_progress, after.digest) == (0, 0, None)
    assert after.presence is Presence.ABSENT


def test_a_record_that_may_have_been_changed_there_is_pushed_again() -> None:
    standing = Standing(State.IN_FLIGHT, 6, 5, 3, 3, Presence.THERE, b"d" * 16)
    after = settle(standing, Visit(6, 3, shows_other=True, trouble=Trouble("lost", "?")), LIMITS, 0.0).standing
    assert after.digest is None
    assert after.acknowledged_version == 5


@given(st.integers(1, 2000), jitters)
def test_waiting_grows_and_is_bounded(failures: int, jitter: float) -> None:
    wait = backoff(failures, LIMITS, jitter)
    assert 0 < wait <= LIMITS.longest
    assert backoff(failures + 1, LIMITS, jitter) >= wait
    assert wait >= min(LIMITS.longest, LIMITS.first * 2.0 ** min(failures - 1, 30)) / 2


def test_the_portals_retry_after_is_honoured() -> None:
    standing = Standing(State.IN_FLIGHT, 1, 0, 1, 0, Presence.UNTOLD, None)
    visit = Visit(1, 1, trouble=Trouble("unreachable", "HTTP 429", wait_seconds=120.0))
    assert settle(standing, visit, LIMITS, 0.9).due_in == 120.0


def test_a_first_change_waits_longer_in_a_rush_and_hardly_at_rest() -> None:
    gathering = Gathering(shortest=0.2, longest=15.0)
    assert gathering.seconds(1, 0.0) == 0.2
    rush = [gathering.seconds(100, 100 + n / 10) for n in range(1000)]  # 1,000 changes a second
    assert rush == sorted(rush)
    assert rush[-1] == 15.0
    calm = [gathering.seconds(10, 300 + n / 10) for n in range(1000)]  # 100 a second
    assert calm[-1] == 0.2
    assert gathering.seconds(1, 900.0) == 0.2


def test_a_pause_is_never_shorter_than_the_shortest() -> None:
    assert Gathering(shortest=3.0, longest=1.0).seconds(1000, 1.0) == 3.0
