"""What a job sees and leaves: its own directory, its own randomness, its own environment, nothing of anyone else."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import Served, wait_until

from warmfork import Client, embedded

LIST_B = {
    *("PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONIOENCODING", "LANG", "LC_ALL", "LC_CTYPE", "HOME", "TMP", "TMPDIR"),
    *("TEMP", "MPLCONFIGDIR", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"),
}
# What our own start of the template needs besides CONTRACT list B; none of it comes from the daemon's environment.
# pyarrow sets its own variable where it is installed.
OWN = {
    *("MPLBACKEND", "MALLOC_ARENA_MAX", "PYTHONSAFEPATH", "JE_ARROW_MALLOC_CONF"),
    *("SQLITE_TMPDIR", "JOBLIB_MULTIPROCESSING", "LOGNAME"),
}


@pytest.mark.parametrize("guard", ["guarded", "unguarded"])
def test_environment_is_the_whitelist(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONTRACT row 12: of the daemon's environment only list B is visible, HOME and TMPDIR are the job's own."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-show")
    monkeypatch.setenv("SOME_TOKEN", "do-not-show")
    seen = "print(dict(os.environ))"
    if guard == "unguarded":
        seen += "; print(open('/proc/self/environ').read())"
    with embedded(policy="off", settings={"guard.unguarded": guard == "unguarded"}) as private:
        result = private.execute(seen)
        names = eval(result.stdout.splitlines()[0])  # our own print of a dict
    assert set(names) <= LIST_B | OWN
    assert "do-not-show" not in result.stdout
    assert names["HOME"] != os.environ.get("HOME")


def test_each_job_starts_in_its_own_empty_directory(client: Client) -> None:
    """The working directory is private (0700), empty, HOME and current directory; TMPDIR is beside it and writable."""
    code = (
        "import tempfile\nprint(oct(os.stat('.').st_mode & 0o777), os.listdir('.'), os.environ['HOME'] == os.getcwd())\n"
        "print(tempfile.gettempdir() == os.environ['TMPDIR'])\nopen(os.path.join(os.environ['TMPDIR'], 'x'), 'w').write('y')\n"
        "open('left', 'w').write('y')"
    )
    for _ in range(6):  # as many as there are idle workers, and more
        assert "0o700 [] True\nTrue\n" == client.execute(code, policy="standard").stdout


def test_slots_on_disk_are_wiped(unguarded: Client) -> None:
    """Nothing of a job's directory is left once its worker is gone, whatever modes it set."""
    code = "os.makedirs('a/b'); open('a/b/c', 'w').write('x'); os.chmod('a/b', 0); os.chmod('a', 0o500); print(os.getcwd())"
    slot = Path(unguarded.execute(code, policy="off").stdout.strip()).parent
    wait_until(lambda: not slot.exists(), "the slot is wiped")


def test_mounted_slots_are_seen_by_nobody_else(serve: Callable[..., Served]) -> None:
    """With namespaces a job's files are in no directory of the host, while it runs and afterwards."""
    served = serve("--policy-allowed", "strict,off")
    with served.client() as client:
        assert client.execute("open('a', 'w').write('x')").files
        assert [] == [name for name in os.listdir(served.directory / "slots") if name != "template"]


def test_deep_trees_on_disk_are_wiped(unguarded: Client) -> None:
    """A tree far deeper than Python's recursion limit costs its own job's files and is wiped like any other."""
    code = "print(os.getcwd())\nfor _ in range(3000):\n    os.mkdir('d'); os.chdir('d')\nopen('f', 'w').write('x')"
    result = unguarded.execute(code, policy="off")
    slot = Path(result.stdout.strip()).parent
    # So many directories are more than a job may keep; a quick one ends before the daemon has looked.
    assert (True, 1) == (result.verdict in ("ok", "disk_limit"), result.dropped.files)
    wait_until(lambda: not slot.exists(), "the slot is wiped")
    assert unguarded.execute("print(1)").ok


def test_jobs_do_not_share_state(client: Client) -> None:
    """What one job does to modules, settings and files is not there for the next."""
    client.execute("import math\nmath.pi = 3\nplt.rcParams['figure.dpi'] = 7\nopen('f', 'w').write('x')\nleft = 1")
    result = client.execute(
        "print(math.pi > 3.1, plt.rcParams['figure.dpi'], os.path.exists('f'), 'left' in globals())"
    )
    assert "True 100.0 False False\n" == result.stdout


