"""Who gets a call: the daemon with the fewest in flight, by turns, the absent last; and a job goes on only if it did not run."""

from __future__ import annotations

import gc
import os
import re
import signal
import weakref
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfork import AsyncBalancedClient, AsyncClient, BalancedClient, Client, DaemonUnreachable, KeyUnavailable
from warmfork.balance import Balance, BalancedCall
from warmfork.results import ErrorInfo, Result
from warmfork.streaming import ExecuteArguments

OK = Result("00", "ok")
FULL = ErrorInfo("QueueFull", "")
REJECTED = Result("00", "rejected", error=FULL, retry_after_s=2.0, retry_safe=True)
SOONER = Result("00", "rejected", error=FULL, retry_after_s=1.0, retry_safe=True)
LEAVING = Result("00", "lost", retry_safe=True)
LOST = Result("00", "lost", retry_safe=False)
GONE = DaemonUnreachable("gone")


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def call_on(balance: Balance, clock: Clock | None = None, arguments: ExecuteArguments | None = None) -> BalancedCall:
    return BalancedCall(balance, arguments or {}, clock or Clock())


def test_they_take_turns_where_all_are_equal() -> None:
    """Calls one after the other go round."""
    balance = Balance(3, first=1)
    taken = []
    for _ in range(6):
        with call_on(balance) as call:
            taken.append(call.next_daemon())
            assert call.is_answered(OK)
    assert [1, 2, 0, 1, 2, 0] == taken
    assert [0, 0, 0] == balance.in_flight


def test_the_first_turn_is_drawn() -> None:
    """Programs that make one call each do not all begin with the same daemon."""
    assert {0, 1, 2} == {Balance(3).take(set(), 0.0) for _ in range(200)}


def test_the_fewest_in_flight_is_asked() -> None:
    """A daemon whose calls last longer gets fewer."""
    balance = Balance(2, first=0)
    assert [0, 1] == [balance.take(set(), 0.0) for _ in range(2)]
    balance.give_back(1)
    assert [1, 0, 1] == [balance.take(set(), 0.0) for _ in range(3)]
    assert [2, 2] == balance.in_flight


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=60))
def test_no_daemon_is_ever_two_calls_ahead(steps: list[tuple[bool, int]]) -> None:
    """While calls only begin, the numbers in flight differ by one at most; whatever ended before."""
    balance = Balance(4)
    for begins, index in steps:
        before = balance.in_flight
        if begins:
            taken = balance.take(set(), 0.0)
            assert taken is not None
            assert before[taken] == min(before)
        elif before[index]:
            balance.give_back(index)
    assert all(count >= 0 for count in balance.in_flight)


@pytest.mark.parametrize("answer", [REJECTED, LEAVING])
def test_a_job_that_did_not_run_goes_on_to_each_of_the_others(answer: Result) -> None:
    """Once each, under the same id; then the call is over, with what was said."""
    balance = Balance(3, first=0)
    seen = []
    with call_on(balance) as call:
        for index in iter(call.next_daemon, None):
            seen.append((index, call.arguments().get("job_id"), balance.in_flight[index]))
            assert not call.is_answered(answer)
        assert call.next_round() is None
        assert call.outcome() is answer
    assert [0, 1, 2] == [index for index, _, _ in seen]
    assert 1 == len({job_id for _, job_id, _ in seen})
    assert [1, 1, 1] == [in_flight for _, _, in_flight in seen]
    assert [0, 0, 0] == balance.in_flight


@pytest.mark.parametrize(
    "answer",
    [OK, LOST, Result("00", "error"), Result("00", "timeout"), Result("00", "cancelled")],
    ids=lambda one: one.verdict,
)
def test_what_may_have_run_is_the_answer(answer: Result) -> None:
    """It is offered to nobody else."""
    with call_on(Balance(2)) as call:
        call.next_daemon()
        assert call.is_answered(answer)


