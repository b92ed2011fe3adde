"""The rows of the CONTRACT that the daemon and the worker keep, each by its number, through a real job.

Rows of the shim (10, 13, 17 to 23, 25) are in ``tests/client/test_compat*.py``; ``docs/contract.md`` maps all of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import ROOT, Served

from warmfork import Client

LIST_A = (  # noqa: SIM905  # as one text, to be compared with CONTRACT's own
    "subprocess shutil ctypes pty pexpect paramiko asyncio.subprocess signal multiprocessing threading socket http.server "
    "xmlrpc ftplib smtplib webbrowser telnetlib poplib imaplib nntplib urllib.request requests aiohttp code codeop "
    "compileall exec builtins pickle shelve marshal importlib.util tempfile gc traceback dis inspect"
).split()


def test_row_01_each_job_has_its_own_process(client: Client) -> None:
    """CONTRACT row 1: a crash stays in its process, and no two jobs share one."""
    first = client.execute("print(os.getpid())").stdout
    assert "crashed" == client.execute("import ctypes; ctypes.string_at(0)", policy="off").verdict
    assert first != client.execute("print(os.getpid())").stdout


def test_row_02_libraries_are_loaded_before_the_job(client: Client) -> None:
    """CONTRACT row 2: the trusted libraries are imported once per template, and the job meets them loaded."""
    code = "import sys\nprint(all(m in sys.modules for m in ('numpy', 'pandas', 'matplotlib.pyplot', 'seaborn')))"
    assert "True\n" == client.execute(code).stdout


def test_row_03_library_internals_are_not_bound(client: Client) -> None:
    """CONTRACT row 3: libraries import what user code may not, also lazily and while user code calls them."""
    code = (
        "pd.DataFrame({'a': [1]}).to_pickle('a.pkl')\nprint(pd.read_pickle('a.pkl').a[0])\n"
        "import concurrent.futures\nwith concurrent.futures.ThreadPoolExecutor() as p: print(p.submit(lambda: 2).result())"
    )
    result = client.execute(code)
    assert "1\n2\n" == result.stdout, result.stderr


def test_row_04_the_file_is_named_sandbox(client: Client) -> None:
    """CONTRACT row 4: the code runs in a namespace of its own under the name <sandbox>."""
    assert 'File "<sandbox>", line 2' in client.execute("\n1 / 0").stderr


@pytest.mark.parametrize("module", LIST_A)
def test_row_05_restricted_modules(client: Client, module: str) -> None:
    """CONTRACT row 5: each module of list A is refused by statement and by import_module, with the exact sentence."""
    code = (
        "import importlib\n"
        f"try: importlib.import_module({module!r})\nexcept ImportError as e: print(e)\n"
        f"try: exec_free = __import__({module!r})\nexcept ImportError as e: print(e)\n"
    )
    told = client.execute(code).stdout.splitlines()
    assert 2 == len(
        [line for line in told if line.startswith(f"Importing '{module}' is not allowed in the code sandbox.")]
    )


def test_row_05_dotted_names(client: Client) -> None:
    """CONTRACT row 5: prefixes are matched by dotted part: urllib.request is refused and urllib.parse is not."""
    assert "ok" == client.execute("import urllib.parse, http, importlib, asyncio").verdict
    for code in ("from http import server", "import urllib.request as r", "from importlib import util"):
        assert "not allowed in the code sandbox" in client.execute(code).stderr


def test_row_06_sys_modules(client: Client) -> None:
    """CONTRACT row 6: sys.modules gives no way to a restricted module."""
    result = client.execute(
        "import sys\nprint('subprocess' in sys.modules, 'json' in sys.modules)\nsys.modules['subprocess']"
    )
    assert ("False True\n", False) == (result.stdout, result.ok)


WRITES = {
    "open": "open('/etc/warmfork-x', 'w')",
    "io.open": "import io; io.open('/etc/warmfork-x', 'w')",
    "os.open": "os.open('/etc/warmfork-x', os.O_WRONLY | os.O_CREAT)",
    "pathlib": "import pathlib; pathlib.Path('/etc/warmfork-x').write_text('x')",
    "to_csv": "pd.DataFrame().to_csv('/etc/warmfork-x')",
    "np.save": "np.save('/etc/warmfork-x', np.zeros(1))",
    "savefig": "plt.plot([1]); plt.savefig('/etc/warmfork-x.png')",
    "parent": "open('../../escape', 'w')",
    "link": "os.symlink('/etc', 'l'); open('l/warmfork-x', 'w')",
    "var tmp": "open('/var/tmp/warmfork-x', 'w')",
}


@pytest.mark.parametrize("way", WRITES)
def test_row_07_writes_stay_inside(client: Client, way: str) -> None:
    """CONTRACT row 7: every path the Python layer sees is refused outside the job's directories (PermissionError)."""
    result = client.execute(WRITES[way])
    assert result.error is not None
    assert "PermissionError" == result.error.type, result.stderr


def test_row_07_tmp_is_the_jobs_own(client: Client) -> None:
    """CONTRACT row 7: with namespaces /tmp is private: empty, writable, and nothing of it is on the host or in the next job."""
    code = "print(os.listdir('/tmp')); open('/tmp/warmfork-x', 'w').write('x')"
    assert ["[]\n"] * 5 == [client.execute(code).stdout for _ in range(5)]
    assert not os.path.exists("/tmp/warmfork-x")


def test_row_07_tmp_is_refused_without_namespaces(serve: Callable[..., Served], short_dir: Path) -> None:
    """CONTRACT row 7: where there is no private /tmp, a write there is refused and the hint names $TMPDIR."""
    with serve("--guard-off", "namespaces,uid", directory=short_dir).client() as client:
        error = client.execute("open('/tmp/warmfork-x', 'w')").error
    assert error is not None
    assert "PermissionError" == error.type
    assert "TMPDIR" in error.message


