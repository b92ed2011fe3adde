"""The shipped guard and its control, and the same guard with limits that a job reaches in a moment."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.support import wait_until

from warmfork import Client, embedded

# Its libraries change what the default template loads; .ci/run installs them in an environment of their own.
collect_ignore = [] if importlib.util.find_spec("sqlalchemy") else ["test_installed.py"]
_ROOMY: Final = {"limits.charts_max": 200, "limits.reply_bytes_max": 256 << 20}
_MIB: Final = 1 << 20
_SETTLE_S: Final = 120.0
SMALL: Final = {
    "template.rehearse": False,
    "limits.disk_bytes": 16 * _MIB,
    "limits.file_bytes_max": 4 * _MIB,
    "limits.input_bytes_max": 4 * _MIB,
    "limits.files_max": 64,
    "limits.threads_max": 16,
    "limits.open_files_max": 64,
    "limits.memory_bytes": 192 * _MIB,
    # Two CPU seconds, in a time that is enough for them on a busy machine too.
    "limits.cpu_factor": 0.1,
    "limits.timeout_s": 20,
}
_EXTENSION: Final = """
#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "wf_native", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_wf_native(void) {
    PyObject *module = PyModule_Create(&definition);
    PyModule_AddIntConstant(module, "ANSWER", 42);
    return module;
}
"""


@dataclass(frozen=True, slots=True)
class Native:
    """A C extension that was made for this run.

    Attributes:
        directory: on the templates' search path.
        data: the file, for a job to write into its own directory.
        why_not: empty, or why this machine could not make it.
    """

    directory: Path
    data: bytes = b""
    why_not: str = ""


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Native:
    """The extension ``wf_native``."""
    directory = tmp_path_factory.mktemp("native")
    directory.chmod(0o755)  # where the tests run as root, the template imports as somebody else
    compiler = shutil.which("gcc") or shutil.which("cc")
    include = sysconfig.get_path("include")
    if compiler is None or not Path(include, "Python.h").exists():
        return Native(directory, why_not="no C compiler, or no Python.h")
    source = directory / "wf_native.c"
    source.write_text(_EXTENSION)
    target = directory / f"wf_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([compiler, "-shared", "-fPIC", "-O0", f"-I{include}", str(source), "-o", str(target)], check=True)
    return Native(directory, target.read_bytes())


@pytest.fixture(scope="session")
def guarded(native: Native) -> Iterator[Client]:
    """The shipped guard, and workers that have all that a settled template gives: hot pages, a heap that was moved."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(native.directory), prepend=":")
        with embedded(workers=2, settings=_ROOMY) as private:
            _settle(private)
            yield private


def _settle(client: Client) -> None:
    """Wait until every template has settled, and use up the workers that are older."""
    wait_until(lambda: all(row["settled"] for row in client.status()["templates"]), "the templates settle", _SETTLE_S)
    older = _workers(client)

    def are_gone() -> bool:
        client.execute("np")
        client.execute("print(1)")  # in a light worker, where there are any
        return older.isdisjoint(_workers(client))

    wait_until(are_gone, "no worker is older than its template's settling", _SETTLE_S)


def _workers(client: Client) -> set[int]:
    return {row["pid"] for row in client.status()["workers"]["list"]}


@pytest.fixture(scope="session")
def control() -> Iterator[Client]:
    """No guard of the kernel, and matplotlib as it is."""
    off = (
        "chart_shortcuts",
        "hot_pages",
        "heap_memfd",
        "joined_mappings",
        "immortal_objects",
        "fresh_memory",
        "native_steps",
    )
    plain = {"guard.unguarded": True, **{f"pool.{name}": "off" for name in off}}
    with embedded(workers=2, settings={**_ROOMY, **plain}) as private:
        yield private


@pytest.fixture(scope="session")
def small() -> Iterator[Client]:
    """The shipped guard with small limits."""
    with embedded(workers=2, settings=SMALL) as private:
        yield private


@pytest.fixture(scope="session")
def without_mounts(native: Native) -> Iterator[Client]:
    """The guard where there are no namespaces, and so no ``noexec`` mount for the job's directory.

    The uid stays, because an interpreter below a closed home could not be read by another one without a private root.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(native.directory), prepend=":")
        with embedded(workers=2, settings={**SMALL, "guard.off": ["namespaces", "uid"]}) as private:
            yield private
