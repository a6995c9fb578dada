"""GCRA: so many per second, so many at once."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.quota import Quota


def test_a_burst_passes_and_the_next_call_waits() -> None:
    quota = Quota(per_second=2, burst=3)
    assert [quota.take("a", 100.0) for _ in range(4)] == [0, 0, 0, 1]
    assert quota.take("b", 100.0) == 0
    assert quota.take("a", 100.5) == 0
    assert quota.take("a", 100.5) == 1


@given(st.floats(0.5, 1000), st.integers(1, 50), st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_never_more_than_rate_and_burst_allow(per_second: float, burst: int, pauses: list[float]) -> None:
    quota = Quota(per_second, burst)
    now = start = 1000.0
    passed = 0
    for pause in pauses:
        now += pause
        passed += quota.take("client", now) == 0
        assert passed <= burst + (now - start) * per_second + 1e-3


def test_forgotten_clients_cost_no_memory() -> None:
    quota = Quota(per_second=1, burst=1)
    for number in range(10_050):
        quota.take(str(number), 1.0)
    assert len(quota._due) == 10_000
