"""Which code can do without the libraries of the default template: cautious, quick, and never brought down."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import environment

from warmfork_daemon.needs import _STANDARD, CODE_BYTES_MAX, needs_science

_PRESETS = ("matplotlib", "plt", "fm", "font_manager", "np", "numpy", "pd", "pandas", "sns", "seaborn")
_LIGHT = (
    "print(1 + 1)",
    "",
    "import os, sys\nfrom collections import Counter as C\nprint(C('abc'))",
    "import os.path as p; import json",
    "from math import (\n    sin,\n    cos,\n)\n",
    "if True:\n    import statistics  # the mean\n",
    "import re\nre.compile('a')",
    "def f():\n    yield from range(3)\nraise ValueError from None",
    "print('年度销售趋势')",
    "import math\r\nimport json\r\n",
    "class A:\n    def visit(self, name):\n        return getattr(self, 'visit_' + name)(self.__dict__)",
    "x = (",  # a syntax error is the same anywhere
    "plots = compiled = evaluate = imports = 1",
)
_HEAVY = (
    *(f"x = {name}" for name in _PRESETS),
    *(f"print({name!r})" for name in _PRESETS),
    "import numpy",
    "import os, numpy as n",
    "from PIL import Image",
    "import scipy",
    "from helper import f",
    "import helper",
    "from . import x",
    "from math import *; import requests",
    "import \\\n    math",
    "import math;import scipy",
    "x = 1; import scipy",
    "if x: import scipy",
    "else: from scipy import y",
    "lambda: import_module('x')",
    "__import__('nu' + 'mpy')",
    "eval(input())",
    "exec(text)",
    "compile(text, 'x', 'exec')",
    "import importlib",
    "import sys\nprint(len(sys.modules))",
    "from sys import modules",
    "__builtins__['x']",
    "object.__subclasses__()",
    "import pickle",
    "globals()['x']",
    "ｎｐ.zeros(3)",  # NFKC makes it np, as Python does
    "# to import things",
    b"\xff",
    b"#" * (CODE_BYTES_MAX + 1),
    "ﷺ" * 5_000,
)


def _bytes(code: str | bytes) -> bytes:
    return code if isinstance(code, bytes) else code.encode()


@pytest.mark.parametrize("code", _LIGHT)
def test_code_that_needs_nothing(code: str) -> None:
    """Plain standard-library code can do without."""
    assert not needs_science(_bytes(code))


@pytest.mark.parametrize("code", _HEAVY)
def test_code_that_may_need_something(code: str | bytes) -> None:
    """A library's name anywhere, any other import, and whatever can reach or show what is loaded, cannot."""
    assert needs_science(_bytes(code))


@given(st.text(max_size=40), st.sampled_from(_PRESETS), st.text(max_size=40))
def test_a_name_counts_wherever_it_stands(before: str, name: str, after: str) -> None:
    """A preset name that is a word of its own is found between any other text."""
    assert needs_science(f"{before} {name} {after}".encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=200))
def test_any_bytes_are_judged(code: bytes) -> None:
    """Every input gets an answer, and the same one each time."""
    assert needs_science(code) == needs_science.__wrapped__(code)


_DEEP = CODE_BYTES_MAX - 8


@pytest.mark.parametrize(
    "code",
    [
        "(" * _DEEP,
        "-" * _DEEP + "1",
        ";" * _DEEP,
        "import a," * (_DEEP // 9),
        "import " + "a " * (_DEEP // 2 - 4),
        "import a" + ",a" * (_DEEP // 2 - 4),
        "import a as b" + " " * (_DEEP - 13),
        "from " * (_DEEP // 5),
        "import json as a, " * (_DEEP // 18),
        ";\t" * (_DEEP // 2),
        "a." * (_DEEP // 2),
        "a" * _DEEP,
    ],
)
def test_hostile_code_takes_no_longer(code: str) -> None:
    """What keeps a parser busy, or a backtracking expression, is judged in milliseconds of processor time."""
    began_s = time.thread_time()
    needs_science.__wrapped__(code.encode())
    assert time.thread_time() - began_s < 0.1


def test_code_that_comes_again_is_not_looked_at_again() -> None:
    """The answer for a code is remembered by its text, not by the object that holds it."""
    code = b"import os, sys\nfrom collections import Counter as C\nfor i in range(3): print(i)"
    needs_science(code)
    before = needs_science.cache_info()
    assert not needs_science(bytes(bytearray(code)))
    after = needs_science.cache_info()
    assert (before.hits + 1, before.misses) == (after.hits, after.misses)


def test_the_allowed_modules_load_no_library() -> None:
    """Each module that light code may import is the standard library's, and none of them brings a third party's."""
    assert {name.partition(".")[0] for name in _STANDARD} <= sys.stdlib_module_names
    code = (
        "import sys\nbefore = set(sys.modules)\n"
        + "".join(f"import {name}\n" for name in sorted(_STANDARD - {"__future__"}))
        + "new = {name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names\n"
        + "print(*(name for name in new if not name.startswith('_sysconfigdata')))"  # the standard library's, unlisted
    )
    ran = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert "" == ran.stdout.strip()


def test_light_code_of_the_corpus_is_recognised() -> None:
    """Most of the corpus's algorithms are seen to be light, and not one of its charts is."""
    corpus = Path(__file__).parents[1] / "corpus"
    heavy = [path.name for path in sorted((corpus / "algorithms").glob("*.py")) if needs_science(path.read_bytes())]
    assert len(heavy) <= 10, heavy
    assert [] == [path.name for path in (corpus / "gallery").glob("*.py") if not needs_science(path.read_bytes())]
