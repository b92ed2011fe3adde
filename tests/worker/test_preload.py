"""The preload list: loaded in the template, each module on its own."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

from warmfork_worker.preload import (
    DEFAULT_PRELOAD,
    SCIENCE_PRELOAD,
    STANDARD_PRELOAD,
    ThreadsLeft,
    modules_for,
    preload,
    single_threaded,
)


@pytest.fixture
def module_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_each_module_is_reported_in_order_with_its_version(module_dir: Path) -> None:
    """A module that loads is reported with its version, its time and no error, in the order asked."""
    (module_dir / "wf_versioned.py").write_text("__version__ = '4.2'\n")
    (module_dir / "wf_odd_version.py").write_text("__version__ = (1, 2)\n")
    loaded = preload(["wf_versioned", "wf_odd_version"])
    assert [("wf_versioned", "4.2", ""), ("wf_odd_version", "", "")] == [(m.name, m.version, m.error) for m in loaded]
    assert all(module.seconds > 0 for module in loaded)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise RuntimeError('broken build')", "RuntimeError: broken build"),
        ("import wf_nowhere", "ModuleNotFoundError: No module named 'wf_nowhere'"),
        ("def (", "SyntaxError"),
    ],
)
def test_a_module_that_fails_does_not_stop_the_next(module_dir: Path, source: str, error: str) -> None:
    """CONTRACT row 2: whatever an import raises is recorded, and the modules after it still load."""
    (module_dir / "wf_failing.py").write_text(source)
    (module_dir / "wf_after.py").write_text("")
    sys.modules.pop("wf_after", None)
    failing, after = preload(["wf_failing", "wf_after"])
    assert failing.error.startswith(error)
    assert ("", True) == (after.error, "wf_after" in sys.modules)


def test_the_default_list_loads_whole_with_agg_and_one_thread() -> None:
    """CONTRACT row 24: after the default list everything is loaded, Agg is the backend and there is one thread."""
    code = (
        "from warmfork_worker.preload import preload, single_threaded\n"
        "import os\n"
        "failed = [m.name for m in preload() if m.error]\n"
        "import matplotlib\n"
        "print(failed, matplotlib.get_backend().lower(), single_threaded(), 'MPLBACKEND' in os.environ)\n"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "OPENBLAS_NUM_THREADS": "1", "HOME": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "[] agg True False" == done.stdout.strip()


def test_the_worker_modules_import_without_matplotlib() -> None:
    """None of the modules that deal with matplotlib needs it, or imports it, to be imported."""
    code = (
        "import sys\n"
        "sys.modules['matplotlib'] = None\n"
        "from warmfork_worker import preload, fonts, rehearsal, figures, saved_figures\n"
        "bounds = {'charts_max': 1, 'chart_bytes_max': 1, 'total_bytes_max': 1}\n"
        "empty = figures.render_open_figures(['png'], work_dir='.', **bounds) == figures.Rendering()\n"
        "print(empty, 'numpy' in sys.modules, rehearsal.rehearse() == tuple(rehearsal.KINDS))\n"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "True False True" == done.stdout.strip()


def test_default_list_names_each_module_once() -> None:
    """No module is listed twice, and numpy, which decides about threads, comes first."""
    assert len(DEFAULT_PRELOAD) == len(set(DEFAULT_PRELOAD))
    assert "numpy" == DEFAULT_PRELOAD[0]


def test_single_threaded_sees_a_second_thread() -> None:
    """A second thread is seen while it runs."""
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    try:
        assert not single_threaded()
    finally:
        release.set()
        thread.join()


THREADED = """
import threading
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
"""
PASSING = """
import threading
timer = threading.Timer(60, print)
timer.start()
timer.cancel()
"""


def test_a_module_that_leaves_a_thread_is_named(module_dir: Path) -> None:
    """The first module after whose import there are more threads is named; what comes after it is not imported."""
    (module_dir / "wf_threaded.py").write_text(THREADED)
    (module_dir / "wf_user.py").write_text("import wf_threaded\n")
    (module_dir / "wf_later.py").write_text("")
    try:
        with pytest.raises(ThreadsLeft) as caught:
            preload(["csv", "wf_user", "wf_later"])
        assert ("wf_user", 1) == (caught.value.module, caught.value.threads)
        assert "wf_later" not in sys.modules
    finally:
        sys.modules["wf_threaded"].stop.set()
        sys.modules["wf_threaded"].thread.join()


def test_a_thread_that_ends_meanwhile_hides_none(module_dir: Path) -> None:
    """A thread that was there before and ends during the import does not make up for one that the import leaves."""
    release = threading.Event()
    passing = threading.Thread(target=release.wait)
    passing.start()
    (module_dir / "wf_exchange.py").write_text(THREADED)
    (module_dir / "wf_exchanging.py").write_text(
        "import wf_exchange, wf_passing\nwf_passing.release.set()\nwf_passing.thread.join()\n"
    )
    passing_module = ModuleType("wf_passing")
    passing_module.__dict__.update(release=release, thread=passing)
    sys.modules["wf_passing"] = passing_module
    try:
        with pytest.raises(ThreadsLeft, match="importing wf_exchanging started 1 thread"):
            preload(["wf_exchanging"])
    finally:
        release.set()
        passing.join()
        del sys.modules["wf_passing"]
        sys.modules["wf_exchange"].stop.set()
        sys.modules["wf_exchange"].thread.join()


def test_a_thread_that_ends_is_none(module_dir: Path) -> None:
    """A timer that is set and cancelled by the import, as matplotlib's is, counts for nothing."""
    (module_dir / "wf_timer.py").write_text(PASSING)
    assert [""] == [module.error for module in preload(["wf_timer"])]


def test_what_is_left_out_is_reported(module_dir: Path) -> None:
    """A module that is to be left out, or is below one, is reported in its place and not imported."""
    for name in ("wf_out", "wf_outer"):
        (module_dir / name).mkdir()
        (module_dir / name / "__init__.py").write_text("")
        (module_dir / name / "part.py").write_text("")
    loaded = preload(["wf_out", "wf_out.part", "wf_outer.part"], left_out=["wf_out"])
    assert ["wf_out", "wf_out.part", "wf_outer.part"] == [module.name for module in loaded]
    assert [True, True, False] == ["starts threads" in module.error for module in loaded]
    assert ("wf_out" in sys.modules, "wf_outer" in sys.modules) == (False, True)


def test_an_error_is_bounded(module_dir: Path) -> None:
    """A message of any length and any characters fits into the wire's bound."""
    (module_dir / "wf_wordy.py").write_text("raise ImportError('\\udc80' + 'x' * 5_000)\n")
    (wordy,) = preload(["wf_wordy"])
    assert wordy.error.startswith("ImportError: ?x")
    assert 500 == len(wordy.error)


def test_bases() -> None:
    """On science everything is there, on none the standard library alone; what is named twice comes once."""
    assert (*DEFAULT_PRELOAD, "scipy") == modules_for("science", ["scipy", "numpy"])
    assert (*STANDARD_PRELOAD, "scipy") == modules_for("none", ["scipy", "csv"])
    assert {name.split(".")[0] for name in STANDARD_PRELOAD} <= sys.stdlib_module_names
    assert not {name.split(".")[0] for name in SCIENCE_PRELOAD} & sys.stdlib_module_names
