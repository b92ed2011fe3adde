"""``warmfork doctor`` and the proof at start: a daemon serves only behind a guard that held when a worker tried it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support import environment

from warmfork import Client, embedded
from warmfork.errors import GuardRefused
from warmfork.trees import wipe_tree

LAYERS = {"seccomp", "landlock", "namespaces", "threads", "uid"}
NO_NAMESPACES = ("--guard-off", "namespaces,uid")


def doctor(*arguments: str, module: Sequence[str] = ("warmfork",)) -> tuple[int, dict[str, Any]]:
    """Exit code and report of ``warmfork doctor --json``."""
    done = subprocess.run(
        [sys.executable, "-m", *module, "doctor", "--json", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def layers_of(report: dict[str, Any]) -> dict[str, bool]:
    return {layer["name"]: layer["active"] for layer in report["guard"]["templates"]["science"]["layers"]}


def test_every_layer_stands_here() -> None:
    """On this project's machines every layer is active, a score of acts is refused, and the exit code says safe."""
    code, report = doctor()
    assert (0, True, []) == (code, report["safe"], report["problems"])
    assert dict.fromkeys(LAYERS, True) == layers_of(report)
    probes = report["guard"]["templates"]["science"]["probes"]
    assert len(probes) >= 12
    assert [] == [probe for probe in probes if probe["held"] is not True]
    assert LAYERS == {probe["layer"] for probe in probes}
    assert "numpy" in report["templates"][0]["libraries"]


def test_what_a_missing_layer_costs_is_said() -> None:
    """Without namespaces the rest stands and is enough; what was lost is named, and its probes count for nothing."""
    code, report = doctor(*NO_NAMESPACES)
    assert 0 == code
    assert {"seccomp", "landlock"} == {name for name, active in layers_of(report).items() if active}
    unheld = [probe for probe in report["guard"]["templates"]["science"]["probes"] if probe["held"] is None]
    assert any(probe["answer"].startswith("done") for probe in unheld)


def test_a_required_layer_that_is_missing_is_not_safe() -> None:
    """A layer that the operator requires and the machine has not: exit code 1, and the layer is named."""
    code, report = doctor(*NO_NAMESPACES, "--guard-required", "threads")
    assert (1, False) == (code, report["safe"])
    assert "threads" in report["problems"][0]


def test_a_daemon_refuses_to_serve_without_a_required_layer(tmp_path: Path) -> None:
    """``warmfork serve`` leaves with the reason, and no client ever got through."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "warmfork",
            "serve",
            "--runtime-dir",
            str(tmp_path),
            *NO_NAMESPACES,
            "--guard-required",
            "threads",
        ],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert 69 == done.returncode
    assert "the layer threads is required and not active" in done.stderr
    assert not (tmp_path / "warmfork.sock").exists()


def test_an_embedded_daemon_raises_the_reason() -> None:
    """``embedded()`` raises GuardRefused, which carries what was found."""
    settings = {"guard.off": ["namespaces", "uid"], "guard.required": ["threads"]}
    with pytest.raises(GuardRefused, match="threads") as caught, embedded(settings=settings):
        pass
    assert "science" in caught.value.guard["templates"]


def test_the_unguarded_mode_says_so_everywhere(unguarded: Client, client: Client) -> None:
    """Result, status and doctor of an unguarded daemon say that it is; those of a guarded one say the contrary."""
    assert (False, True) == (unguarded.execute("1").guarded, client.execute("1").guarded)
    assert (True, False) == tuple(c.status()["guard"]["unguarded"] for c in (unguarded, client))
    assert (False, True) == tuple(c.status()["guard"]["safe"] for c in (unguarded, client))
    code, report = doctor("--guard-unguarded")
    assert (1, False) == (code, report["safe"])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--system", "--guard-unguarded"), "a daemon that serves every user always guards its jobs"),
        (("--guard-off", "seccomp"), "seccomp is never switched off alone"),
        (("--guard-off", "threads", "--guard-required", "threads"), "cannot be required and switched off"),
        (("--guard-user", "root"), "is root or in its group"),
        (("--guard-user", "nobody-of-this-name"), "no such user"),
        (("--guard-required", "luck"), "seccomp, landlock, namespaces, threads, uid"),
    ],
)
def test_a_wrong_guard_is_a_config_error(flags: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """What would switch the guard off by mistake is refused before anything starts."""
    done = subprocess.run(
        [sys.executable, "-m", "warmfork", "serve", "--runtime-dir", str(tmp_path / "run"), *flags],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert 2 == done.returncode, done.stderr
    assert said in done.stderr


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory that uid 65534 can reach; pytest's own are closed to it."""
    path = Path(tempfile.mkdtemp(prefix="wf-"))
    path.chmod(0o755)
    yield path
    wipe_tree(str(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
@pytest.mark.parametrize("off", ["", "namespaces"])
def test_an_unprivileged_daemon_guards_its_jobs(open_dir: Path, off: str) -> None:
    """As uid 65534, without any capability, every layer stands; without namespaces those that need none."""
    flags = ("--guard-off", off) if off else ()
    code, report = doctor(*flags, module=("tests.as_nobody", str(open_dir)))
    assert (0, 65_534) == (code, report["machine"]["uid"])
    assert {name: name != off for name in LAYERS} == layers_of(report)
