"""What user code may import, by every form of the statement (CONTRACT rows 3, 5 and 6)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.worker.policy_harness import Server, serving

from warmfork_worker.policy.tables import PRIVATE_DOORS, RESTRICTED_MODULES, Entry

_CONTRACT_LIST_A = (
    "subprocess shutil ctypes pty pexpect paramiko asyncio.subprocess signal multiprocessing threading socket "
    "http.server xmlrpc ftplib smtplib webbrowser telnetlib poplib imaplib nntplib urllib.request requests aiohttp "
    "code codeop compileall exec builtins pickle shelve marshal importlib.util tempfile gc traceback dis inspect"
)
_ALL = [*RESTRICTED_MODULES, *PRIVATE_DOORS]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One template for this file."""
    with serving(tmp_path_factory.mktemp("imports")) as running:
        yield running


def _end(server: Server, code: str) -> tuple[str, str]:
    outcome = server.run(code)
    return outcome.error, outcome.message


def _sentence(name: str) -> str:
    return f"Importing {name!r} is not allowed in the code sandbox."


def test_restricted_modules_are_list_a() -> None:
    """The table of restricted modules is the contract's list A, in its order."""
    assert _CONTRACT_LIST_A == " ".join(entry.name for entry in RESTRICTED_MODULES)


@pytest.mark.parametrize("entry", _ALL, ids=lambda entry: entry.name)
def test_restricted_module_is_refused_by_import_module_under_strict_alone(server: Server, entry: Entry) -> None:
    """Each restricted name is refused under strict with the exact sentence and the hint; no other policy refuses it."""
    code = f"import importlib\nimportlib.import_module({entry.name!r})"
    outcome = server.run(code)
    assert ("ImportError", f"{_sentence(entry.name)} {entry.hint}".strip()) == (outcome.error, outcome.message)
    for policy in ("standard", "off"):
        assert "not allowed" not in server.run(code, policy).message


@pytest.mark.parametrize("entry", [entry for entry in _ALL if entry.name != "exec"], ids=lambda entry: entry.name)
def test_restricted_module_is_refused_by_both_forms_of_the_statement(server: Server, entry: Entry) -> None:
    """``import x`` and ``from x import y`` are refused alike."""
    package, _, name = entry.name.rpartition(".")
    forms = [f"import {entry.name}", f"import {entry.name} as short", f"from {entry.name} import anything"]
    for code in [*forms, *([f"from {package} import {name}"] if package else [])]:
        outcome = server.run(code)
        assert ("ImportError", True) == (outcome.error, outcome.message.startswith(_sentence(entry.name)))


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import multiprocessing.pool", "multiprocessing.pool"),
        ("from xmlrpc import client", "xmlrpc"),
        ("import os, urllib.request as r", "urllib.request"),
        ("from http import client, server", "http.server"),
        ("__import__('subprocess')", "subprocess"),
        ("__import__('http', fromlist=['server'])", "http.server"),
        ("__import__('http', None, None, ('server',), 0)", "http.server"),
        ("import importlib\nimportlib.__import__('pickle')", "pickle"),
        ("from importlib import import_module as f\nf('.server', 'http')", "http.server"),
        ("from logging import threading", "threading"),
        ("def f():\n    class A:\n        import gc\nf()", "gc"),
        ("[__import__(n) for n in ['math', 'dis']]", "dis"),
        ("list(map(__import__, ['math', 'dis']))", "dis"),
        ("import helper", "socket"),
        ("from package import inner", "inspect"),
    ],
)
def test_other_forms_are_refused(server: Server, code: str, name: str) -> None:
    """Submodules, aliases, lists, calls and modules that the job brings along meet the same rule."""
    files = {"helper.py": "import socket", "package/__init__.py": "", "package/inner.py": "from inspect import stack"}
    outcome = server.run(code, files=files)
    assert ("ImportError", True) == (outcome.error, outcome.message.startswith(_sentence(name)))


@pytest.mark.parametrize(
    "code",
    [
        "import urllib.parse; from urllib import parse; print(parse.quote('ä'))",
        "import http.client, http; print(http.HTTPStatus.OK)",
        "import importlib; print(importlib.import_module('urllib.parse').quote('a'))",
        "import asyncio; print(asyncio.run(asyncio.sleep(0, 'done')))",
        "import concurrent.futures as c; print(list(c.ThreadPoolExecutor(2).map(abs, [-1])))",
        "import unittest, doctest, logging, sqlite3, decimal, zoneinfo, importlib.metadata; print(1)",
        "from datetime import datetime; import time; print(datetime.strptime('2024', '%Y'), time.strptime('1', '%d'))",
        "import signals_of_mine; print(signals_of_mine.x)",
        "from relative import a; print(a.b.c)",
    ],
)
def test_unrestricted_imports_work_under_strict(server: Server, code: str) -> None:
    """Neighbours of restricted names, and libraries that import restricted modules by themselves, work."""
    files = {
        "signals_of_mine.py": "x = np.arange(3).sum()",
        "relative/__init__.py": "",
        "relative/a.py": "from . import b\nfrom .b import c",
        "relative/b.py": "c = 7",
    }
    outcome = server.run(code, files=files)
    assert ("", "") == (outcome.error, outcome.message)
    assert outcome.stdout != ""


