"""Jobs at the same time: they cannot see, signal, read or starve each other, and others keep getting answers."""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

import secrets
import threading
import time
from typing import Any, Final

import pytest
from tests.escape.attempts.secrets import ATTEMPTS as LOOKS
from tests.escape.daemons import MIB, THREADS
from tests.escape.judge import run_attempt
from tests.escape.record import PRELUDE
from tests.escape.world import Side, masked
from tests.support import wait_until

from warmfork import Result

_ANSWER_S: Final = 15.0  # generous: two processors that others use as well


class Running:
    """A job in a thread of its own, until it is waited for."""

    def __init__(self, side: Side, code: str, **options: Any) -> None:
        self._results: list[Result] = []
        variables = {**side.world.variables(), "ATTEMPT": "beside", **options.pop("variables", {})}
        self._thread = threading.Thread(
            target=lambda: self._results.append(
                side.client.execute(PRELUDE + code, variables=variables, policy="off", **options)
            )
        )
        self._thread.start()

    def result(self) -> Result:
        self._thread.join(60)
        return self._results[0]


def beside(side: Side, count: int) -> None:
    """Wait until this many jobs run."""
    wait_until(lambda: len(side.client.status()["running"]) >= count, f"{count} jobs run")


_SHOW: Final = (
    "open('mine', 'w').write(OWN)\nopen(os.environ['TMPDIR'] + '/mine', 'w').write(OWN)\nprint(os.getpid(), flush=True)\n"
    "import time\nend = time.monotonic() + 3\nwhile time.monotonic() < end and not os.path.exists('stop'): time.sleep(0.02)\n"
    "print(open('mine').read(), os.listdir('.'))"
)
_SPY: Final = """
import time
places = [".", "..", "/tmp", "/home", "/dev/shm", "/var/tmp", RUNTIME_DIR + "/slots", os.environ["TMPDIR"]]
def read(place, depth=3):
    try: names = os.listdir(place)
    except OSError: return
    for name in names:
        path = place + "/" + name
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe of somebody else's does not end
            try: print("FOUND", path, os.read(fd, 200))
            finally: os.close(fd)
        except IsADirectoryError:
            if depth: read(path, depth - 1)
        except OSError: pass
for place in places: read(place)
for pid in range(1, 3000):
    if pid != os.getpid():
        for name, arguments in (("kill", (pid, 0)), ("pidfd_open", (pid, 0)), ("sched_getaffinity", (pid, 8, (ctypes.c_ulong * 1)())),
                                ("clock_gettime", ((~pid << 3) | 2, (ctypes.c_long * 2)())), ("getpgid", (pid,)),
                                ("prlimit64", (pid, 7, 0, (ctypes.c_uint64 * 2)()))):
            if pid != os.getppid() and call(name, *arguments) >= 0: print("SEEN", name, pid)
print("LOOKED", flush=True)
"""


def test_a_job_does_not_see_its_neighbour(guarded: Side) -> None:
    """A job that looks into every directory and at every process number finds nothing of one that runs beside it."""
    secret = f"own-{secrets.token_hex(12)}"
    neighbour = Running(guarded, _SHOW, variables={"OWN": secret}, timeout_s=20)
    beside(guarded, 1)
    spies = [Running(guarded, _SPY, timeout_s=20) for _ in range(2)]
    seen = [spy.result() for spy in spies]
    shown = neighbour.result()
    for result in seen:
        assert "LOOKED" in result.stdout, result
        assert "SEEN" not in result.stdout, result.stdout
        assert secret not in result.stdout
    assert ("ok", True) == (shown.verdict, f"{secret} ['mine']" in shown.stdout), shown


def test_the_spy_finds_what_is_there(unguarded: Side) -> None:
    """The control: without guards the same job reads its neighbour's file and sees its process."""
    secret = f"own-{secrets.token_hex(12)}"
    neighbour = Running(unguarded, _SHOW, variables={"OWN": secret}, timeout_s=20)
    beside(unguarded, 1)
    seen = unguarded.client.execute(
        PRELUDE + _SPY.replace("3000", "65536"),
        variables={**unguarded.world.variables(), "ATTEMPT": "spy"},
        policy="off",
    )
    neighbour.result()
    assert "SEEN kill" in seen.stdout or seen.dropped.stdout_bytes
    assert secret in seen.stdout or seen.dropped.stdout_bytes


def test_nothing_of_an_earlier_job_is_in_a_later_ones_memory(guarded: Side) -> None:
    """A scan of the whole memory does not find what the job before had on its standard input."""
    planted = secrets.token_bytes(32)
    assert guarded.client.execute("import sys; kept = sys.stdin.read()", stdin=planted, policy="off").ok
    scan = next(look for look in LOOKS if look.id == "scan-heap")
    result = guarded.client.execute(
        PRELUDE + scan.code,
        variables={**guarded.world.variables(), "ATTEMPT": scan.id, "MASKED": masked(planted)},
        policy="off",
        timeout_s=60,
    )
    assert "refused NOTFOUND" in result.stdout, result


