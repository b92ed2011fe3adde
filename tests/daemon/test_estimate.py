"""What is guessed about waiting follows what jobs took of late."""

from __future__ import annotations

import pytest

from warmfork_daemon.estimate import RunTimes, retry_after_s, wait_s


def test_nothing_is_known_at_first() -> None:
    """Seven jobs are too few to refuse by; the mean is theirs all the same, and 1 s before the first."""
    times = RunTimes()
    assert (1.0, False) == (times.mean_s, times.known)
    for _ in range(7):
        times.add(3.0)
    assert (3.0, False) == (times.mean_s, times.known)
    times.add(3.0)
    assert times.known


def test_the_mean_follows_what_changes() -> None:
    """After a hundred jobs of another length the mean is that length."""
    times = RunTimes()
    for _ in range(100):
        times.add(10.0)
    for _ in range(100):
        times.add(0.5)
    assert pytest.approx(0.5, abs=0.05) == times.mean_s


@pytest.mark.parametrize(
    ("ahead", "running", "expected_s"), [(0, 0, 0.0), (1, 2, 0.0), (0, 4, 0.5), (3, 4, 2.0), (3, 2, 1.0), (99, 4, 50.0)]
)
def test_waiting(ahead: int, running: int, expected_s: float) -> None:
    """With four at a time, of 2 s each, somebody's turn comes every half second, and free places are had at once."""
    assert expected_s == wait_s(ahead, running, 4, 2.0)


@pytest.mark.parametrize(("ahead", "expected_s"), [(0, 0.5), (9, 5.0), (100_000, 60.0)])
def test_retry_after(ahead: int, expected_s: float) -> None:
    """A client is told to come when those before it have had their turn, and within a minute."""
    assert expected_s == retry_after_s(ahead, 4, 2.0)
    assert 0.1 == retry_after_s(0, 4, 0.001)
