"""Every attempt, again and again: under the shipped guard with the Python layer off and strict, and without guards."""

from __future__ import annotations

import os
from typing import Final

import pytest
from tests.escape.judge import has_control, is_kept_out, is_not_run, is_refused, is_shown, run_attempt
from tests.escape.record import CLASSES, SHOWN, Attempt, every_attempt
from tests.escape.world import Side

_ATTEMPTS: Final = every_attempt()
_LEAST: Final = 120  # what issue 3 asks for

each_attempt = pytest.mark.parametrize("attempt", _ATTEMPTS, ids=lambda one: f"{one.class_}-{one.id}")


def test_there_are_enough_attempts_of_every_class() -> None:
    """The suite holds at least 120 distinct attempts, every class has some, and few lack a control run."""
    assert len(_ATTEMPTS) >= _LEAST
    assert set(CLASSES) == {attempt.class_ for attempt in _ATTEMPTS}
    without = [attempt.id for attempt in _ATTEMPTS if attempt.control != SHOWN]
    assert len(without) < len(_ATTEMPTS) // 5, without


@each_attempt
def test_the_kernel_refuses(attempt: Attempt, guarded: Side) -> None:
    """With the Python layer off the act is refused with the errno of the row, and the outside is as it was."""
    outcome = run_attempt(attempt, guarded.client, guarded.world, "off")
    assert "" == is_refused(attempt, outcome), outcome.told()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
@each_attempt
def test_the_kernel_refuses_an_unprivileged_daemons_job(attempt: Attempt, unprivileged: Side) -> None:
    """The same where the daemon itself is an ordinary user: the layers need no privilege."""
    outcome = run_attempt(attempt, unprivileged.client, unprivileged.world, "off")
    assert "" == is_refused(attempt, outcome), outcome.told()


@each_attempt
def test_the_kernel_refuses_in_a_light_worker(attempt: Attempt, light: Side) -> None:
    """The same in a worker that was forked without the default template's libraries."""
    outcome = run_attempt(attempt, light.client, light.world, "off")
    assert "" == is_refused(attempt, outcome), outcome.told()


@each_attempt
def test_the_strict_policy_lets_nothing_through_either(attempt: Attempt, guarded: Side) -> None:
    """With the Python layer on nothing is reached, whatever way around it the code finds."""
    outcome = run_attempt(attempt, guarded.client, guarded.world, "strict")
    assert "" == is_kept_out(attempt, outcome), outcome.told()


@pytest.mark.skipif(os.geteuid() != 0, reason="the controls show what root's unguarded job can do")
@pytest.mark.parametrize(
    "attempt", [one for one in _ATTEMPTS if has_control(one)], ids=lambda one: f"{one.class_}-{one.id}"
)
def test_without_guards_it_works(attempt: Attempt, unguarded: Side) -> None:
    """The control: the same code gets through where no guard stands, and the outside shows it."""
    outcome = run_attempt(attempt, unguarded.client, unguarded.world, "off", control=True)
    unguarded.world.restore()
    assert "" == is_shown(attempt, outcome), outcome.told()


def test_what_has_no_control_says_why() -> None:
    """An attempt without a control run gives the reason, and none that may not be run is run."""
    for attempt in _ATTEMPTS:
        if not has_control(attempt):
            assert len(attempt.control.split()) > 4, attempt.id
        assert not (is_not_run(attempt) and has_control(attempt))
