"""Acts that the audit hook judges, for user and library frames alike (CONTRACT rows 7 to 9)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.worker.policy_harness import Outcome, Server, serving

from warmfork_worker.policy.tables import ACTS, READABLE_FILES, WRITABLE_FILES, Act

# Restricted modules are taken through os.sys, a door the import layer leaves open, to show that acts hold without it.
_PRELUDE: Final = "import os\nmod = os.sys.modules\nout = os.getcwd() + '-out'\n"
_UDP: Final = "s = mod['socket'].socket(mod['socket'].AF_INET, mod['socket'].SOCK_DGRAM)\n"

_SNIPPETS: Final[dict[str, tuple[str, ...]]] = {
    "os.system": ("os.system('true')",),
    "os.exec": ("os.execv('/bin/true', ['true'])", "os.execlp('true', 'true')"),
    "os.posix_spawn": ("os.posix_spawn('/bin/true', ['true'], {})", "os.posix_spawnp('true', ['true'], {})"),
    "os.fork": ("os.fork() or os._exit(0)", "os.spawnlp(os.P_WAIT, 'true', 'true')"),
    "os.forkpty": ("os.forkpty()[0] or os._exit(0)",),
    "os.kill": ("os.kill(os.getpid(), 0)",),
    "os.killpg": ("os.killpg(os.getpgid(0), 0)",),
    "subprocess.Popen": (
        "mod['subprocess'].run(['true'])",
        "os.popen('true').read()",
        "import asyncio\nasyncio.run(asyncio.create_subprocess_exec('true'))",
    ),
    "pty.spawn": ("mod['pty'].spawn(['true'])",),
    "webbrowser.open": ("mod['webbrowser'].GenericBrowser('true').open('about:blank')",),
    "socket.connect": (_UDP + "s.connect(('127.0.0.1', 9))", "mod['socket'].create_connection(('127.0.0.1', 9))"),
    "socket.bind": (_UDP + "s.bind(('127.0.0.1', 0))",),
    "socket.sendto": (_UDP + "s.sendto(b'x', ('127.0.0.1', 9))",),
    "socket.sendmsg": (_UDP + "s.sendmsg([b'x'], [], 0, ('127.0.0.1', 9))",),
    "socket.getaddrinfo": ("mod['socket'].getaddrinfo('localhost', 80)",),
    "socket.gethostbyname": ("mod['socket'].gethostbyname('localhost')", "mod['socket'].gethostbyname_ex('localhost')"),
    "socket.gethostbyaddr": ("mod['socket'].gethostbyaddr('127.0.0.1')",),
    "socket.getnameinfo": ("mod['socket'].getnameinfo(('127.0.0.1', 80), 0)",),
    "urllib.Request": (
        "mod['urllib.request'].urlopen('http://127.0.0.1:9/x')",
        "import pandas\npandas.read_csv('http://127.0.0.1:9/x')",
    ),
    "ctypes.dlopen": ("mod['ctypes'].CDLL(None)",),
    "open": (
        "open(out + '/new', 'w')",
        "open(out + '/f', 'a')",
        "open(out + '/f', 'r+')",
        "open(out + '/f')",
        "open((out + '/f').encode())",
        "import pathlib\npathlib.Path(out + '/f').read_text()",
        "import pathlib\npathlib.Path(out + '/f').write_text('x')",
        "import io\nio.open(out + '/f')",
        "io = __import__('io')\nio.FileIO(out + '/f')",
        "os.open(out + '/f', os.O_RDONLY)",
        "os.open(out + '/n', os.O_CREAT | os.O_WRONLY)",
        "open('../' + os.path.basename(out) + '/f')",
        "os.symlink(out, 'link')\nopen('link/f')",
        "os.symlink(out + '/f', 'link')\nopen('link')",
        "os.symlink(out, 'link')\nopen('link/new', 'w')",
        "import numpy\nnumpy.genfromtxt(out + '/f', dtype=str)",
        "import pandas\npandas.read_csv(out + '/f')",
        "import pandas\npandas.DataFrame({'a': [1]}).to_csv(out + '/f')",
        "import numpy\nnumpy.save(out + '/f', [1])",
        "import matplotlib.pyplot as plt\nplt.figure().savefig(out + '/f.png')",
    ),
    "sqlite3.connect": (
        "import sqlite3\nsqlite3.connect(out + '/db')",
        "import sqlite3\nsqlite3.connect('file://' + out + '/db?mode=rwc', uri=True)",
        "import sqlite3\nsqlite3.connect(f'file:{out}/db', uri=True)",
    ),
    "os.listdir": ("os.listdir(out)", "os.listdir(out.encode())"),
    "os.scandir": ("os.scandir(out)", "list(os.walk(out, onerror=print)) or os.scandir(out)"),
    "os.chdir": ("os.chdir(out)",),
    "os.mkdir": ("os.mkdir(out + '/new')", "os.makedirs(out + '/a/b')"),
    "os.rmdir": ("os.rmdir(out + '/d')", "os.rmdir(out + '/d/')"),
    "os.remove": ("os.remove(out + '/f')", "os.unlink(out + '/f')"),
    "os.rename": (
        "os.rename(out + '/f', 'mine')",
        "open('mine', 'w').close()\nos.rename('mine', out + '/g')",
        "open('mine', 'w').close()\nos.replace('mine', out + '/f')",
    ),
    "os.link": ("os.link(out + '/f', 'mine')", "open('mine', 'w').close()\nos.link('mine', out + '/g')"),
    "os.symlink": ("os.symlink('x', out + '/g')",),
    "os.truncate": ("os.truncate(out + '/f', 0)",),
    "os.chmod": ("os.chmod(out + '/f', 0o600)",),
    "os.chown": ("os.chown(out + '/f', -1, -1)",),
    "os.utime": ("os.utime(out + '/f')",),
    "os.setxattr": ("os.setxattr(out + '/f', 'user.a', b'x')",),
    "os.removexattr": ("os.removexattr(out + '/f', 'user.a')",),
    "os.getxattr": ("os.getxattr(out + '/f', 'user.a')",),
    "os.listxattr": ("os.listxattr(out + '/f')",),
}
_CASES: Final = [
    pytest.param(act, code, id=f"{act.event}-{index}")
    for act in ACTS
    for index, code in enumerate(_SNIPPETS.get(act.event, ()))
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One template for this file."""
    with serving(tmp_path_factory.mktemp("acts")) as running:
        yield running