RANDOM_SOURCES = {
    "random": "import random; print(random.random())",
    "numpy legacy": "print(np.random.rand())",
    "RandomState": "print(np.random.RandomState().rand())",
    "default_rng": "print(np.random.default_rng().random())",
    "uuid1": "import uuid; print(uuid.uuid1())",
    "uuid4": "import uuid; print(uuid.uuid4())",
    "temp name": "import tempfile; print(os.path.basename(tempfile.mkdtemp()))",
    "shuffle": "import random; x = list(range(99)); random.shuffle(x); print(x)",
}


@pytest.mark.parametrize("source", RANDOM_SOURCES)
def test_siblings_never_agree(client: Client, source: str) -> None:
    """Workers forked ahead from one template give different random numbers, identifiers and names."""
    outputs = [client.execute(RANDOM_SOURCES[source], policy="standard").stdout for _ in range(6)]
    assert all(outputs)
    assert 6 == len(set(outputs))


def test_only_the_three_streams_and_the_channel_are_open(client: Client) -> None:
    """A worker holds no descriptor of template, daemon or sibling: three streams and its own channel."""
    code = (
        "import stat\nkinds = []\nfor fd in range(1024):\n"
        "    try: kinds.append(stat.filemode(os.fstat(fd).st_mode)[0])\n    except OSError: pass\nprint(kinds)"
    )
    assert "['c', 'p', 'p', 's']\n" == client.execute(code, policy="off").stdout


def test_unguarded_too_only_streams_and_channel_are_open(unguarded: Client) -> None:
    """Without the guard, which closes all the rest, the template's own descriptors are closed all the same."""
    code = (
        "fds = {}\nfor fd in os.listdir('/proc/self/fd'):\n"
        "    try: fds[int(fd)] = os.readlink(f'/proc/self/fd/{fd}')\n    except OSError: pass\nprint(fds)"
    )
    fds = eval(unguarded.execute(code, policy="off").stdout)  # our own print of a dict
    assert "/dev/null" == fds.pop(0)
    assert re.match("pipe:", fds.pop(1))
    assert re.match("pipe:", fds.pop(2))
    assert 1 == len(fds)
    assert re.match("socket:", next(iter(fds.values())))


def test_limits_and_privileges_of_a_worker(unguarded: Client) -> None:
    """no_new_privs is set, core files are off, one thread runs, the backend is Agg."""
    code = (
        "import resource, matplotlib\nstatus = open('/proc/self/status').read()\n"
        "print([l for l in status.splitlines() if l.startswith(('NoNewPrivs', 'Threads'))])\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), matplotlib.get_backend().lower())"
    )
    stdout = unguarded.execute(code, policy="off").stdout
    assert "['Threads:\\t1', 'NoNewPrivs:\\t1']\n(0, 0) agg\n" == stdout


def test_a_job_leaves_no_process(unguarded: Client) -> None:
    """A child that the job started (no guard in its way) ends with the job."""
    code = "pid = os.fork()\nif pid == 0:\n    import time\n    while True: time.sleep(60)\nprint(pid)"
    pid = int(unguarded.execute(code, policy="off").stdout)
    wait_until(
        lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text(), "the child is gone"
    )


def test_files_in_and_out(unguarded: Client) -> None:
    """Files go in by relative path and new or changed ones come out; links, pipes and odd names do not."""
    code = (
        "text = open('in/data.csv').read()\nos.makedirs('out/deep')\nopen('out/deep/result.txt', 'w').write(text.upper())\n"
        "os.symlink('/etc/passwd', 'link')\nos.mkfifo('pipe')\nopen('back\\\\slash', 'w').write('x')"
    )
    result = unguarded.execute(code, files={"in/data.csv": b"a,b"}, policy="off")
    assert {"out/deep/result.txt": b"A,B"} == dict(result.files), result.stderr
    assert 3 == result.dropped.files


def test_files_beyond_the_bounds_are_counted(client: Client) -> None:
    """Sparse giants and too many files are counted, not read."""
    code = "for i in range(1030): open(f'f{i:04}', 'w').write('x')\nwith open('aaa', 'wb') as f: f.truncate(200 << 20)"
    result = client.execute(code)
    assert (1024, 7) == (len(result.files), result.dropped.files)
