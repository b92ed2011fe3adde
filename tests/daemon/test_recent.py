"""A job that ended is known within the bounds, and what was forgotten is known to be forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from warmfork.wire.records import InputFile
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon.job import JobKey
from warmfork_daemon.recent import ABOUT_CONTENT, ABOUT_DELIVERY, ENTRY_BYTES, PARTS, RecentResults, digest_of

DIGEST = b"d" * 16
KIB = 1024


def key(number: int, owner: int = 1) -> JobKey:
    return (owner, number.to_bytes(16, "big"))


def memory(jobs_max: int = 100, bytes_max: int = 1 << 20, age_s_max: float = 60.0) -> RecentResults:
    return RecentResults(jobs_max, bytes_max, age_s_max, 0.0)


def test_what_ended_is_known() -> None:
    """A job is found with its digest and the frames of its reply; another owner's of the same id is not."""
    known = memory()
    known.remember(key(1), DIGEST, [b"head", b"part"], 10.0)
    found = known.find(key(1), 11.0)
    assert found is not None
    assert (DIGEST, [b"head", b"part"]) == (found.digest, found.frames)
    assert known.find(key(1, owner=2), 11.0) is None
    assert (1, ENTRY_BYTES + 8) == (len(known), known.bytes)


def test_age_is_bounded() -> None:
    """A job is known until its age has come, and a moment later it is not."""
    known = memory(age_s_max=60.0)
    known.remember(key(1), DIGEST, [b"x"], 10.0)
    assert known.find(key(1), 69.999) is not None
    assert known.find(key(1), 70.0) is None
    assert (0, 0) == (len(known), known.bytes)


def test_bytes_are_bounded_and_the_end_stays_known() -> None:
    """Over the bytes the oldest result is let go, and it is still known that its job has ended."""
    known = memory(bytes_max=10 * KIB)
    for number in range(4):
        known.remember(key(number), DIGEST, [b"x" * 4 * KIB], float(number))
    frames = [found.frames for number in range(4) if (found := known.find(key(number), 5.0)) is not None]
    assert [None, None, [b"x" * 4 * KIB], [b"x" * 4 * KIB]] == frames
    assert known.bytes <= 10 * KIB


def test_what_is_forgotten_by_number_is_of_the_owner_with_most() -> None:
    """A flood of one owner takes nothing from the memory of another, and how far back each is whole is known."""
    known = memory(jobs_max=10)
    known.remember(key(0, owner=2), DIGEST, [b"x"], 1.0)
    for number in range(30):
        known.remember(key(number, owner=1), DIGEST, [b"x"], 2.0 + number)
    assert 10 == len(known)
    assert known.find(key(0, owner=2), 40.0) is not None
    assert known.find(key(20, owner=1), 40.0) is None
    assert (False, True) == (known.knows_since(1, 22.0, 40.0), known.knows_since(1, 22.5, 40.0))
    assert known.knows_since(2, 0.5, 40.0)


def test_nothing_is_known_from_before_the_start_or_the_age() -> None:
    """A memory that began at 5 s and goes back 60 s is whole from the later of both on."""
    known = RecentResults(10, 1 << 20, 60.0, 5.0)
    assert (False, True) == (known.knows_since(1, 5.0, 10.0), known.knows_since(1, 5.1, 10.0))
    assert (False, True) == (known.knows_since(1, 40.0, 100.0), known.knows_since(1, 40.1, 100.0))


def test_a_job_that_is_forgotten_on_purpose_is_as_if_it_had_not_been() -> None:
    """It is not found and holds nothing, and the memory counts as whole."""
    known = memory()
    known.remember(key(1), DIGEST, [b"x"], 10.0)
    known.forget(key(1))
    known.forget(key(1))
    assert known.find(key(1), 10.0) is None
    assert known.knows_since(1, 1.0, 11.0)
    assert (0, 0) == (len(known), known.bytes)


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5 * KIB), st.floats(0, 20)), max_size=60),
    st.integers(0, 8),
    st.integers(0, 20 * KIB),
)
def test_no_job_is_unknown_and_vouched_for(jobs: list[tuple[int, int, float]], jobs_max: int, bytes_max: int) -> None:
    """Invariant: whatever the bounds, a job that ended is known, or the memory does not claim to know its time."""
    known = memory(jobs_max=jobs_max, bytes_max=bytes_max, age_s_max=30.0)
    now_s, ended = 1.0, []
    for number, (owner, size, pause_s) in enumerate(jobs):
        now_s += pause_s
        known.remember(key(number, owner), DIGEST, [bytes(size)], now_s)
        ended.append((key(number, owner), now_s))
        assert len(known) <= jobs_max
        assert known.bytes <= max(bytes_max, len(known) * ENTRY_BYTES)
        for past, ended_s in ended:
            sent_s = ended_s - 0.001
            assert known.find(past, now_s) is not None or not known.knows_since(past[0], sent_s, now_s)


BASE = ExecuteRequest(bytes(16), b"print(1)", files=(InputFile("a", b"1"),))
OTHERS = [
    {"code": b"print(2)"},
    {"variables": b"v"},
    {"stdin": b""},
    {"files": (InputFile("b", b"1"),)},
    {"files": (InputFile("a", b"2"),)},
    {"files": ()},
    {"timeout_s": 5.0},
    {"memory_bytes": 5},
    {"formats": ("svg",)},
    {"policy": "off"},
    {"template": "light"},
    {"rc": {"figure.dpi": 50}},
    {"redact": True},
]


@pytest.mark.parametrize("change", OTHERS, ids=str)
def test_another_content_is_another_job(change: dict[str, object]) -> None:
    """Whatever changes what the job does changes its digest."""
    assert digest_of(BASE) != digest_of(structs.replace(BASE, **change))


def test_bytes_do_not_pass_from_one_part_to_the_next() -> None:
    """Code and stdin that read alike one after the other are not the same job."""
    first = structs.replace(BASE, code=b"ab", stdin=b"c")
    assert digest_of(first) != digest_of(structs.replace(BASE, code=b"a", stdin=b"bc"))


def test_how_it_is_delivered_is_no_content() -> None:
    """The same job with less time left, sent again, from other memory, is the same."""
    again = structs.replace(
        BASE,
        code=memoryview(b"print(1)"),
        deadline_s=3.0,
        resend="x",
        sent_s_ago=2.0,
        stream=True,
        tenant="t",
        priority="batch",
    )
    assert digest_of(BASE) == digest_of(again)


def test_every_field_is_content_or_delivery() -> None:
    """A field that a request gets later must be put with one of them."""
    assert set(ExecuteRequest.__struct_fields__) == {*ABOUT_CONTENT, *PARTS, *ABOUT_DELIVERY}