def _is_refusal(outcome: Outcome) -> bool:
    return outcome.error == "PermissionError" and "is not allowed in the code sandbox." in outcome.message


def test_every_act_of_the_table_has_a_snippet() -> None:
    """The snippets below cover exactly the table."""
    assert {act.event for act in ACTS} == set(_SNIPPETS)


@pytest.mark.parametrize(("act", "code"), _CASES)
def test_act_is_refused_where_the_table_says_so(server: Server, act: Act, code: str) -> None:
    """Under each policy of the act it raises PermissionError with the hint; under off it is not refused."""
    for policy in ("strict", "standard"):
        outcome = server.run(_PRELUDE + code, policy)
        assert (policy in act.policies) == _is_refusal(outcome), outcome
        if policy in act.policies:
            assert outcome.message.endswith(act.hint)


@pytest.mark.parametrize("code", [code for snippets in _SNIPPETS.values() for code in snippets])
def test_act_is_not_refused_under_off(server: Server, code: str) -> None:
    """The control: the same snippet meets no refusal of ours when the policy is off."""
    assert "not allowed in the code sandbox" not in server.run(_PRELUDE + code, "off").message


def test_off_lets_the_file_acts_happen(server: Server) -> None:
    """The control in full: with the policy off the snippets reach the outside directory."""
    code = "print(open(out + '/f').read(), os.listdir(out))\nopen(out + '/f', 'w').write('x')\nos.rmdir(out + '/d')"
    outcome = server.run(_PRELUDE + code, "off")
    assert ("outside ['d', 'f']\n", "") == (outcome.stdout.replace("'f', 'd'", "'d', 'f'"), outcome.error)


@pytest.mark.parametrize("policy", ["strict", "standard"])
@pytest.mark.parametrize(
    "code",
    [
        "open('a', 'w').write('x'); print(open('a').read(), os.listdir('.'))",
        "open(os.getcwd() + '/a', 'wb').close(); open(b'a').close(); os.rename('a', 'b'); os.remove('b')",
        "os.makedirs('x/y/z'); os.makedirs('x', exist_ok=True); os.makedirs(os.getcwd(), exist_ok=True)",
        "os.makedirs('/tmp', exist_ok=True)",
        "os.mkdir('d'); os.chdir('d'); open('../a', 'w').close(); os.chdir('..'); os.rmdir('d')",
        "open(os.environ['TMPDIR'] + '/a', 'w').close()",
        "os.makedirs(os.path.expanduser('~/.cache/me')); open(os.path.expanduser('~/.cache/me/x'), 'w').close()",
        "os.symlink(out, 'link'); os.rename('link', 'other'); os.remove('other')",
        "r, w = os.pipe(); os.fdopen(w, 'w').close(); os.fdopen(r).close()",
        "fd = os.open('.', os.O_RDONLY); os.mkdir('d', dir_fd=fd); os.listdir(fd); os.rmdir('d', dir_fd=fd)",
        "import zoneinfo, json, encodings; print(zoneinfo.ZoneInfo('Europe/Paris')); open(json.__file__).close()",
        "import mimetypes, platform; print(mimetypes.guess_type('a.png'), platform.platform())",
        "a, b = mod['socket'].socketpair(); a.sendall(b'x'); a.sendmsg([b'y']); print(b.recv(2))",
        "import asyncio; print(asyncio.run(asyncio.sleep(0, 1)))",
        "import sqlite3; sqlite3.connect('x.db').execute('create table t(a)'); sqlite3.connect(':memory:')",
        "import sqlite3; sqlite3.connect('file:y.db', uri=True); sqlite3.connect('file::memory:', uri=True)",
        "print(mod['urllib.request'].urlopen('data:,hello').read())",
        "import io, pandas; print(pandas.read_csv(io.StringIO('a\\n1')).a.sum())",
        "import decimal, fractions, statistics, uuid, secrets, hashlib; uuid.uuid1(); secrets.token_hex()",
    ],
)
def test_allowed_acts_pass(server: Server, policy: str, code: str) -> None:
    """Work in the job's own directories, reading of libraries, pipes and socket pairs are not touched."""
    outcome = server.run(_PRELUDE + code, policy)
    assert ("", "") == (outcome.error, outcome.message)


