"""A call is tried again only where the job did not run or the daemon can tell, in time, and never in step with others."""

from __future__ import annotations

import pytest

from warmfork.results import Result
from warmfork.retrying import Attempts
from warmfork.wire.requests import ExecuteRequest

ID = bytes(16)
OK = Result("00", "ok")
REJECTED = Result("00", "rejected", retry_after_s=2.0, retry_safe=True)
LOST_SAFE = Result("00", "lost", retry_safe=True)
LOST = Result("00", "lost", retry_safe=False)


def attempts(
    retries: int | None = None, retry_for_s: float | None = None, *, deadline_s: float | None = None, draw: float = 1.0
) -> Attempts:
    request = ExecuteRequest(ID, b"", deadline_s=deadline_s)
    return Attempts(request, retries, retry_for_s, 100.0, draw=lambda: draw)


@pytest.mark.parametrize("result", [OK, REJECTED, LOST_SAFE, LOST])
def test_without_asking_for_it_nothing_is_tried_again(result: Result) -> None:
    """A result is the answer, whatever it is."""
    assert attempts().after(result, 101.0) is None


@pytest.mark.parametrize("result", [OK, LOST, Result("00", "error"), Result("00", "timeout")])
def test_what_may_have_run_is_not_tried_again(result: Result) -> None:
    """However often the caller allows it."""
    assert attempts(retries=9, retry_for_s=100.0).after(result, 101.0) is None


def test_the_daemons_own_time_is_kept() -> None:
    """The pause is never shorter than retry_after_s, and longer by a random part of it."""
    assert 2.5 == attempts(retries=1, draw=0.0).after(REJECTED, 101.0)
    assert 3.0 == attempts(retries=1, draw=1.0).after(REJECTED, 101.0)


def test_the_number_of_retries_is_kept() -> None:
    """Two are two."""
    two = attempts(retries=2)
    assert [False, False, True] == [two.after(REJECTED, 101.0) is None for _ in range(3)]


def test_pauses_grow_up_to_a_bound() -> None:
    """Each pause may be twice as long as the one before, at most 10 s."""
    many = attempts(retries=12)
    assert [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0] == [many.after(LOST_SAFE, 101.0) for _ in range(9)]


def test_no_attempt_begins_after_retry_for_s() -> None:
    """A pause that would end later is not made."""
    within = attempts(retry_for_s=10.0)
    assert 3.0 == within.after(REJECTED, 106.9)
    assert within.after(REJECTED, 107.1) is None


def test_no_attempt_begins_after_the_deadline() -> None:
    """The caller's own deadline bounds everything, and each attempt is told what is left of it."""
    hurried = attempts(retries=9, deadline_s=5.0)
    assert 5.0 == hurried.begin(100.0).deadline_s
    assert 3.0 == hurried.after(REJECTED, 101.0)
    assert 1.0 == hurried.begin(104.0).deadline_s
    assert hurried.after(REJECTED, 104.5) is None


def test_silence_is_tried_again() -> None:
    """Where no daemon answered nothing was submitted."""
    assert attempts().after_silence(100.5) is None
    assert 0.1 == attempts(retries=1).after_silence(100.5)


def test_a_lost_connection_is_asked_about_once_at_once() -> None:
    """The same request goes to the same daemon again, with how long ago it was first sent; then the answer is final."""
    lost = attempts()
    lost.begin(101.0)
    lost.sent("daemon-1")
    assert 0.0 == lost.after(None, 105.0)
    assert lost.resending
    again = lost.begin(106.0)
    assert (ID, "daemon-1", 5.0) == (again.id, again.resend, again.sent_s_ago)
    assert (True, False, False) == (lost.knows_us("daemon-1"), lost.knows_us("daemon-2"), lost.knows_us(""))
    assert lost.after(None, 107.0) is None


def test_a_second_loss_costs_a_retry_and_keeps_the_first_time() -> None:
    """With retries it goes on, and what counts is when the job was first sent."""
    lost = attempts(retries=1)
    lost.begin(101.0)
    lost.sent("daemon-1")
    lost.after(None, 105.0)
    lost.begin(106.0)
    lost.sent("daemon-1")
    assert 0.1 == lost.after(None, 107.0)
    assert 7.0 == lost.begin(108.0).sent_s_ago


def test_a_daemon_that_knows_no_resends_is_not_asked() -> None:
    """It would run the job again."""
    old = attempts(retries=9)
    old.begin(101.0)
    old.sent("")
    assert old.after(None, 105.0) is None


def test_a_job_that_was_rejected_when_asked_about_is_new_again() -> None:
    """The daemon said that it did not run: the next attempt is a first one."""
    lost = attempts(retries=1)
    lost.begin(101.0)
    lost.sent("daemon-1")
    lost.after(None, 105.0)
    lost.begin(105.0)
    assert 3.0 == lost.after(REJECTED, 106.0)
    assert "" == lost.begin(109.0).resend


@pytest.mark.parametrize("arguments", [(-1, None), (1.5, None), (True, None), (None, -1.0), (None, float("inf"))])
def test_nonsense_is_refused(arguments: tuple[int | None, float | None]) -> None:
    """Numbers that are none are told at once."""
    with pytest.raises(ValueError, match="retr"):
        attempts(*arguments)