def test_imports_that_c_code_makes_for_user_code_pass(server: Server) -> None:
    """A C function called by user code may import what it needs, also when that is restricted for the user."""
    # As PyImport_Import calls it; which C functions import restricted modules differs between versions.
    assert ("", "") == _end(server, "names = globals()\n__import__('inspect', names, names, [], 0)")


def test_star_import_leaves_restricted_modules_out(server: Server) -> None:
    """``from library import *`` brings the library's names without the restricted modules it holds."""
    outcome = server.run(
        "from matplotlib.pyplot import *\nfrom urllib import *\n"
        "print('threading' in globals(), 'inspect' in globals(), 'request' in globals(), callable(plot))\n"
        "print('subprocess' in sys.modules)"
    )
    assert ("False False False True\nFalse\n", "") == (outcome.stdout, outcome.message)
    assert "True" in server.run("from matplotlib.pyplot import *\nprint('threading' in globals())", "off").stdout


@pytest.mark.parametrize("name", ["urllib.request", "http.server", "asyncio.subprocess", "importlib.util"])
def test_restricted_submodule_is_no_attribute_for_user_code(server: Server, name: str) -> None:
    """A restricted submodule that the template has loaded is no attribute of its package; a library reaches it."""
    package = name.partition(".")[0]
    outcome = server.run(f"import {package}\n{name}")
    assert ("AttributeError", True) == (outcome.error, outcome.message.startswith(_sentence(name)))
    by_library = f"import {package}, operator, functools, pkgutil\nprint(pkgutil.resolve_name({name!r}).__name__)"
    assert name + "\n" == server.run(by_library).stdout


@pytest.mark.parametrize("policy", ["standard", "off"])
def test_imports_are_free_elsewhere(server: Server, policy: str) -> None:
    """standard and off give the real modules, sys among them."""
    code = (
        "import sys, os, threading, pickle, subprocess, urllib.request\nprint(sys is os.sys, 'pickle' in sys.modules)"
    )
    assert "True True\n" == server.run(code, policy).stdout


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.modules['subprocess']",
        "from sys import modules; modules['subprocess']",
        "import sys as s; dict(s.modules)['subprocess']",
        "from os import sys; sys.modules['subprocess']",
        "import importlib; importlib.import_module('sys').modules['subprocess']",
        "import sys; sys.__dict__['modules']['subprocess']",
        "import sys; vars(sys)['modules']['subprocess']",
        "import sys; sys.modules['sys'].modules['subprocess']",
        "import sys; getattr(sys, 'modules')['subprocess']",
        "import helper; helper.sys.modules['subprocess']",
    ],
)
def test_sys_modules_gives_no_way_to_a_restricted_module(server: Server, code: str) -> None:
    """Reading a restricted module from sys.modules is a KeyError, by every road to sys.modules."""
    outcome = server.run(code, files={"helper.py": "import sys"})
    assert ("KeyError", True) == (outcome.error, "'subprocess'" in outcome.message)
    assert "" == server.run(code, "off", files={"helper.py": "import sys"}).error


def test_sys_modules_is_otherwise_the_real_table(server: Server) -> None:
    """Reading, testing, listing, setting and deleting of other modules work."""
    outcome = server.run(
        "import sys, json, types\n"
        "m = sys.modules\n"
        "print('subprocess' in m, 'json' in m, 'subprocess' in list(m), m.get('subprocess'), len(m) == len(list(m)))\n"
        "print(m['json'] is json, m[__name__].__dict__ is globals(), m['sys'] is sys, 'subprocess' in m.copy())\n"
        "m['mine'] = types.SimpleNamespace(x=1)\n"
        "import mine\n"
        "print(mine.x)\n"
        "del m['mine']\n"
        "print('mine' in m, m.pop('nothing', 5))\n"
    )
    assert "" == outcome.message
    assert "False True False None True\nTrue True True False\n1\nFalse 5\n" == outcome.stdout


def test_sys_forwards_both_ways(server: Server) -> None:
    """All else of sys is the real one: streams, paths, limits, exit, attributes set and deleted."""
    outcome = server.run(
        "import sys, io, types\n"
        "old, sys.stdout = sys.stdout, io.StringIO()\n"
        "print('kept')\n"
        "text, sys.stdout = sys.stdout.getvalue(), old\n"
        "print(text.strip(), sys.version_info >= (3, 11), isinstance(sys, types.ModuleType), sys.__name__)\n"
        "sys.setrecursionlimit(5000); sys.path.append('/x'); sys.mine = 1; del sys.mine\n"
        "print(sys.getrecursionlimit(), sys.path[-1], hasattr(sys, 'mine'), 'modules' in dir(sys), bool(sys.argv))\n"
        "sys.exit(3)"
    )
    assert "kept True True sys\n5000 /x False True True\n" == outcome.stdout
    assert ("SystemExit", "3") == (outcome.error, outcome.message)


def test_user_modules_leave_no_bytecode_and_are_user_frames(server: Server) -> None:
    """A module from the working directory sees the presets, is judged, and leaves no __pycache__ behind."""
    code = "import helper, os\nprint(helper.f(), sorted(os.listdir('.')))\nhelper.g()"
    files = {"helper.py": "def f():\n    return int(np.sum([1, 2]))\ndef g():\n    return eval('1')\n"}
    outcome = server.run(code, files=files)
    assert "3 ['helper.py', 'tmp']\n" == outcome.stdout
    assert ("PermissionError", True) == (outcome.error, "Calling eval()" in outcome.message)
