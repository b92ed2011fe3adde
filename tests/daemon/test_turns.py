"""Whoever waits has turns in proportion to its weight, soon, and nothing is gained by coming and going."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from warmfork_daemon.turns import Turns


def take(turns: Turns[str], names: str) -> str:
    """Whose turn it is, charged for it."""
    name = turns.first(names)
    assert name is not None
    turns.charge(name)
    return name


def entered(names: str, **weights: float) -> Turns[str]:
    turns: Turns[str] = Turns()
    for name in names:
        turns.enter(name, weights.get(name, 1.0))
    return turns


def test_equal_weights_take_turns_in_order_of_coming() -> None:
    """Three who wait all the time go round and round."""
    turns = entered("abc")
    assert "abcabcabc" == "".join(take(turns, "abc") for _ in range(9))


def test_weights_are_proportions() -> None:
    """Over each round a weight of 3 has three turns for each of weight 1, and they are spread out."""
    turns = entered("ab", a=3.0)
    order = "".join(take(turns, "ab") for _ in range(40))
    assert Counter(a=30, b=10) == Counter(order)
    assert "bb" not in order
    assert "aaaaa" not in order


def test_a_newcomer_waits_for_no_second_turn_of_anybody() -> None:
    """Somebody had a hundred turns; who comes then is next."""
    turns = entered("a")
    for _ in range(100):
        take(turns, "a")
    turns.enter("b")
    assert "baba" == "".join(take(turns, "ab") for _ in range(4))


def test_newcomers_keep_their_order() -> None:
    """Two who come one after the other have their turns so."""
    turns = entered("a")
    take(turns, "a")
    turns.enter("b")
    turns.enter("c")
    assert "bca" == "".join(take(turns, "abc") for _ in range(3))


def test_leaving_and_coming_back_gains_nothing() -> None:
    """One who comes with a job at a time has every second turn beside one who waits all the time, and not more."""
    turns = entered("ab")
    order = ""
    for _ in range(20):
        name = take(turns, "ab")
        order += name
        if name == "b":
            turns.leave("b")
            turns.enter("b")
    assert Counter(a=10, b=10) == Counter(order)


def test_who_always_comes_anew_under_another_name_gains_nothing() -> None:
    """Fresh names without end, one at a time, leave every second turn to the one who waits."""
    turns = entered("a")
    take(turns, "a")
    served, fresh = 0, 0
    turns.enter("0")
    for _ in range(100):
        name = turns.first(["a", str(fresh)])
        assert name is not None
        turns.charge(name)
        served += name == "a"
        if name != "a":
            turns.leave(name)
            fresh += 1
            turns.enter(str(fresh))
    assert 50 == served


def test_who_could_not_be_served_has_saved_up_nothing() -> None:
    """After a hundred turns of another, it takes turns from there on."""
    turns = entered("ab")
    for _ in range(100):
        take(turns, "b")  # a is not looked at
    assert Counter(a=5, b=5) == Counter(take(turns, "ab") for _ in range(10))


def test_undone_turns_are_next() -> None:
    """A turn that did not count is had again before anything else, the latest undone first."""
    turns = entered("abc")
    assert "ab" == take(turns, "abc") + take(turns, "abc")
    turns.undo("a")
    turns.undo("b")
    assert "bac" == "".join(take(turns, "abc") for _ in range(3))


def test_another_weight_counts_from_the_turn_after_the_next() -> None:
    """Who is given three times the weight keeps its place, and then has three turns for each of the other."""
    turns = entered("ab")
    take(turns, "ab")
    turns.reweigh("b", 3.0)
    turns.reweigh("c", 9.0)
    order = "".join(take(turns, "ab") for _ in range(40))
    assert "b" == order[0]
    assert 29 <= order.count("b") <= 31
    assert "c" not in turns


def test_nobody_waits() -> None:
    """Names that do not wait have no turn, and leaving twice is nothing."""
    turns = entered("a")
    turns.leave("a")
    turns.leave("a")
    assert turns.first("ab") is None
    assert "a" not in turns


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_any_weights(weights: list[int]) -> None:
    """Invariant: at any time, nobody who waits all along is more than one turn, or a round of the others, behind its share."""
    names = "abcde"[: len(weights)]
    turns = entered(names, **dict(zip(names, map(float, weights), strict=True)))
    had: Counter[str] = Counter()
    for number in range(1, 200):
        had[take(turns, names)] += 1
        for name, weight in zip(names, weights, strict=True):
            assert had[name] >= weight * number / sum(weights) - len(names)
