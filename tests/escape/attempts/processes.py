"""A second process, or one that outlives the job."""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

from tests.escape.record import NO, NO_PROCESS, Attempt

# A child that got away says so once its parent is gone, and ends by itself.
_OUTLIVE = (
    "def stay(parent):\n"
    "    import time\n"
    "    for _ in range(300):\n"
    "        if not os.path.exists(f'/proc/{parent}') or open(f'/proc/{parent}/stat').read().split()[2] == 'Z':\n"
    "            os.close(os.open(NEW, os.O_CREAT | os.O_WRONLY, 0o644))\n"
    "            break\n"
    "        time.sleep(0.01)\n"
    "    os._exit(0)\n"
    "me = os.getpid()\n"
)
_CHILD = "pid = {}\nif pid == 0: os._exit(0)\nneed(pid)\nos.waitpid(pid, 0)\nreached()"


def _child(id: str, tries: str, act: str, refusals: tuple[str, ...] = NO) -> Attempt:
    return Attempt(id, tries, _CHILD.format(act), refusals)


def _python(id: str, tries: str, code: str) -> Attempt:
    """Some need a terminal or a named semaphore first, which are not there either."""
    return Attempt(id, tries, code, ("EPERM", "ENOENT"))


ATTEMPTS = (
    _child("fork", "forks", "call('fork')"),
    _child("fork-libc", "forks with libc's fork", "libc.fork()\nif pid == -1: pid = -ctypes.get_errno()"),
    _child("clone-sigchld", "clones itself like fork does", "call('clone', 17, 0, 0, 0, 0)"),
    Attempt(
        "clone-silent",
        "clones itself without a signal at its end",
        "pid = call('clone', 0, 0, 0, 0, 0)\nif pid == 0: os._exit(0)\nneed(pid)\nos.waitpid(pid, 0x80000000 - (1 << 32))\nreached()",
    ),
    Attempt(
        "clone-parent",
        "makes a sibling, whose parent is the template",
        "pid = call('clone', 0x8000 | 17, 0, 0, 0, 0)\nif pid == 0: os._exit(0)\ntell(pid)",
    ),
    _child("clone-newuser", "clones itself into a new user namespace", "call('clone', 0x10000000 | 17, 0, 0, 0, 0)"),
    _child(
        "clone-newpid",
        "clones itself into a new pid namespace",
        "call('clone', 0x20000000 | 0x10000000 | 17, 0, 0, 0, 0)",
    ),
    _child("clone-files", "clones itself with shared descriptors", "call('clone', 0x400 | 17, 0, 0, 0, 0)"),
    _child("clone-untraced", "clones itself where no tracer follows", "call('clone', 0x800000 | 17, 0, 0, 0, 0)"),
    _child(
        "clone-io",
        "clones itself with high bits set in the flags",
        "call('clone', (1 << 33) | 0x80000000 | 17, 0, 0, 0, 0)",
    ),
    _child(
        "clone3", "clones itself with clone3", "call('clone3', (ctypes.c_uint64 * 11)(0, 0, 0, 0, 17), 88)", ("ENOSYS",)
    ),
    _child(
        "clone3-short",
        "clones itself with the shortest clone3",
        "call('clone3', (ctypes.c_uint64 * 8)(0x400, 0, 0, 0, 17), 64)",
        ("ENOSYS",),
    ),
    Attempt(
        "daemonise",
        "forks, leaves its session and outlives the job",
        _OUTLIVE
        + "pid = call('fork')\nif pid == 0:\n    call('setsid')\n    if call('fork') == 0: stay(me)\n    os._exit(0)\nneed(pid)\nreached()",
        evidence=("files",),
    ),
    Attempt(
        "outlive-sibling",
        "outlives the job as its template's child in a group of its own",
        _OUTLIVE
        + "pid = call('clone', 0x8000 | 17, 0, 0, 0, 0)\nif pid == 0:\n    call('setsid')\n    stay(me)\nneed(pid)\nreached()",
        evidence=("files",),
    ),
    Attempt("setpgid", "leaves its process group", "tell(call('setpgid', 0, 0))"),
    Attempt(
        "setpgid-victim",
        "puts another process into another group",
        "tell(call('setpgid', VICTIM_PID, 0), 'ESRCH')",
    ),
    Attempt("getsid", "asks for another process's session", "tell(call('getsid', VICTIM_PID))", NO_PROCESS),
    Attempt("subreaper", "makes itself the reaper of orphans", "tell(call('prctl', 36, 1, 0, 0, 0))"),
    Attempt("no-parent-death", "takes back that it dies with the template", "tell(call('prctl', 1, 0, 0, 0, 0))"),
    Attempt("wait-for-nobody", "waits for other processes", "tell(call('wait4', -1, 0, 1, 0), 'ECHILD')"),
    _python(
        "python-fork",
        "calls os.fork",
        "def act():\n    pid = os.fork()\n    if pid == 0: os._exit(0)\n    os.waitpid(pid, 0)\ntell_python(act)",
    ),
    _python(
        "python-forkpty",
        "calls os.forkpty",
        "def act():\n    pid, fd = os.forkpty()\n    if pid == 0: os._exit(0)\n    os.waitpid(pid, 0)\ntell_python(act)",
    ),
    _python(
        "python-posix-spawn",
        "calls os.posix_spawn",
        "tell_python(lambda: os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0))",
    ),
    _python(
        "python-multiprocessing",
        "uses multiprocessing",
        "import multiprocessing\ndef act():\n    one = multiprocessing.get_context('fork').Process(target=int)\n    one.start(); one.join()\ntell_python(act)",
    ),
    _python(
        "python-process-pool",
        "uses a process pool",
        "from concurrent.futures import ProcessPoolExecutor\nimport multiprocessing\ndef act():\n"
        "    with ProcessPoolExecutor(1, multiprocessing.get_context('fork')) as pool: pool.submit(int).result(5)\ntell_python(act)",
    ),
    _python(
        "python-fork-exec",
        "calls the C function below subprocess",
        "import _posixsubprocess as p\ndef act():\n    a, b = os.pipe()\n"
        "    pid = p.fork_exec([b'/bin/true'], [b'/bin/true'], True, (b,), None, None, -1, -1, -1, -1, -1, -1, a, b, "
        "True, False, 0, -1, None, None, -1, None, True)\n    os.waitpid(pid, 0)\ntell_python(act)",
    ),
)