@pytest.mark.parametrize("policy", ["strict", "standard"])
def test_single_files_of_the_tables_can_be_opened(server: Server, policy: str) -> None:
    """Each single file that the tables name is readable or writable, as far as it exists on this machine."""
    read = [entry.name for entry in READABLE_FILES]
    write = [entry.name for entry in WRITABLE_FILES]
    code = (
        f"for mode, names in (('rb', {read}), ('ab', {write})):\n"
        "    for name in names:\n"
        "        try:\n            open(name, mode, buffering=0).close()\n"
        "        except (FileNotFoundError, OSError) as error:\n            assert 'sandbox' not in str(error), error\n"
    )
    assert "" == server.run(code, policy).message


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "open('/tmp/x.csv', 'w')",
            "Writing to '/tmp/x.csv' is not allowed in the code sandbox. Write to a relative path",
        ),
        (
            "open('/etc/passwd')",
            "Reading '/etc/passwd' is not allowed in the code sandbox. Pass the file in with files=",
        ),
        ("open('/proc/self/environ')", "Reading '/proc/self/environ' is not allowed"),
        ("open('/proc/self/../self/status')", "Reading '/proc/self/../self/status' is not allowed"),
        ("open('/root/.ssh/id_rsa')", "Reading '/root/.ssh/id_rsa' is not allowed"),
        ("open(os.__file__ + '/../../../../../../../../etc/passwd')", "is not allowed"),
        ("open(os.__file__, 'a')", "Writing to"),
        ("os.listdir('/')", "Reading '/' is not allowed"),
        ("mod['_posixsubprocess'].fork_exec(*range(23))", "Starting a process is not allowed"),
        ("mod['subprocess']._fork_exec(*range(23))", "Starting a process is not allowed"),
        ("os.mkdir('/tmp/new'); ", "Writing to '/tmp/new' is not allowed"),
        ("import seaborn; seaborn.load_dataset('tips')", "Fetching 'https://raw.githubusercontent.com"),
        ("fd = os.open('.', 0); os.mkdir('../' + os.path.basename(out) + '/n', dir_fd=fd)", "Writing to"),
    ],
)
def test_messages_name_what_was_refused_and_what_works(server: Server, code: str, said: str) -> None:
    """A refusal names the path or the act, and then the way that works."""
    outcome = server.run(_PRELUDE + code, "standard")
    assert ("PermissionError", True) == (outcome.error, said in outcome.message), outcome


def test_refusals_carry_errno_and_hold_in_library_frames(server: Server) -> None:
    """The error has errno EACCES, and a library that opens the file for the user is bound as well."""
    code = (
        "import errno, json\ntry:\n    open('/etc/passwd')\nexcept OSError as e:\n    print(e.errno == errno.EACCES)\n"
    )
    code += "import fileinput\nlist(fileinput.input('/etc/passwd'))"
    outcome = server.run(code)
    assert ("True\n", "PermissionError") == (outcome.stdout, outcome.error)


def test_libraries_may_load_native_code(server: Server) -> None:
    """dlopen is refused to user frames under strict, not to a library that a user calls."""
    code = _PRELUDE + "import numpy.lib, pkgutil\nprint(bool(pkgutil.resolve_name('numpy.ctypeslib').load_library))"
    assert "True\n" == server.run(code).stdout
    by_library = (
        "import concurrent.futures as c\nprint(c.ThreadPoolExecutor(1).submit(mod['ctypes'].CDLL, None).result())"
    )
    assert "CDLL" in server.run(_PRELUDE + by_library).stdout


def test_hook_survives_the_end_of_the_interpreter(tmp_path: Path) -> None:
    """A guarded interpreter that ends in the ordinary way, with work still to do, ends silently with status 0."""
    code = (
        "import atexit, sys, threading\n"
        "from warmfork_worker.policy import Guard, default_readable_roots\n"
        "class Late:\n    def __del__(self, open=open):\n        open('late', 'w').close()\n"
        "late = Late(); late.me = late; sys.late = Late()\n"
        "atexit.register(lambda: open('at_exit', 'w').close())\n"
        "Guard(default_readable_roots()).enter('strict', work_dir='.', temp_dir='.', stdin_given=False, presets=dict)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (0, b"") == (done.returncode, done.stderr)
    assert (tmp_path / "at_exit").exists()