def test_where_nobody_answers_that_is_the_error() -> None:
    """With what was wrong at each."""
    with call_on(Balance(2)) as call:
        for index in iter(call.next_daemon, None):
            call.submitted_nothing(DaemonUnreachable(f"no socket {index}"))
        with pytest.raises(DaemonUnreachable, match=r"none of 2 daemons(?s:.*)1\. no socket 0\n2\. no socket 1"):
            call.outcome()


def test_the_answer_of_those_that_answered_counts_more_than_silence() -> None:
    """And of several answers the one that may take the job soonest, before one that is leaving."""
    for answers in ([REJECTED, LEAVING, SOONER], [LEAVING, SOONER, REJECTED], [SOONER, REJECTED, LEAVING]):
        with call_on(Balance(4, first=0)) as call:
            call.next_daemon()
            call.submitted_nothing(GONE)
            for answer in answers:
                call.next_daemon()
                call.is_answered(answer)
            assert call.next_daemon() is None
            assert call.outcome() is SOONER


def test_further_rounds_ask_all_again_after_the_shortest_time() -> None:
    """``retries`` counts rounds, and the pause is what the soonest asked for, whoever leaves or is silent."""
    clock = Clock()
    with call_on(Balance(3, first=0), clock, {"retries": 1}) as call:
        for answer in (REJECTED, LEAVING, SOONER):
            call.next_daemon()
            call.is_answered(answer)
        pause_s = call.next_round()
        assert pause_s is not None
        assert 1.0 < pause_s <= 1.5
        again = []
        for index in iter(call.next_daemon, None):
            again.append(index)
            call.submitted_nothing(GONE)
        assert {0, 1, 2} == set(again)
        assert call.next_round() is None
        with pytest.raises(DaemonUnreachable):  # what the first round said is not this one's
            call.outcome()


def test_each_daemon_gets_what_is_left_of_the_deadline() -> None:
    """And no retries of its own."""
    clock = Clock()
    given: ExecuteArguments = {"deadline_s": 5.0, "retries": 3, "retry_for_s": 4.0, "tenant": "a", "job_id": "ab" * 16}
    with call_on(Balance(2), clock, given) as call:
        call.next_daemon()
        assert {**given, "retries": None, "retry_for_s": None} == call.arguments()
        clock.now_s += 2.0
        assert 3.0 == call.arguments().get("deadline_s")
        clock.now_s += 9.0
        assert 0 < (call.arguments().get("deadline_s") or 0) < 0.01
    assert 3 == given["retries"]


@pytest.mark.parametrize(
    "wrong",
    [{"deadline_s": 0.0}, {"deadline_s": float("nan")}, {"retries": -1}, {"retries": True}, {"retry_for_s": -1.0}],
)
def test_wrong_times_are_named(wrong: ExecuteArguments) -> None:
    """As ``Client.execute`` names them; no daemon is taken."""
    balance = Balance(2)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        call_on(balance, arguments=wrong)
    assert [0, 0] == balance.in_flight


def test_an_absent_daemon_is_asked_last_and_for_longer_each_time() -> None:
    """It comes back by a single call, which finds it there."""
    balance = Balance(2, first=0)
    clock = Clock()
    with call_on(balance, clock) as call:
        assert 0 == call.next_daemon()
        call.submitted_nothing(GONE)
        assert 1 == call.next_daemon()
        assert call.is_answered(OK)
    assert [1, 1, 1] == [balance.take(set(), clock.now_s + 0.4) for _ in range(3)]
    assert 0 == balance.take({1}, clock.now_s)  # last, but asked where no other is left
    clock.now_s += 1.1
    assert [0, 1] == [
        balance.take(set(), clock.now_s) for _ in range(2)
    ]  # one tries it, the next does not wait for that
    clock.now_s += 1.1
    balance.failed(0, clock.now_s, clock.now_s)
    assert 1 == balance.take(set(), clock.now_s + 0.9)
    assert 0 == balance.take(set(), clock.now_s + 1.1)
    balance.answered(0)
    assert [0, 0] == [balance.take(set(), clock.now_s) for _ in range(2)]


