"""Fresh randomness in a worker: numpy's global generator is seeded where its state lies, or by numpy itself."""

from __future__ import annotations

import pytest
from tests.support import run_alone

PRELUDE = """
import random
import numpy as np
from warmfork_worker import randomness

def key():
    return np.random.get_bit_generator().state["state"]["key"].tolist()
"""


def test_numpys_state_is_written_where_it_lies() -> None:
    """numpy reads back what the kernel gave; each time another key, and what comes of it is uniform and normal as ever."""
    out = run_alone(f"""{PRELUDE}
import os
randomness.prepare()
given, seen = [], []
real = os.urandom
os.urandom = lambda count: given.append(real(count)) or given[-1]
for _ in range(3):
    randomness.reseed()
    seen.append(np.array(key(), np.uint32).tobytes())
print(seen == given, len(set(seen)))
uniform, normal = np.random.rand(20_000), np.random.randn(20_000)
print(abs(uniform.mean() - 0.5) < 0.02, len(set(uniform)) > 19_000, abs(normal.mean()) < 0.05, abs(normal.std() - 1) < 0.05)
""")
    assert "True 3\nTrue True True True\n" == out


def test_no_normal_is_left_of_the_templates() -> None:
    """Normals are drawn in pairs; of two processes that were forked after one of a pair, neither gets the other."""
    out = run_alone(f"""{PRELUDE}
np.random.seed(5)
first, second = np.random.randn(2)
np.random.seed(5)
assert np.random.randn() == first
randomness.prepare()
randomness.reseed()
print(np.random.randn() == second, np.random.get_state()[3])
""")
    assert "False 1\n" == out


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("another kind of generator", "np.random.set_bit_generator(np.random.PCG64(3))"),
        ("a numpy that cannot say", "del np.random.get_bit_generator"),
        (
            "a state that lies elsewhere",
            "randomness.ctypes = type('', (), {'string_at': lambda place, count: bytes(count)})",
        ),
    ],
)
def test_what_is_not_known_is_seeded_by_numpy(name: str, change: str) -> None:
    """Nothing is written by address then, and the generator is a fresh one all the same."""
    out = run_alone(f"""{PRELUDE}
{change}
randomness.prepare()
drawn = set()
for _ in range(3):
    randomness.reseed()
    drawn.add(np.random.rand())
print(randomness._numpys_key, len(drawn))
""")
    assert "None 3\n" == out, name


def test_without_numpy() -> None:
    """A template without libraries has nothing to find, and ``random`` is seeded anew."""
    out = run_alone("""
import random
from warmfork_worker import randomness
randomness.prepare()
drawn = set()
for _ in range(3):
    randomness.reseed()
    drawn.add(random.random())
print(len(drawn))
""")
    assert "3\n" == out
