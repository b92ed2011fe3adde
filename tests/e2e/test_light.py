"""Jobs that need none of the default template's libraries run in light workers, and nobody can tell but by the time."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.positive.same import differences
from tests.support import ROOT, Served, need_namespaces, wait_until

from warmfork import Client, embedded

NAME = "science.light"
LEAN = ("--pool-idle-workers", "2", "--no-template-rehearse", "--policy-allowed", "strict,standard,off")
MIB = 1 << 20


def row(client: Client, name: str = NAME) -> dict[str, Any]:
    """What ``status`` says of a template; empty where there is none of this name."""
    return next((dict(one) for one in client.status()["templates"] if one["name"] == name), {})


def serves(client: Client) -> bool:
    """Whether light workers are given jobs."""
    return bool(client.status()["guard"]["templates"].get(NAME, {}).get("proved"))


def ran_light(client: Client, code: str, **named: Any) -> bool:
    """Run it, and tell whether it ended ``ok`` in a worker of another template: all of one have the same hash of a text."""
    tell = "\nprint(hash('which template'))"
    here = client.execute(code + tell, **named)
    there = client.execute("np" + tell)
    assert ("ok", "ok") == (here.verdict, there.verdict), here.error
    return here.stdout.splitlines()[-1] != there.stdout.splitlines()[-1]


@dataclass(frozen=True, slots=True)
class Both:
    """Two daemons: every job light, and none.

    Attributes:
        light: a client of the one that runs whatever comes in light workers.
        plain: of the one that has no such workers.
    """

    light: Client
    plain: Client


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    directory = tmp_path_factory.mktemp("both")
    served = [
        Served(directory / "light", f"test-light-{os.getpid()}", LEAN, ("tests.as_light",)),
        Served(directory / "plain", f"test-plain-{os.getpid()}", (*LEAN, "--pool-light", "off")),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # of tests.as_light
        for one in served:
            one.start()
    try:
        with served[0].client() as light, served[1].client() as plain:
            need_namespaces(plain)
            wait_until(lambda: serves(light), "light workers serve")
            yield Both(light, plain)
    finally:
        for one in served:
            one.stop()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Of a private daemon as it is shipped."""
    with embedded(workers=2, settings={"template.rehearse": False}) as private:
        need_namespaces(private)
        wait_until(lambda: serves(private), "light workers serve")
        yield private


