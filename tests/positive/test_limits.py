"""A job that reaches a limit hears of it as Python says it, or by a verdict; and the next job finds nothing of it."""

from __future__ import annotations

from typing import Final

import pytest

from warmfork import Client

FILL: Final = "import os\nblock = b'x' * (1 << 20)\n"
# Name -> code, verdict, start of the error.
CASES: Final = {
    "memory": ("import numpy as np\nnp.ones((1 << 30,))", "memory_limit", "MemoryError"),
    "memory, small pieces": ("kept = []\nwhile True: kept.append(bytearray(1 << 20))", "memory_limit", "Memory"),
    "disk": (
        FILL + "for number in range(40):\n    with open(str(number), 'wb') as f:\n        f.write(block)",
        "disk_limit",
        "OSError: [Errno 28] No space left on device",
    ),
    "disk, TMPDIR counts": (
        FILL
        + "for number in range(40):\n    with open(f\"{os.environ['TMPDIR']}/{number}\", 'wb') as f:\n        f.write(block)",
        "disk_limit",
        "OSError: [Errno 28] No space left on device",
    ),
    "inodes": ("for number in range(9999): open(f'f{number}', 'w').close()", "disk_limit", "OSError: [Errno 28]"),
    "directories": (
        "import os\nfor number in range(9999): os.mkdir(f'd{number}')",
        "disk_limit",
        "OSError: [Errno 28]",
    ),
    "file size": (
        FILL + "with open('big', 'wb', buffering=0) as f:\n    while True: f.write(block)",
        "disk_limit",
        "OSError: [Errno 27] File too large",
    ),
    "sqlite": (
        "import sqlite3\nd = sqlite3.connect('a.db')\nd.execute('create table t (v)')\n"
        "while True: d.execute('insert into t values (zeroblob(100000))')",
        "error",
        "OperationalError",
    ),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor as T\nimport time\n"
        "with T(99) as pool: list(pool.map(time.sleep, [0.2] * 99))",
        "error",
        "RuntimeError: can't start new thread",
    ),
    "descriptors": ("kept = [open('f', 'w') for _ in range(99)]", "error", "OSError: [Errno 24] Too many open files"),
    "recursion": ("def f(): return f()\nf()", "error", "RecursionError: maximum recursion depth exceeded"),
    "recursion, in C": (
        "import json\nx = []\nfor _ in range(99999): x = [x]\njson.dumps(x)",
        "error",
        "RecursionError: maximum recursion depth exceeded",
    ),
    "cpu": ("while True: pass", "cpu_limit", ""),
}


@pytest.mark.parametrize("name", CASES)
def test_limit(name: str, small: Client) -> None:
    """The job ends as it should, and a job after it works."""
    code, verdict, said = CASES[name]
    result = small.execute(code, policy="strict")
    assert result.error is not None
    assert verdict == result.verdict, result.error
    assert f"{result.error.type}: {result.error.message}".startswith(said)
    good = small.execute("with open('x', 'wb') as f: print(f.write(bytes(1 << 20)))")
    assert ("ok", "1048576\n") == (good.verdict, good.stdout)


CAUGHT: Final = """
import os, sqlite3
def told(act):
    try:
        act()
    except (MemoryError, OSError, RuntimeError) as problem:
        return type(problem).__name__
def fill():
    with open('a', 'wb', buffering=0) as f:
        while True: f.write(bytes(1 << 20))
def open_many():
    kept = [open('b', 'w') for _ in range(99)]
def recurse():
    recurse()
print(told(lambda: bytearray(1 << 40)), told(fill), told(open_many), told(recurse))
os.remove('a')
with open('c', 'w') as f:
    f.write('still here')
"""


def test_caught(small: Client) -> None:
    """A job that catches the exception of a limit goes on: it is ``ok``."""
    result = small.execute(CAUGHT)
    assert ("ok", "MemoryError OSError OSError RecursionError\n") == (result.verdict, result.stdout)
    assert b"still here" == result.files["c"]