def test_thread_limits_are_each_jobs_own(guarded: Side) -> None:
    """Three jobs at once each get the threads that one is promised."""
    code = (
        "import threading, time\nstop = threading.Event()\nthreading.stack_size(65536)\n"
        f"for _ in range({THREADS - 4}): threading.Thread(target=stop.wait, daemon=True).start()\n"
        "time.sleep(0.5)\nstop.set()\nprint('all')"
    )
    results = [job.result() for job in [Running(guarded, code, timeout_s=20) for _ in range(3)]]
    assert ["ok"] * 3 == [result.verdict for result in results], [result.stderr[-400:] for result in results]


def test_disks_are_each_jobs_own(guarded: Side) -> None:
    """While one job has filled its disk, another writes to its own."""
    fill = (
        "import time\ntry:\n    while True: open(os.urandom(4).hex(), 'wb').write(bytes(1 << 20))\nexcept OSError as problem: print(problem.errno)\n"
        "time.sleep(1)"
    )
    full = Running(guarded, fill, timeout_s=20)
    beside(guarded, 1)
    result = guarded.client.execute("open('x', 'wb').write(bytes(4 << 20)); print('room')", policy="off")
    assert ("28\n", "room\n") == (full.result().stdout, result.stdout)


_BOMBS: Final = {
    "memory": "kept = []\nwhile True: kept.append(bytearray(b'x') * (4 << 20))",
    "shared memory": "while True: ctypes.memset(call('mmap', 0, 8 << 20, 3, 0x21, -1, 0), 1, 8 << 20)",
    "processors": "import threading\nfor _ in range(8): threading.Thread(target=lambda: [np.sort(np.random.rand(2_000_000)) for _ in range(99)]).start()",
    "one call": "sum(range(10**12))",
    "threads": "import threading, time\nkept = []\nwhile True:\n    try: threading.Thread(target=time.sleep, args=(9,)).start()\n    except RuntimeError: pass",
    "descriptors": "while True: call('dup', 1)",
    "disk": "import itertools\nfor i in itertools.count():\n    try: open(f'f{i % 99}', 'wb').write(bytes(1 << 20))\n    except OSError: pass",
    "many files": "import itertools\nfor i in itertools.count():\n    try: os.close(os.open(f'f{i}', os.O_CREAT, 0o600))\n    except OSError: pass",
    "output": "while True: os.write(1, bytes(65536)); os.write(2, bytes(65536))",
    "recursion": "import sys\nsys.setrecursionlimit(10**8)\nclass A:\n    def __getattr__(self, name): return getattr(self, name)\nA().x",
    "system calls": "while True: call('getppid')",
    "forks": "while True: call('fork')",
    "signals": "while True: call('kill', -1, 0)",
    "page faults": "where = call('mmap', 0, 32 << 20, 3, 0x22, -1, 0)\nwhile True:\n    ctypes.memset(where, 1, 32 << 20); call('madvise', where, 32 << 20, 4)",
    "regular expression": "import re\nre.match('(a+)+$', 'a' * 64 + 'b')",
    "result pipe": "import stat\nfd = next(f for f in range(3, 256) if call('fstat', f, ctypes.create_string_buffer(256)) == 0 and stat.S_ISSOCK(os.fstat(f).st_mode))\n"
    "os.write(fd, b'WFK1')\nwhile True: os.write(fd, bytes(1))",
    "sleep": "call('clock_nanosleep', 1, 0, (ctypes.c_long * 2)(1 << 40, 0), 0)",
    "stopped": "call('futex', ctypes.byref(ctypes.c_int(0)), 0, 0, 0, 0, 0)",
}


@pytest.mark.parametrize("bomb", _BOMBS)
def test_others_get_answers_while_it_goes_off(guarded: Side, bomb: str) -> None:
    """Two jobs of a kind take all that they can get; a third client's jobs are answered, and the daemon lives."""
    bombs = [Running(guarded, _BOMBS[bomb], timeout_s=1.0, memory_bytes=64 * MIB) for _ in range(2)]
    verdicts = []
    for _ in range(3):
        start_s = time.monotonic()
        verdicts.append(guarded.client.execute("print(1 + 1)", timeout_s=_ANSWER_S).stdout)
        assert time.monotonic() - start_s < _ANSWER_S
    ends = {one.result().verdict for one in bombs}
    assert ["2\n"] * 3 == verdicts
    assert ends <= {"timeout", "memory_limit", "disk_limit", "cpu_limit", "crashed", "error"}, ends
    assert guarded.served.process.poll() is None


def test_the_outside_is_as_it_was_after_all(guarded: Side) -> None:
    """After a job of every kind of look the listeners, the victim and the files are untouched."""
    for look in LOOKS:
        outcome = run_attempt(look, guarded.client, guarded.world, "standard")
        assert not outcome.changed, look.id
        assert not outcome.leaked, look.id
