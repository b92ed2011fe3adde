"""A mistake of ours costs what it was about, not the daemon; again and again, it does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from warmfork_daemon import defects
from warmfork_daemon.defects import Defects
from warmfork_daemon.reactor import Reactor


class Mistake(RuntimeError):
    pass


def fail() -> None:
    raise Mistake


def turn_until(reactor: Reactor, condition: Callable[[], bool]) -> None:
    reactor.call_later(10.0, lambda: pytest.fail("not within 10 s"))
    while not condition():
        reactor.turn()


def test_without_a_taker_a_mistake_comes_out() -> None:
    """What a callback raises leaves the loop where nobody wants it."""
    reactor = Reactor()
    reactor.call_later(0.0, fail)
    with pytest.raises(Mistake):
        turn_until(reactor, lambda: False)


def test_a_mistake_costs_its_own_callback_alone() -> None:
    """Callbacks after it are called, and the mistake is counted and logged."""
    reactor, called = Reactor(), []
    reactor.on_defect = taker = Defects()
    reactor.call_later(0.0, fail)
    reactor.call_later(0.001, lambda: called.append("next"))
    turn_until(reactor, lambda: bool(called))
    assert 1 == taker.count


def test_what_is_called_again_and_again_outlives_its_mistakes() -> None:
    """A repeated call that raised is repeated all the same."""
    reactor, calls = Reactor(), []
    reactor.on_defect = Defects()

    def work() -> None:
        calls.append(1)
        fail()

    reactor.call_every(0.001, work)
    turn_until(reactor, lambda: len(calls) == 3)


def test_mistakes_without_end_end_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than ten within a minute comes out; spread over a longer time none does."""
    now_s = [0.0]
    monkeypatch.setattr(defects, "monotonic_s", lambda: now_s[0])
    taker = Defects()
    for _ in range(30):
        now_s[0] += 7.0
        taker(Mistake())
    now_s[0] += 100.0
    for _ in range(10):
        taker(Mistake())
    with pytest.raises(Mistake):
        taker(Mistake())
    assert 41 == taker.count