def test_failures_that_come_at_once_are_waited_for_longer_each_time() -> None:
    """A socket that refuses, or a key that cannot be read, is found out within the time of the trial itself."""
    balance = Balance(2, first=0)
    clock = Clock()
    tries = []
    for _ in range(400):
        clock.now_s += 0.1
        with call_on(balance, clock) as call:
            if call.next_daemon() == 0:
                tries.append(round(clock.now_s - 100.0, 1))
                call.submitted_nothing(GONE)
    pauses = [round(later - before, 1) for before, later in pairwise(tries)]
    assert [0.5, 1.0, 2.0, 4.0, 8.0, 8.0] == [pause - pause % 0.5 for pause in pauses[:6]]


def test_many_calls_that_meet_one_death_count_once() -> None:
    """Thirty calls in flight at a daemon that dies do not make it avoided for as long as thirty deaths in a row."""
    balance = Balance(2, first=0)
    assert [True] + 29 * [False] == [balance.failed(0, 99.0, 100.0) for _ in range(30)]
    assert {1} == {balance.take(set(), 100.4) for _ in range(2)}
    assert 0 == balance.take(set(), 100.6)


def test_a_full_daemon_is_asked_last_for_as_long_as_it_said() -> None:
    """Bounded, because others' jobs may end before; and whoever says so is there."""
    balance = Balance(2, first=0)
    balance.failed(0, 99.0, 99.0)
    balance.is_full(0, 100.0, 2.0)
    assert [1, 1] == [balance.take(set(), 101.9) for _ in range(2)]
    assert [0, 0] == [balance.take(set(), 102.1) for _ in range(2)]
    balance.is_full(1, 100.0, 3600.0)
    for _ in range(3):
        balance.take({1}, 100.0)
    assert 1 == balance.take(set(), 109.0)


def test_an_answer_of_before_does_not_make_a_full_daemon_free() -> None:
    """A job that ends there says nothing about the queue."""
    balance = Balance(2, first=0)
    balance.is_full(0, 100.0, 2.0)
    balance.answered(0)
    assert 1 == balance.take(set(), 100.1)


@pytest.mark.parametrize("why", ["DeadlineHopeless", "TemplateDown", "TemplateRemoved"])
def test_what_one_call_cannot_have_turns_no_other_away(why: str) -> None:
    """It is the call that is refused, for its deadline or its template, and it goes on; others are not kept from there."""
    balance = Balance(2, first=0)
    with call_on(balance) as call:
        assert 0 == call.next_daemon()
        hopeless = Result("00", "rejected", error=ErrorInfo(why, ""), retry_after_s=3.0, retry_safe=True)
        assert not call.is_answered(hopeless)
        assert 1 == call.next_daemon()
    assert 0 == balance.take(set(), 100.0)


def test_no_daemon_gets_a_job_whose_deadline_has_passed() -> None:
    """One that was rejected at its end did not run; an idle daemon would begin it, and kill it."""
    clock = Clock()
    with call_on(Balance(2, first=0), clock, {"deadline_s": 5.0}) as call:
        call.next_daemon()
        clock.now_s += 5.0
        assert not call.is_answered(REJECTED)
        assert call.next_daemon() is None
        assert call.next_round() is None
        assert call.outcome() is REJECTED


