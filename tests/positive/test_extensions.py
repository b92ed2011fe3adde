"""Native code: of what is installed, late imports load; of what the job wrote itself, nothing does."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import Final

import pytest
from tests.positive.conftest import Native

from warmfork import Client

# Extensions in a file of their own, by how seldom anything else imports them; which are there depends on the build.
CANDIDATES: Final = (
    "_lsprof",
    "_zoneinfo",
    "_curses",
    "_dbm",
    "_gdbm",
    "_crypt",
    "_xxtestfuzz",
    "xxlimited",
    "_testcapi",
)
LOADED: Final = "import sys\nprint('{0}' in sys.modules)\nimport {0}\nprint({0}.__file__)\n"
OWN: Final = """
import importlib.machinery as m
try:
    m.ExtensionFileLoader('wf_native', './own.so').create_module(m.ModuleSpec('wf_native', None, origin='./own.so'))
except ImportError as problem:
    print(problem)
import ctypes
try:
    ctypes.CDLL('./own.so')
except OSError as problem:
    print(problem)
try:
    import mmap
    with open('own.so', 'rb') as file:
        mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
except OSError as problem:
    print(problem)
"""


def _separate() -> list[str]:
    directory = Path(sysconfig.get_config_var("DESTSHARED") or "")
    return [name for name in CANDIDATES if list(directory.glob(f"{name}.*so"))]


@pytest.mark.parametrize("policy", ["strict", "off"])
def test_extension_of_the_standard_library(policy: str, guarded: Client) -> None:
    """An extension module that no template has loaded is imported late."""
    late = []
    for name in _separate():
        result = guarded.execute(LOADED.format(name), policy=policy)
        assert "ok" == result.verdict, result.error
        before, file = result.stdout.split()
        assert file.endswith(".so")
        late += [name] if before == "False" else []
    assert late, f"{sys.version} has none that is not loaded already"


@pytest.mark.parametrize("policy", ["strict", "off"])
def test_extension_on_the_path(policy: str, guarded: Client, native: Native) -> None:
    """An extension that somebody installed and nobody preloaded is imported late."""
    if native.why_not:
        pytest.skip(native.why_not)
    result = guarded.execute("import wf_native\nprint(wf_native.ANSWER)", policy=policy)
    assert ("ok", "42\n") == (result.verdict, result.stdout), result.error


def test_extension_of_the_job(guarded: Client, control: Client, native: Native) -> None:
    """The same file, written by the job into its own directory, is not mapped as code by any way; unguarded it is."""
    if native.why_not:
        pytest.skip(native.why_not)
    result = guarded.execute(OWN, files={"own.so": native.data}, policy="off")
    assert "ok" == result.verdict, result.error
    told = result.stdout.splitlines()
    assert 3 == len(told), told
    assert all("failed to map segment" in line for line in told[:2]), told
    assert "Operation not permitted" in told[2]
    free = control.execute(OWN, files={"own.so": native.data}, policy="off")
    assert ("ok", "") == (free.verdict, free.stdout)


def test_without_mounts_it_is_refused(without_mounts: Client, native: Native) -> None:
    """Where the job's directory is no ``noexec`` mount, no file is mapped as code; what is preloaded is not touched."""
    if native.why_not:
        pytest.skip(native.why_not)
    result = without_mounts.execute("import wf_native", policy="off")
    assert "error" == result.verdict
    assert result.error is not None
    assert "ImportError" == result.error.type
    assert "failed to map segment from shared object" in result.error.message
    assert "ok" == without_mounts.execute("import numpy\nprint(numpy.ones(3).sum())").verdict
