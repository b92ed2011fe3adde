"""Builtins as user code meets them (CONTRACT rows 15 and 16), and entering the guard."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.worker.policy_harness import Server, serving

from warmfork_worker.policy.tables import GUARDED_BUILTINS

_CALLS = {
    "eval": "eval('1 + 1')",
    "exec": "exec('x = 1')",
    "compile": "compile('1', 'x', 'eval')",
    "breakpoint": "breakpoint()",
    "input": "input('name? ')",
    "__import__": "__import__('subprocess')",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One template for this file."""
    with serving(tmp_path_factory.mktemp("builtins")) as running:
        yield running


def test_every_guarded_builtin_has_a_call() -> None:
    """The calls below cover exactly the table."""
    assert {entry.name for entry in GUARDED_BUILTINS} == set(_CALLS)


@pytest.mark.parametrize("name", ["eval", "exec", "compile", "breakpoint"])
def test_running_text_is_refused_under_strict_alone(server: Server, name: str) -> None:
    """Under strict the call is a PermissionError that names the way that works; elsewhere it is Python's own."""
    hint = next(entry.hint for entry in GUARDED_BUILTINS if entry.name == name)
    outcome = server.run(_CALLS[name])
    assert ("PermissionError", f"Calling {name}() is not allowed in the code sandbox. {hint}") == (
        outcome.error,
        outcome.message,
    )
    for policy in ("standard", "off"):
        assert "not allowed" not in server.run(_CALLS[name], policy).message


@pytest.mark.parametrize("policy", ["strict", "standard"])
def test_input_without_stdin_names_stdin(server: Server, policy: str) -> None:
    """input() reads what the request gave, and without it raises EOFError that names stdin=."""
    outcome = server.run("input('name? ')", policy)
    assert ("EOFError", True) == (outcome.error, "stdin=" in outcome.message)
    given = server.run("print(input('? '), input())", policy, stdin="Ada\nBob\n")
    assert ("? Ada Bob\n", "") == (given.stdout, given.error)


def test_input_is_pythons_own_under_off(server: Server) -> None:
    """With the policy off the message is Python's."""
    outcome = server.run("input()", "off")
    assert ("EOFError", False) == (outcome.error, "stdin=" in outcome.message)


@pytest.mark.parametrize("policy", ["strict", "standard", "off"])
@pytest.mark.parametrize(
    ("code", "stdout"),
    [
        (
            "a = 1\ndef f(x):\n    y = 2\n    return sorted(locals())\nprint(f(0), locals() is globals())",
            "['x', 'y'] True",
        ),
        ("def f(x):\n    return dir(), sorted(vars())\nprint(f(0))", "(['x'], ['x'])"),
        ("a = 1\nprint([n for n in globals() if not n.startswith('__')])", "['a']"),
        ("a = 1\nprint([n for n in dir() if not n.startswith('__')])", "['a']"),
        ("print([n for n in vars() if not n.startswith('__')])", "[]"),
        ("globals()['b'] = 3\nprint(b, 'np' in globals())", "3 False"),
        ("print(json.dumps([1]), os.sep, math.floor(1.5), np.int64(3), pd.Series([1]).sum())", "[1] / 1 3 1"),
        ("print(id(1) == id(1), hash('a') == hash('a'), type(3), getattr(3, 'real'), object() is None)", None),
        (
            "class A:\n    def f(self): return 1\nclass B(A):\n    def f(self): return super().f() + 1\nprint(B().f())",
            "2",
        ),
        ("print(__name__, __import__('math').floor(2.5))", "__main__ 2"),
    ],
)
def test_everything_else_is_pythons_own(server: Server, policy: str, code: str, stdout: str | None) -> None:
    """globals, locals, dir and vars see user names as Python has them; presets are there; nothing else is missing."""
    outcome = server.run(code, policy)
    assert "" == outcome.message
    assert stdout is None or stdout + "\n" == outcome.stdout


def test_no_builtin_is_missing(server: Server) -> None:
    """Every name of the real builtins resolves in user code under strict."""
    code = f"for name in {sorted(dir(__builtins__) if not isinstance(__builtins__, dict) else __builtins__)}:\n"
    code += "    getattr(__builtins__, name)\n"
    assert "" == server.run(code.replace("'@py_builtins', ", "").replace("'@py_assert', ", "")).message


def test_a_preset_can_be_shadowed_and_comes_back(server: Server) -> None:
    """A user name hides a preset as it would hide a builtin."""
    assert "1 True\n" == server.run("np = 1\nprint(np, end=' ')\ndel np\nprint(hasattr(np, 'array'))").stdout


@pytest.mark.parametrize("policy", ["strict", "standard", "off"])
def test_the_guard_works_without_libraries(tmp_path_factory: pytest.TempPathFactory, policy: str) -> None:
    """A template that could import no library builds and enters the guard all the same (row 2)."""
    with serving(tmp_path_factory.mktemp("bare"), ("json",)) as bare:
        outcome = bare.run(
            "import os.path, json, sys, csv\nprint('numpy' in sys.modules)\nopen('x', 'w').close()", policy
        )
        assert ("False\n", "") == (outcome.stdout, outcome.message)
        late = bare.run("import numpy, matplotlib.pyplot as plt\nplt.plot([1]); plt.savefig('x.png'); print(1)", policy)
        assert ("1\n", "") == (late.stdout, late.message)


def test_a_library_first_imported_by_the_job_is_not_patched(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Library patches are put on what the template has loaded; the document says so."""
    with serving(tmp_path_factory.mktemp("late"), ("json",)) as bare:
        assert "" == bare.run("import pandas as pd\npd.eval('1 + 1')").message


def test_an_unknown_policy_raises(server: Server) -> None:
    """An unknown policy is a ValueError, so that a worker cannot run unguarded because of a spelling."""
    outcome = server.run("1", "stict")
    assert ("harness", True) == (outcome.error, "ValueError: policy 'stict'" in outcome.message)


def test_a_second_entry_raises() -> None:
    """Entering twice is a RuntimeError: the first hook cannot be taken off."""
    code = (
        "from warmfork_worker.policy import Guard\nguard = Guard([])\n"
        "for _ in range(2):\n"
        "    guard.enter('off', work_dir='.', temp_dir='.', stdin_given=False, presets=dict)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "RuntimeError: the guard has been entered in this process" == done.stderr.splitlines()[-1]
