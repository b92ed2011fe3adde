"""The template gets CONTRACT list B, a few switches and its mark; nothing else of the daemon's environment."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import PACKAGE_PATHS

from warmfork.errors import ExtraMissing
from warmfork_daemon.template_link import INSTANCE_VARIABLE, copy_packages, template_environment

LIST_B = [
    *("PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONIOENCODING", "LANG", "LC_ALL", "LC_CTYPE", "HOME"),
    *("TMP", "TMPDIR", "TEMP", "MPLCONFIGDIR", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"),
]
SWITCHES = [
    *("PYTHONSAFEPATH", "MPLBACKEND", "MALLOC_ARENA_MAX", "JE_ARROW_MALLOC_CONF"),
    *("SQLITE_TMPDIR", "JOBLIB_MULTIPROCESSING", "LOGNAME"),
]
PASSED_ON = ["PATH", "PYTHONHOME", "LANG", "LC_ALL", "LC_CTYPE"]
SECRETS = {
    "WARMFORK_KEY_FILE": "/etc/key",
    "WARMFORK_ADDRESS": "ipc:///x",
    "AWS_SECRET_ACCESS_KEY": "s",
    "OPENAI_API_KEY": "s",
    "CREDENTIALS_DIRECTORY": "/run/credentials/x",
    "LD_PRELOAD": "/evil.so",
    "LD_LIBRARY_PATH": "/evil",
    "PYTHONSTARTUP": "/evil.py",
    "PYTHONINSPECT": "1",
    "PYTHONBREAKPOINT": "evil.run",
    "BASH_ENV": "/evil",
    "SSH_AUTH_SOCK": "/x",
    "USER": "someone",
    "XDG_RUNTIME_DIR": "/run/user/1",
    "HTTP_PROXY": "http://user:password@proxy",
}


def made(environ: dict[str, str]) -> dict[str, str]:
    return template_environment(environ, scratch_dir="/scratch", instance="mark")


def test_only_the_whitelist() -> None:
    """With everything set, the names are list B, four switches and the mark; no secret's value is in any."""
    environ = {**dict.fromkeys(LIST_B, "/given"), **SECRETS}
    found = made(environ)
    assert sorted([*LIST_B, *SWITCHES, INSTANCE_VARIABLE]) == sorted(found)
    assert [] == [value for name, value in SECRETS.items() if len(value) > 1 and value in found.values()]


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_no_other_name_ever_passes(environ: dict[str, str]) -> None:
    """Invariant: whatever the daemon's environment is, nothing outside the whitelist comes through."""
    assert set(made(environ)) <= {*LIST_B, *SWITCHES, INSTANCE_VARIABLE}


def test_what_is_passed_on_is_unchanged() -> None:
    """Search path, Python's home and locale are the daemon's own."""
    environ = {name: f"value of {name}" for name in PASSED_ON}
    assert environ == {name: made(environ)[name] for name in PASSED_ON}


def test_what_is_the_templates_own() -> None:
    """Directories, threads and encoding are set, whatever the daemon has there."""
    found = made(dict.fromkeys(LIST_B, "/daemon"))
    assert {"/scratch"} == {found[name] for name in ("HOME", "TMP", "TMPDIR", "TEMP")}
    assert ("/scratch/matplotlib", "utf-8", "1", "1", "agg", "mark") == tuple(
        found[name]
        for name in (
            "MPLCONFIGDIR",
            "PYTHONIOENCODING",
            "OPENBLAS_NUM_THREADS",
            "OMP_NUM_THREADS",
            "MPLBACKEND",
            INSTANCE_VARIABLE,
        )
    )


def test_an_empty_environment_is_enough() -> None:
    """Without anything, there is still a search path and a locale that takes Chinese."""
    found = made({})
    assert (os.defpath, "C.UTF-8") == (found["PATH"], found["LANG"])
    assert "PYTHONHOME" not in found


def test_the_packages_come_first_and_once() -> None:
    """The daemon's own packages precede the operator's paths, which keep their order; none is empty or doubled."""
    first, second = PACKAGE_PATHS.split(os.pathsep)[2], PACKAGE_PATHS.split(os.pathsep)[0]
    found = made({"PYTHONPATH": os.pathsep.join(["/b", "", second, "/a", "/b"])})["PYTHONPATH"]
    assert [first, second, "/b", "/a"] == found.split(os.pathsep)


def test_the_packages_are_found_with_it(tmp_path: Path) -> None:
    """A Python started with this environment alone, anywhere, finds both packages and none from where it stands."""
    (tmp_path / "warmfork.py").write_text("raise SystemExit('the wrong one')")
    program = (
        "import importlib.util, warmfork; print(warmfork.__file__, importlib.util.find_spec('warmfork_worker').origin)"
    )
    found = template_environment({}, scratch_dir=str(tmp_path), instance="mark")
    done = subprocess.run(
        [sys.executable, "-c", program], env=found, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    client, _, worker = PACKAGE_PATHS.split(os.pathsep)
    assert f"{client}/warmfork/__init__.py {worker}/warmfork_worker/__init__.py" == done.stdout.strip()


def test_a_missing_worker_is_one_friendly_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the worker's package the error says what to type."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match=r"pip install 'warmfork\[daemon\]'"):
        made({})


def test_the_worker_is_not_imported() -> None:
    """Finding the worker's package does not load it into the daemon."""
    program = (
        "import sys; from warmfork_daemon.template_link import template_environment;"
        "template_environment({}, scratch_dir='/', instance='x');"
        "print([name for name in sys.modules if name.split('.')[0] in ('warmfork_worker', 'numpy', 'matplotlib')])"
    )
    environment = {"PYTHONPATH": PACKAGE_PATHS, "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()


def test_another_interpreter_gets_its_packages_alone() -> None:
    """Neither the daemon's search path nor its home leads another Python to libraries that were not built for it."""
    environ = {**dict.fromkeys(LIST_B, "/given"), "PYTHONPATH": "/daemon/site-packages"}
    found = template_environment(environ, scratch_dir="/scratch", instance="mark", packages_dir="/scratch/packages")
    assert "/scratch/packages" == found["PYTHONPATH"]
    assert "PYTHONHOME" not in found
    assert {"PYTHONHOME"} == set(made(environ)) - set(found)


def test_the_copied_packages_are_enough(tmp_path: Path) -> None:
    """A Python without any site-packages runs the template's first lines with the copy alone; copying twice is no error."""
    for _ in range(2):
        copy_packages(str(tmp_path / "packages"))
    assert ["msgpack", "warmfork", "warmfork_worker"] == sorted(os.listdir(tmp_path / "packages"))
    environment = template_environment(
        {}, scratch_dir=str(tmp_path), instance="mark", packages_dir=str(tmp_path / "packages")
    )
    program = (
        "import sys, warmfork_worker.template, msgpack; from warmfork.wire import control;"
        "print(control.decode(control.encode(control.Release(7))).worker_id, msgpack.__file__)"
    )
    for pure in ("", "1"):
        found = subprocess.run(
            [sys.executable, "-S", "-c", program],
            env={**environment, "MSGPACK_PUREPYTHON": pure},
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"7 {tmp_path}/packages/msgpack/__init__.py\n" == found.stdout
