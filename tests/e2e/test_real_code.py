"""Ordinary programs run as they do in plain Python."""

from __future__ import annotations

import pytest

from warmfork import Client

PROGRAMS = {
    "dataclass": (
        "from dataclasses import dataclass, field\n@dataclass\nclass P:\n    x: int\n    y: list = field(default_factory=list)\n"
        "print(P(1), P(1) == P(1))",
        "P(x=1, y=[]) True\n",
    ),
    "class with super": (
        "class A:\n    def hi(self): return 'A'\nclass B(A):\n    def hi(self): return super().hi() + 'B'\nprint(B().hi())",
        "AB\n",
    ),
    "closure": (
        "def outer():\n    n = 0\n    def inner():\n        nonlocal n\n        n += 1\n        return n\n    return inner\n"
        "f = outer(); f(); print(f())",
        "2\n",
    ),
    "generator": (
        "def g():\n    x = yield 1\n    print(x)\ni = g(); next(i)\ntry: i.send(5)\nexcept StopIteration: pass",
        "5\n",
    ),
    "main guard": ("def main():\n    print('main')\nif __name__ == '__main__':\n    main()", "main\n"),
    "enum": ("from enum import Enum\nclass C(Enum):\n    R = 1\nprint(C.R, C['R'].value)", "C.R 1\n"),
    "namedtuple": ("from typing import NamedTuple\nclass P(NamedTuple):\n    x: int = 3\nprint(P())", "P(x=3)\n"),
    "recursion": ("def f(n): return 1 if n < 2 else n * f(n - 1)\nprint(f(30))", "265252859812191058636308480000000\n"),
    "comprehension": (
        "print({k: v for k, v in zip('ab', range(2))}, [i for i in range(3) if i])",
        "{'a': 0, 'b': 1} [1, 2]\n",
    ),
    "match": ("match [1, 2]:\n    case [a, b]: print(a + b)", "3\n"),
    "asyncio": (
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 7\nprint(asyncio.run(f()))",
        "7\n",
    ),
    "sqlite": (
        "import sqlite3\nc = sqlite3.connect('d.db')\nprint(c.execute('select 1+1').fetchone())\nc.close()",
        "(2,)\n",
    ),
    "type hints": (
        "from __future__ import annotations\nimport typing\nclass A:\n    x: list[A]\nprint(typing.get_type_hints(A))",
        "{'x': list[__main__.A]}\n",
    ),
    "unicode": ("print('你好, мир, 🎉')", "你好, мир, 🎉\n"),
    "sorted key": ("print(sorted([3, 1, 2], key=lambda v: -v), max([], default=None))", "[3, 2, 1] None\n"),
    "numpy": ("a = np.arange(6).reshape(2, 3)\nprint(a @ a.T)", "[[ 5 14]\n [14 50]]\n"),
    "groupby": (
        "d = pd.DataFrame({'a': [1, 1, 2], 'b': [1, 2, 3]})\nprint(d.groupby('a').b.sum().to_dict())",
        "{1: 3, 2: 3}\n",
    ),
    "csv round trip": (
        "pd.DataFrame({'x': [1]}).to_csv('a.csv', index=False)\nprint(pd.read_csv('a.csv').x[0], open('a.csv').read())",
        "1 x\n1\n\n",
    ),
    "atexit": ("import atexit\natexit.register(print, 'bye')\nprint('hi')", "hi\nbye\n"),
    "logging": (
        "import logging, sys\nlogging.basicConfig(stream=sys.stdout)\nlogging.warning('w')",
        "WARNING:root:w\n",
    ),
    "unittest": (
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(1, 1)\n"
        "r = unittest.main(exit=False, argv=['x']).result\nprint(r.testsRun, r.wasSuccessful())",
        "1 True\n",
    ),
    "exec order of globals": (
        "x = 1\ndef f(): return x\nx = 2\nprint(f(), globals()['x'], 'x' in dir())",
        "2 2 True\n",
    ),
    "stdout buffer": (
        "import sys\nsys.stdout.buffer.write(b'raw\\n')\nprint('text', file=sys.stdout, flush=True)",
        "raw\ntext\n",
    ),
    "redirect": (
        "import contextlib, io\nb = io.StringIO()\nwith contextlib.redirect_stdout(b): print('x')\nprint(b.getvalue() * 2)",
        "x\nx\n\n",
    ),
    "argv": ("import sys\nprint(sys.argv, __file__, __name__)", "['<sandbox>'] <sandbox> __main__\n"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(client: Client, name: str) -> None:
    """The program ends well under policy strict and prints what plain Python prints."""
    code, expected = PROGRAMS[name]
    result = client.execute(code)
    assert (expected, "ok") == (result.stdout, result.verdict), result.stderr


def test_names_present_without_import(client: Client) -> None:
    """CONTRACT row 16: the names are there without import."""
    names = "os json math re matplotlib plt fm font_manager np numpy pd pandas sns seaborn"
    result = client.execute(f"print([n.__name__ for n in ({names.replace(' ', ', ')},)])")
    assert result.ok, result.stderr
    assert "matplotlib.pyplot" in result.stdout


def test_user_modules_import(client: Client) -> None:
    """Python files sent along can be imported, and their frames show in the traceback."""
    files = {
        "helper.py": b"def double(x):\n    return 2 * x\n",
        "pack/__init__.py": b"",
        "pack/bad.py": b"def f():\n    1 / 0\n",
    }
    result = client.execute("import helper\nprint(helper.double(4))\nfrom pack import bad\nbad.f()", files=files)
    assert "8\n" == result.stdout
    assert 'File "pack/bad.py", line 2, in f' in result.stderr


def test_variables_are_what_they_are(client: Client) -> None:
    """Values and types of variables arrive; names that are not JSON do too."""
    variables = {"a": (1, 2), "b": {1: "x"}, "c": {3}, "d": b"\0", "e": 2**100, "f": None}
    result = client.execute("print(a, b, c, d, e, f)", variables=variables)
    assert f"(1, 2) {{1: 'x'}} {{3}} b'\\x00' {2**100} None\n" == result.stdout


def test_stdin(client: Client) -> None:
    """input() reads what the request gives, and says how when it gives nothing."""
    assert "hi Ada\n" == client.execute("print('hi', input())", stdin="Ada\n").stdout
    result = client.execute("input('name? ')")
    assert ("name? ", False) == (result.stdout, result.ok)
    assert "stdin" in result.stderr