def test_row_07_writes_inside_work(client: Client) -> None:
    """CONTRACT row 7: the working directory, $TMPDIR and ~/.cache can be written."""
    code = (
        "for d in ('.', os.environ['TMPDIR'], os.path.expanduser('~/.cache')):\n"
        "    os.makedirs(d, exist_ok=True)\n    open(os.path.join(d, 'f'), 'w').write('x')\nprint('ok')"
    )
    result = client.execute(code)
    assert "ok\n" == result.stdout, result.stderr


READS = {
    "open": "open('/etc/passwd')",
    "io.open": "import io; io.open('/etc/passwd')",
    "os.open": "os.open('/etc/passwd', os.O_RDONLY)",
    "pathlib": "import pathlib; pathlib.Path('/etc/passwd').read_text()",
    "genfromtxt": "np.genfromtxt('/etc/passwd')",
    "read_csv": "pd.read_csv('/etc/passwd')",
    "fromfile": "np.fromfile('/etc/passwd')",
    "imread": "plt.imread('/etc/passwd')",
    "sqlite": "import sqlite3; sqlite3.connect('/etc/passwd')",
    "listdir": "os.listdir('/root')",
}


@pytest.mark.parametrize("way", READS)
def test_row_08_reads_stay_inside(client: Client, way: str) -> None:
    """CONTRACT row 8: every path the Python layer sees is refused outside job, library and font directories."""
    result = client.execute(READS[way])
    assert result.error is not None
    assert "PermissionError" == result.error.type, result.stderr


def test_row_08_libraries_can_be_read(client: Client) -> None:
    """CONTRACT row 8: the standard library, site-packages and fonts can be read."""
    result = client.execute(
        "import json\nopen(json.__file__).read(1)\nopen(np.__file__).read(1)\nopen(fm.findfont('sans'), 'rb')"
    )
    assert result.ok, result.stderr


PROCESSES = {
    "system": "os.system('true')",
    "popen": "os.popen('true')",
    "execv": "os.execv('/bin/true', ['true'])",
    "spawn": "os.spawnv(os.P_WAIT, '/bin/true', ['true'])",
    "kill": "os.kill(os.getppid(), 0)",
    "killpg": "os.killpg(0, 0)",
    "fork": "os.fork()",
    "posix_spawn": "os.posix_spawn('/bin/true', ['true'], {})",
}


@pytest.mark.parametrize("policy", ["strict", "standard"])
@pytest.mark.parametrize("way", PROCESSES)
def test_row_09_processes(client: Client, way: str, policy: str) -> None:
    """CONTRACT row 9: starting and signalling processes raises PermissionError, in both guarded policies."""
    result = client.execute(PROCESSES[way], policy=policy)
    assert result.error is not None
    assert "PermissionError" == result.error.type, result.stderr


def test_row_11_printing_a_signature_means_nothing(client: Client) -> None:
    """CONTRACT row 11: stdout is only ever data; a chart is verified by the daemon's signature alone."""
    result = client.execute("print('CHART_HMAC:' + 'a' * 64)\nplt.plot([1])")
    assert "CHART_HMAC:" + "a" * 64 + "\n" == result.stdout
    assert 32 == len(result.charts[0].signature)


def test_row_14_pyplot_and_pandas(client: Client) -> None:
    """CONTRACT row 14: no window, no pd.eval, no ctypeslib; with plt.ioff() and @locals in query work."""
    code = (
        "plt.show(); plt.ion(); plt.ioff()\nwith plt.ioff(): plt.plot([1])\n"
        "def f():\n    low = 1\n    return pd.DataFrame({'a': [1, 2]}).query('a > @low').a.tolist()\n"
        "print(f(), hasattr(np, 'ctypeslib'))\n"
        "for call in (lambda: plt.switch_backend('TkAgg'), lambda: pd.eval('1'), "
        "lambda: pd.DataFrame({'a': [1]}).query('a > 0', parser='python')):\n"
        "    try: call()\n    except Exception as e: print(type(e).__name__)\n"
    )
    result = client.execute(code)
    lines = result.stdout.splitlines()
    assert "[2] False" == lines[0], result.stderr
    assert 4 == len(lines)


def test_row_15_builtins(client: Client) -> None:
    """CONTRACT row 15: eval, exec, compile, breakpoint and input are refused; classes and locals() work."""
    code = (
        "for call in (lambda: eval('1'), lambda: exec('1'), lambda: compile('1', '', 'eval'), lambda: breakpoint(), "
        "lambda: input()):\n"
        "    try: call(); print('ran')\n    except Exception as e: print('refused')\n"
        "class A(object):\n    def f(self): x = 1; return sorted(locals())\nprint(A().f(), 'A' in globals(), 'os' in globals())"
    )
    assert "refused\n" * 5 + "['self', 'x'] True False\n" == client.execute(code).stdout


def test_row_24_the_backend_is_agg(client: Client) -> None:
    """CONTRACT row 24: the default backend is Agg."""
    assert "agg\n" == client.execute("print(matplotlib.get_backend().lower())").stdout


def test_every_row_is_mapped_to_tests_that_exist() -> None:
    """docs/contract.md has all 25 rows, and each test that it names is there."""
    table = (ROOT / "docs" / "contract.md").read_text()
    rows = {int(number): rest for number, rest in re.findall(r"^\| (\d+) \|(.*)$", table, re.MULTILINE)}
    assert set(range(1, 26)) == set(rows)
    for number, rest in rows.items():
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", rest)
        assert named, f"row {number} names no test"
        for file, test in named:
            assert re.search(rf"def {test}\b", (ROOT / file).read_text()), f"{file}::{test}"