ARRAY = pickle.dumps(np.arange(3))
AT_ONCE = """
import sys, threading
names = {names}
gate, seen = threading.Barrier(len(names)), []
def at_search(frame, event, arg):
    if event == 'call' and frame.f_code.co_name == '_find_spec':
        sys.setprofile(None)
        gate.wait()
def bring(name):
    sys.setprofile(at_search) if {locked} else gate.wait()
    module = __import__(name)
    seen.append((name, module.__name__, module.__spec__.name, len(dir(module)) > 9))
threads = [threading.Thread(target=bring, args=(name,)) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join({patience_s})
print(sorted(seen))
plt.plot([1, 2])
"""
PROGRAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "a chart by names that are there without an import": (
        "print(np.arange(3).sum(), pd.Series([1, 2]).mean(), math.pi)\n"
        "plt.plot(range(3)); plt.title('年度销售 $x^2$ −1'); plt.show()\n"
        "print(type(np), np.__name__, plt.get_backend())\n",
        {},
    ),
    "a chart by imports": (
        "import matplotlib.pyplot as plt\nimport seaborn as sns\nfrom matplotlib import font_manager as f\n"
        "sns.heatmap([[1, 2], [3, 4]], annot=True)\n"
        "plt.figure(); plt.bar(['甲', '乙'], [-1, 2]); plt.savefig('kept.png'); print(len(plt.get_fignums()))\n",
        {},
    ),
    "saved and changed afterwards": (
        "fig, ax = plt.subplots(); ax.plot([1, 2]); fig.savefig('a.png'); ax.set_title('later'); print(os.listdir())\n",
        {"formats": ["svg", "pdf"]},
    ),
    "out of a pickle": (
        "import pickle\nprint(pickle.load(open('a', 'rb')) + 1)\n",
        {"policy": "off", "files": {"a": ARRAY}},
    ),
    "a name made of pieces": (
        "m = __import__('mat' + 'plotlib.py' + 'plot').pyplot\nm.plot([1, 2])\nprint(m.gcf().get_size_inches())\n",
        {"policy": "standard"},
    ),
    "a file in a library's place": (
        "open('numpy.py', 'w').write('x = 1')\nimport numpy\nprint(numpy.arange(2), hasattr(numpy, 'x'))\n",
        {},
    ),
    "warnings that are errors": (
        "import warnings\nwarnings.simplefilter('error')\nimport pandas, scipy_is_not_here\n",
        {},
    ),
    "an exception of a library": ("def f():\n    return np.linalg.inv([[0.0]])\nf()\n", {}),
    "a misspelt name": ("print(npp)\n", {}),
    "a library that is not there": ("import nothing_of_this_name\n", {}),
    "what the policy refuses": (
        "for act in (lambda: plt.switch_backend('TkAgg'), lambda: pd.eval('1 + 1'), lambda: np.ctypeslib,\n"
        "            lambda: pd.DataFrame({'a': [1]}).query('a > 0', parser='python'), lambda: open('/etc/shadow')):\n"
        "    try:\n        print(act())\n    except Exception as error:\n        print(type(error).__name__, error)\n"
        "print(type(plt.ion()).__name__, plt.isinteractive())\n",
        {},
    ),
    "two threads that hold the locks of different libraries": (
        AT_ONCE.format(names="('num' + 'py', 'pan' + 'das')", locked="'numpy' not in sys.modules", patience_s=20),
        {"policy": "off"},
    ),
    "threads that import parts of one and the same": (
        AT_ONCE.format(
            names="('mat' + 'plotlib.py' + 'plot', 'mat' + 'plotlib.dates', 'mat' + 'plotlib', 'sea' + 'born')",
            locked=False,
            patience_s=20,
        ),
        {},
    ),
    "a look for a library": (
        "import importlib.util, sys\nspec = importlib.util.find_spec('num' + 'py')\n"
        "print(spec.name, spec.origin, spec.submodule_search_locations, spec.loader.is_package('num' + 'py'))\n",
        {"policy": "off"},
    ),
    "what ends early": ("import atexit\natexit.register(print, 'bye')\nplt.plot([1, 2])\nraise SystemExit(3)\n", {}),
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_a_library_that_is_needed_after_all(what: str, both: Both) -> None:
    """Text, errors, charts and files are the same in a worker that was forked without any library."""
    code, named = PROGRAMS[what]
    there, here = both.plain.execute(code, **named), both.light.execute(code, **named)
    assert [] == differences(there, here)


def test_a_look_loads_nothing(both: Both) -> None:
    """Who only asks where a library is has none loaded."""
    code = "import importlib.util, sys\nimportlib.util.find_spec('num' + 'py')\nprint('numpy' in sys.modules)\n"
    assert "False\n" == both.light.execute(code, policy="off").stdout


def test_everything_ran_light(both: Both) -> None:
    """The comparison above is one: the daemon that is made to has given no job to a worker with libraries."""
    seen = both.light.execute("import sys; print('numpy' in sys.modules, 'nu' + 'mpy' in dir(__builtins__))")
    assert "False True\n" == seen.stdout


def test_the_standard_library_is_as_it_is_beside_the_libraries(both: Both) -> None:
    """Every standard module that a job finds loaded where the libraries are, it finds in a light worker too."""
    code = (
        "import sys\nprint(*sorted(name for name in sys.modules if name.split('.')[0] in sys.stdlib_module_names))\n"
        "print(sorted(os.environ), sys.path[1:], sys.argv, sys.flags, sorted(set(dir(__builtins__))))"
    )
    there, here = both.plain.execute(code, policy="off").stdout, both.light.execute(code, policy="off").stdout
    more = set(there.splitlines()[0].split()) - set(here.splitlines()[0].split())
    assert set() == more - {"xml.etree.cElementTree"}  # which not every Python has
    assert there.splitlines()[1] == here.splitlines()[1]


def test_light_code_runs_light(client: Client) -> None:
    """Code of the standard library runs in a light worker, whatever policy and inputs it comes with."""
    assert ran_light(client, "print(1 + 1)")
    assert ran_light(client, "import json\nprint(json.dumps(v), input())", variables={"v": [1]}, stdin="x\n")
    assert ran_light(client, "print(open('a').read())", policy="standard", files={"a": b"text"})


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("print(np.pi)", {}),
        ("import helper", {"files": {"helper.py": b"import numpy"}}),
        ("print(1)", {"files": {"json.py": b"import numpy"}}),
        ("print(1)", {"rc": {"figure.dpi": 50}}),
        ("print(1)", {"memory_bytes": 256 * MIB}),
    ],
)
def test_other_code_does_not(code: str, named: dict[str, Any], client: Client) -> None:
    """What may need a library, brings modules along, sets matplotlib up or has little memory finds the libraries there."""
    assert not ran_light(client, code, **named)


