"""What cannot work under the guard fails at once, with an error that code can catch and a reader can understand."""

from __future__ import annotations

from typing import Final

import pytest

from warmfork import Client, Result

AT_ONCE_S: Final = 4.0
PERMITTED_NOT: Final = "PermissionError: [Errno 1] Operation not permitted"
NO_PROCESS: Final = "No process can be started or signalled here"
NO_NETWORK: Final = "There is no network here"

# Name -> code, what Python says by itself (policy off), what the policy adds (standard).
CASES: Final = {
    "subprocess": ("import subprocess\nsubprocess.run(['ls'])", PERMITTED_NOT, NO_PROCESS),
    "os.fork": ("import os\nos.fork()", PERMITTED_NOT, NO_PROCESS),
    "os.popen": ("import os\nos.popen('ls')", PERMITTED_NOT, NO_PROCESS),
    "Process": ("import multiprocessing as m\nm.Process(target=print).start()", PERMITTED_NOT, NO_PROCESS),
    "Pool": ("import multiprocessing as m\nm.Pool(2).map(abs, [1])", PERMITTED_NOT, NO_PROCESS),
    "Pool, spawned": ("import multiprocessing as m\nm.get_context('spawn').Pool(2)", PERMITTED_NOT, NO_PROCESS),
    "Pool, forkserver": ("import multiprocessing as m\nm.get_context('forkserver').Pool(2)", PERMITTED_NOT, ""),
    "Manager": ("import multiprocessing as m\nm.Manager()", PERMITTED_NOT, ""),
    "ProcessPoolExecutor": (
        "from concurrent.futures import ProcessPoolExecutor as P\nwith P(2) as p: list(p.map(abs, [1]))",
        PERMITTED_NOT,
        NO_PROCESS,
    ),
    "asyncio subprocess": (
        "import asyncio\nasync def f(): await asyncio.create_subprocess_exec('ls')\nasyncio.run(f())",
        PERMITTED_NOT,
        NO_PROCESS,
    ),
    "socket": ("import socket\nsocket.socket()", PERMITTED_NOT, ""),
    "http.client": ("import http.client as h\nh.HTTPConnection('127.0.0.1', 9).request('GET', '/')", PERMITTED_NOT, ""),
    "http.client, by name": (
        "import http.client as h\nh.HTTPSConnection('a.test').request('GET', '/')",
        "gaierror",
        NO_NETWORK,
    ),
    "urllib": ("import urllib.request as u\nu.urlopen('http://a.test')", "URLError", NO_NETWORK),
    "read_csv": ("import pandas as pd\npd.read_csv('https://a.test/a.csv')", "URLError", NO_NETWORK),
    "load_dataset": ("import seaborn as sns\nsns.load_dataset('tips')", "URLError", NO_NETWORK),
    "symlink": ("import os\nos.symlink('a', 'b')", PERMITTED_NOT, ""),
    "hard link": ("import os\nopen('a', 'w').close()\nos.link('a', 'b')", PERMITTED_NOT, ""),
    "fifo": ("import os\nos.mkfifo('f')", PERMITTED_NOT, ""),
    "code in memory": ("import mmap\nmmap.mmap(-1, 4096, prot=7)", PERMITTED_NOT, ""),
}


def _said(result: Result) -> str:
    assert result.error is not None, result.verdict
    return f"{result.error.type}: {result.error.message}"


@pytest.mark.parametrize("name", CASES)
def test_refused_at_once(name: str, guarded: Client) -> None:
    """The act raises within seconds; under ``standard`` the policy's sentence says what works where it knows."""
    code, plain, hint = CASES[name]
    bare = guarded.execute(code, policy="off", timeout_s=30)
    assert "error" == bare.verdict
    assert _said(bare).startswith(plain)
    judged = guarded.execute(code, policy="standard", timeout_s=30)
    assert "error" == judged.verdict
    assert hint in _said(judged)
    assert max(bare.usage.wall_s, judged.usage.wall_s) < AT_ONCE_S


def test_process_pools_of_libraries_under_strict(guarded: Client) -> None:
    """``ProcessPoolExecutor``, which strict does not keep from user code, is refused with the policy's sentence."""
    result = guarded.execute(CASES["ProcessPoolExecutor"][0], policy="strict")
    assert "error" == result.verdict
    assert NO_PROCESS in _said(result)
