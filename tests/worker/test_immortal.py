"""What a template holds is counted no more: nobody can tell but by the memory that a forked process copies."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from tests.support import run_alone

from warmfork_worker.immortal import make_immortal

BUILT = importlib.util.find_spec("warmfork_worker._immortal") is not None
UNCOUNTED = sys.version_info >= (3, 12)  # PEP 683

PRELUDE = """
import gc, os, resource, sys, types
from warmfork_worker.immortal import make_immortal

def counted(thing):
    before = sys.getrefcount(thing)
    more = [thing] * 50
    return sys.getrefcount(thing) != before
"""


def run(code: str) -> str:
    """What ``code`` printed in an interpreter of its own; it must end well. Skips where there is nothing that does it."""
    if not BUILT:
        pytest.skip("the native part was not built: no compiler here")
    return run_alone(PRELUDE + code)


def test_all_that_is_held_is_counted_no_more() -> None:
    """Functions and what their code names, instances and what hangs on them, classes; what comes later is counted."""
    out = run("""
class Kept:
    def __init__(self):
        self.text = "".join(["te", "xt"])
        self.deep = {"key": [(2.5, frozenset({"a b", 2**70}))]}

def function():
    return (3.25, "some constant")

kept = Kept()
report = make_immortal(wanted=True)
(number, letters), = kept.deep["key"]
held = [Kept, kept, kept.text, kept.deep, number, letters, *letters, function, function.__code__, *function(), os, len]
print([counted(thing) for thing in held].count(True), counted(Kept()), counted([1]), report.objects > 1000)
print(report.detail if report.objects == 0 else report.detail == f"{report.objects} objects")
""")
    if UNCOUNTED:
        assert "0 True True True\nTrue\n" == out
    else:
        assert "counts every object; 3.12 and later need not" in out.splitlines()[1]


def test_everything_goes_on_as_before() -> None:
    """Running frames and generators, changing what is held, throwing it away, collecting, interning, subclassing."""
    out = run("""
class Tree(dict):
    pass

def numbers():
    for number in range(5):
        yield number * 1000

words, tree, waiting = ["a" * 30], Tree(a=Tree(b=1)), numbers()
next(waiting)

def middle(depth):
    local = [depth]
    if depth:
        return middle(depth - 1) + local
    make_immortal(wanted=True)
    gc.collect()
    return local

print(middle(3), list(waiting), sys._getframe().f_code.co_name)
for number in range(10_000):
    words.append(str(number))
words[0] += "b"
del words[1:], tree["a"]
sys.intern(words[0])
sys.intern("".join(["never ", "interned"]))
Late = type("Late", (Tree,), {"__slots__": ("x",)})
Late().x = 1
gc.collect()
import decimal, json, textwrap
print(words, tree, isinstance(Late(), Tree), json.loads(json.dumps({"a": [1, 2.5, None]})), decimal.Decimal("1.1") * 3)
print(sum(len(str(number)) for number in range(100_000)))
""")
    words = "a" * 30 + "b"
    assert (
        f"[0, 1, 2, 3] [1000, 2000, 3000, 4000] <module>\n['{words}'] {{}} True {{'a': [1, 2.5, None]}} 3.3\n488890\n"
    ) == out


def test_a_forked_process_copies_less() -> None:
    """Looking at everything that the parent holds takes copies of what is written to: without counts, next to none."""
    out = run("""
kept = [[str(number)] for number in range(200_000)]
codes = []
for number in range(5_000):
    exec(f"def function_{number}():\\n    return 'text {number}', {number}.5", globals())
    codes.append(globals()[f"function_{number}"].__code__)
gc.collect()

def faults():
    read, write = os.pipe()
    if not os.fork():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for item in kept:
            item[0]
        for code in codes:
            code.co_name, code.co_qualname, code.co_consts[1], code.co_names
        os.write(write, str(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before).encode())
        os._exit(0)
    os.wait()
    return int(os.read(read, 20))

before = faults()
make_immortal(wanted=True)
print(before, faults())
""")
    before, after = map(int, out.split())
    assert before > 4000
    assert not UNCOUNTED or after < 100


def test_switched_off() -> None:
    """Where it is not wanted, the reason names the setting."""
    assert "switched off (pool.immortal_objects)" == make_immortal(wanted=False).detail


def test_without_the_native_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """An install without a compiler says so, and leaves all as it is."""
    monkeypatch.setitem(sys.modules, "warmfork_worker._immortal", None)
    report = make_immortal(wanted=True)
    assert 0 == report.objects
    assert report.detail.startswith("its native part was not built when warmfork was installed (")
