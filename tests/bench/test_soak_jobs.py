"""What the soak takes for a right answer."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from types import MappingProxyType

import pytest
from bench.soak import jobs

from warmfork.results import Result

MARK = "<<1:0123456789abcdef>>"
FOREIGN = "<<2:fedcba9876543210>>"


@pytest.mark.parametrize("kind", jobs.KINDS)
def test_another_verdict_is_wrong(kind: str) -> None:
    """No kind of job may end in a way that is not its own."""
    assert jobs.what_is_wrong(kind, MARK, Result("", "lost", stdout=f"{MARK}\n"))


@pytest.mark.parametrize("kind", jobs.KINDS)
def test_the_mark_of_another_job_is_wrong(kind: str) -> None:
    """A result with the right verdict that holds another job's output is never taken."""
    files = MappingProxyType({"big": FOREIGN.encode(), "sub/0.txt": FOREIGN.encode()})
    verdict = jobs.KINDS[kind].verdict
    assert jobs.what_is_wrong(kind, MARK, Result("", verdict, stdout=f"{FOREIGN}\n", files=files))


def test_a_right_answer_is_right() -> None:
    """The verdict of its kind and its own mark are all that a plain job needs."""
    assert "" == jobs.what_is_wrong("good", MARK, Result("", "ok", stdout=f"{MARK}\n"))


def test_a_deck_has_every_kind() -> None:
    """Each deck has all kinds, each as often as it is said to have cards."""
    expected = {name: kind.cards for name, kind in jobs.KINDS.items()}
    assert expected == Counter(jobs.deck(random.Random(1)))


def test_an_input_is_its_own_job_s() -> None:
    """The digest that a job with much input checks is of what it is sent, and no two jobs are sent the same."""
    arguments = jobs.arguments_of("big input", MARK)
    assert hashlib.sha256(arguments["files"]["blob"]).hexdigest() == arguments["variables"]["digest"]
    assert jobs.blob_of(MARK) != jobs.blob_of(FOREIGN)
