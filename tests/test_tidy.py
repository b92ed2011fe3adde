"""Taste as a test: arrows of import, sizes, what each process loads, what is public."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import ROOT, environment

import warmfork

PACKAGES = {
    name: ROOT / folder / name
    for folder, name in (
        ("client", "warmfork"),
        ("daemon", "warmfork_daemon"),
        ("worker", "warmfork_worker"),
    )
}
SOURCES = sorted(path for package in PACKAGES.values() for path in package.rglob("*.py"))
LINES_MAX = 400
FUNCTION_LINES_MAX = 75


def imported(path: Path, *, at_top_only: bool = False) -> Iterator[str]:
    """Full names of the modules that a file imports."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if at_top_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_of_readable_size_and_says_what_it_is(path: Path) -> None:
    """A module has a docstring, at most 400 lines, and functions of at most 75 lines of code (docstrings not counted)."""
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    assert len(text.splitlines()) <= LINES_MAX
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            assert node.end_lineno - body[0].lineno < FUNCTION_LINES_MAX, node.name


def test_imports_run_along_the_arrows() -> None:
    """Daemon and worker import the client's package; nothing imports daemon or worker, but the CLI, late, the daemon."""
    for path in SOURCES:
        package = path.relative_to(ROOT).parts[1]
        others = roots(path) & set(PACKAGES) - {package}
        allowed = {"warmfork"} if package != "warmfork" else set()
        if "cli" in path.parts and package == "warmfork":
            allowed = {"warmfork_daemon"}
            assert not {n for n in imported(path, at_top_only=True) if n.startswith("warmfork_daemon")}, path
        assert others <= allowed, path


def test_one_module_imports_msgpack() -> None:
    """Only the codec knows msgpack."""
    users = [str(path.relative_to(ROOT)) for path in SOURCES if "msgpack" in roots(path)]
    assert ["client/warmfork/wire/codec.py"] == users


def test_the_daemon_never_names_the_science_stack() -> None:
    """No module of the daemon imports numpy, pandas, matplotlib or seaborn."""
    science = {"numpy", "pandas", "matplotlib", "seaborn"}
    assert [] == [path for path in SOURCES if "warmfork_daemon" in path.parts and roots(path) & science]


def test_the_wire_needs_no_sockets() -> None:
    """The wire knows no ZeroMQ and opens nothing."""
    wire = [path for path in SOURCES if "wire" in path.parts]
    assert wire
    assert [] == [path for path in wire if roots(path) & {"zmq", "socket", "os", "asyncio"}]


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after this statement."""
    code = f"{statement}\nimport sys\nprint(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    out = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=True, text=True)
    return set(out.stdout.split())


@pytest.mark.parametrize(
    ("statement", "never"),
    [
        ("import warmfork", {"zmq", "msgpack", "numpy"}),
        ("from warmfork import Client, AsyncClient, embedded", {"psutil", "numpy", "pandas", "matplotlib", "seaborn"}),
        ("import warmfork.cli", {"psutil", "numpy", "pandas", "matplotlib", "warmfork_daemon"}),
        ("import warmfork.compat", {"psutil", "numpy", "pandas", "matplotlib", "warmfork_daemon"}),
        ("import warmfork_daemon.supervisor", {"numpy", "pandas", "matplotlib", "seaborn", "warmfork_worker"}),
        ("import warmfork_worker.template", {"zmq", "psutil", "warmfork_daemon", "matplotlib"}),
    ],
)
def test_what_a_process_loads(statement: str, never: set[str]) -> None:
    """Each part loads what it needs and not what belongs to another."""
    assert set() == loaded_by(statement) & never


def test_all_is_what_is_public() -> None:
    """Every name of __all__ is there, documented and sorted, and the version is the package's."""
    assert sorted(warmfork.__all__) == list(warmfork.__all__)
    for name in warmfork.__all__:
        assert getattr(warmfork, name) is not None
    with pytest.raises(AttributeError):
        _ = warmfork.nothing
    assert f'version = "{warmfork.__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_a_missing_extra_ends_in_one_friendly_sentence() -> None:
    """Without the daemon's libraries embedded() raises ExtraMissing with what to type."""
    code = (
        "import importlib.util as u\nfind = u.find_spec\nu.find_spec = lambda n, *a: None if n == 'psutil' else find(n, *a)\n"
        "from warmfork import embedded, ExtraMissing\ntry:\n    with embedded(): pass\nexcept ExtraMissing as e: print(e)"
    )
    out = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=True, text=True)
    assert "pip install 'warmfork[daemon]'" in out.stdout
    assert 1 == len(out.stdout.strip().splitlines())


LEFTOVERS = ("TODO", "FIXME", "XXX", "breakpoint()", 'print("DEBUG')


def test_no_leftovers() -> None:
    """No note to self is left in the sources."""
    assert [] == [(path, word) for path in SOURCES for word in LEFTOVERS if word in path.read_text()]


def test_the_native_parts_are_the_same_built_by_any_python() -> None:
    """A wheel that Python 3.13 built serves 3.11, too; formats with ``#`` would call what there means something else."""
    sources = sorted((ROOT / "worker").rglob("*.c"))
    assert len(sources) > 3
    called = re.compile(r'\b(?:PyArg_\w+|Py_BuildValue)\([^";]*"[^"]*#')
    assert [] == [path.name for path in sources if called.search(path.read_text())]


TELL_THE_TIME = {"tally.py", "logs.py"}  # when the daemon started, when a job failed, when a line was written


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_wall_clock_decides_nothing(path: Path) -> None:
    """Deadlines, waits and ages go by the monotonic clock, so a clock that is set moves none; only what is told has a date."""
    asked = {
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node)
        in ("time.time", "time.time_ns", "datetime.now", "datetime.datetime.now", "datetime.utcnow")
    }
    assert path.name in TELL_THE_TIME or not asked
    assert "CLOCK_REALTIME" not in path.read_text()