def test_one_whose_key_cannot_be_read_is_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing was submitted, so others may be asked; but somebody has to mend it."""
    balance = Balance(2, first=0)
    with call_on(balance) as call:
        call.next_daemon()
        call.submitted_nothing(KeyUnavailable("no key"))
        assert 1 == call.next_daemon()
    assert ["daemon 1 of 2 is left out: no key"] == [record.getMessage() for record in caplog.records]
    assert 1 == balance.take(set(), 100.1)


def test_one_that_does_not_reply_is_avoided() -> None:
    """A daemon that hangs would have the fewest calls whenever one of them has been given up."""
    balance = Balance(2, first=0)
    with call_on(balance) as call:
        call.next_daemon()
        call.went_unanswered()
    assert [1, 1] == [balance.take(set(), 100.1) for _ in range(2)]


def test_a_connection_that_ended_under_a_job_counts_as_absence() -> None:
    """The job's answer is ``lost``; the next calls go elsewhere first."""
    balance = Balance(2, first=0)
    clock = Clock()
    with call_on(balance, clock) as call:
        call.next_daemon()
        assert call.is_answered(LOST)
    assert [1, 1] == [balance.take(set(), clock.now_s) for _ in range(2)]


def test_what_a_call_holds_it_gives_back_whatever_ends_it() -> None:
    """An exception under a call, kept with its traceback, keeps no daemon busy."""
    balance = Balance(2)

    def fails() -> None:
        with call_on(balance) as call:
            for _ in iter(call.next_daemon, None):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as kept:
        fails()
    assert kept.value.__traceback__ is not None
    assert [0, 0] == balance.in_flight


def test_a_forked_child_counts_its_own_calls() -> None:
    """It has none of its parent's threads, whose calls would never end there, nor whoever held the lock."""
    balance = Balance(2, first=0)
    balance.take(set(), 0.0)
    with balance._lock:
        pid = os.fork()
        if not pid:
            signal.alarm(20)  # a child that waits for the lock must not keep the test
            right = False
            try:
                right = [1, 0, 1] == [balance.take(set(), 0.0) for _ in range(3)] and [1, 2] == balance.in_flight
            finally:
                os._exit(not right)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert [1, 0] == balance.in_flight


def test_a_balance_that_nobody_has_any_more_is_let_go() -> None:
    """What is to be done after a fork keeps nothing alive."""
    balance = Balance(2)
    left = weakref.ref(balance)
    del balance
    gc.collect()
    assert left() is None


@pytest.mark.parametrize("none", [[], (), iter(()), "ipc:///run/warmfork/warmfork.sock"])
def test_no_daemon_or_one_as_text_is_refused(none: list[str]) -> None:
    """One address is what Client is for, and a text would be taken letter by letter."""
    with pytest.raises(ValueError, match="list with the address"):
        BalancedClient(none)


@pytest.mark.parametrize("wrong", ["", "warmfork.sock", "ipc://run/relative", "/run/warmfork/warmfork.sock"])
def test_what_is_no_address_is_refused_at_once(wrong: str) -> None:
    """Beside one that works it would never be noticed; and an empty one would be any daemon that is found."""
    with pytest.raises(ValueError, match=re.escape(f"a daemon is {wrong!r}; its address begins with")):
        BalancedClient(["ipc:///run/a.sock", wrong])


@pytest.mark.parametrize("wrong", [None, b"ipc:///run/a.sock", 7])
def test_what_is_no_client_is_refused_at_once(wrong: Any) -> None:
    """It is told what it should be."""
    with pytest.raises(TypeError, match=r"or Client\(\.\.\.\)"):
        BalancedClient([wrong])
    with pytest.raises(TypeError, match=r"or AsyncClient\(\.\.\.\)"):
        AsyncBalancedClient([wrong])


def test_a_client_of_the_other_kind_is_refused_at_once() -> None:
    """It could not be awaited, or never would be."""
    one: Any = AsyncClient("ipc:///run/a.sock")
    with pytest.raises(TypeError, match=r"or Client\(\.\.\.\)"):
        BalancedClient([one])
    with Client("ipc:///run/a.sock") as other, pytest.raises(TypeError, match=r"or AsyncClient\(\.\.\.\)"):
        AsyncBalancedClient([cast(Any, other)])
