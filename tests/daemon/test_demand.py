"""The number of workers that are to wait follows what jobs find."""

from __future__ import annotations

from warmfork_daemon.backoff import Backoff
from warmfork_daemon.demand import GROW_AGAIN_S, SHRINK_S, Demand


def test_it_grows_to_the_most_and_goes_back() -> None:
    """Each burst that finds nobody asks for one more, within the bound; without any it goes back one at a time."""
    demand = Demand(2, 4)
    now_s = 100.0
    for expected in (3, 4, 4):
        demand.found_nobody(now_s)
        demand.found_nobody(now_s + GROW_AGAIN_S / 2)
        assert expected == demand.wanted
        now_s += 1.0
    now_s -= 1.0
    for expected in (4, 3, 3, 2, 2):
        now_s += SHRINK_S * 0.6
        demand.look(now_s)
        assert expected == demand.wanted


def test_equal_bounds_fix_it() -> None:
    """Nothing moves a number that was given."""
    demand = Demand(2, 2)
    demand.found_nobody(100.0)
    assert 2 == demand.wanted


def test_new_bounds_are_kept_at_once() -> None:
    """A reload moves the number into its bounds and no further."""
    demand = Demand(2, 6)
    demand.found_nobody(100.0)
    demand.configure(4, 6)
    assert 4 == demand.wanted
    demand.configure(1, 3)
    assert 3 == demand.wanted


def test_pauses_double_up_to_the_bound() -> None:
    """Each failure in a row doubles the pause; one that goes well begins anew."""
    backoff = Backoff(0.1, 1.0)
    assert [0.2, 0.4, 0.8, 1.0, 1.0] == [backoff.next_s() for _ in range(5)]
    backoff.reset()
    assert (0.2, 1) == (backoff.next_s(), backoff.failures)