def test_nobody_is_told(client: Client) -> None:
    """hello and the tallies know the template that was asked for alone; status marks the companion, which is proved."""
    client.execute("print(1)")
    status = client.status()
    assert ["science"] == [template.name for template in client.hello().templates]
    assert [("science", False), (NAME, True)] == [(one["name"], one["light"]) for one in status["templates"]]
    guard = status["guard"]["templates"][NAME]
    assert (True, []) == (guard["proved"], guard["problems"])
    assert {probe["held"] for probe in guard["probes"]} == {
        probe["held"] for probe in status["guard"]["templates"]["science"]["probes"]
    }
    with pytest.raises(Exception, match=f"no template '{NAME}'"):
        client.execute("1", template=NAME)


def test_a_companion_that_hangs_is_done_without(client: Client) -> None:
    """While the light template stands still jobs run with the libraries; once it goes on they run light again."""
    pid = row(client)["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        results = [client.execute(f"print({number})", deadline_s=30) for number in range(5)]
    finally:
        with contextlib.suppress(ProcessLookupError):  # on a busy machine the daemon's patience may have ended before
            os.kill(pid, signal.SIGCONT)
    assert [f"{number}\n" for number in range(5)] == [result.stdout for result in results]
    wait_until(lambda: row(client)["idle"] == 2 and row(client)["state"] == "ready", "it has come back")
    assert ran_light(client, "print(1)")


def test_a_companion_that_dies_is_done_without(client: Client) -> None:
    """Jobs sent while the light template is gone are answered; it comes back."""
    starts = row(client)["starts"]
    os.kill(row(client)["pid"], signal.SIGKILL)
    wait_until(lambda: row(client)["starts"] > starts, "the next one starts")
    assert ["ok"] * 3 == [client.execute("print(1)", deadline_s=30).verdict for _ in range(3)]
    wait_until(lambda: row(client)["starts"] > starts and serves(client) and row(client)["idle"] == 2, "it is back")


def test_a_companion_that_cannot_start_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run with the libraries, the daemon counts as safe, and the row says what is wrong."""
    tmp_path.chmod(0o755)
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'warmfork_worker' in sys.orig_argv:\n    import warmfork_worker.late as late\n"
        "    del late.LateLibraries.install\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with embedded(workers=2, settings={"template.rehearse": False}) as private:
        need_namespaces(private)
        wait_until(lambda: row(private).get("state") == "failed", "the light template has failed")
        assert "2\n" == private.execute("print(1 + 1)").stdout
        assert private.status()["guard"]["safe"]
        assert row(private)["problem"]


def test_without_namespaces_there_is_none() -> None:
    """Where a guarded worker cannot load native libraries any more, none is without them."""
    with embedded(workers=2, settings={"template.rehearse": False, "guard.off": ["namespaces", "uid"]}) as private:
        assert "2\n" == private.execute("print(1 + 1)").stdout
        assert {} == row(private)


def test_reload_switches_it(serve: Callable[..., Served], tmp_path: Path) -> None:
    """pool.light is followed by a reload in both directions, and an operator's own template ``light`` is another."""
    file = tmp_path / "warmfork.toml"
    text = "[pool]\nidle_workers = 2\nlight = '{}'\n[template]\nrehearse = false\n[templates.light]\nbase = 'none'\n"
    file.write_text(text.format("off"))
    with serve("--config", str(file)).client() as client:
        assert {} == row(client)
        need_namespaces(client)
        file.write_text(text.format("auto"))
        assert "pool.light" in client.reload()["changed"]
        wait_until(lambda: serves(client) and row(client)["idle"] == 2, "light workers serve")
        assert ran_light(client, "print(1)")
        assert "NameError" == getattr(client.execute("np", template="light").error, "type", "")
        file.write_text(text.format("off"))
        client.reload()
        wait_until(lambda: {} == row(client), "it is gone")
        assert "ok" == client.execute("print(1)").verdict
