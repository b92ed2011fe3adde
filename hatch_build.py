"""Builds the native parts of ``warmfork_worker`` (``_SOURCES``) where there is a compiler.

An install without them works, and forks slower. A wheel gets them for the stable ABI of this platform, an editable install
beside their sources.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_ROOT = Path("worker")
_SOURCES = (
    Path("warmfork_worker/_fresh.c"),
    Path("warmfork_worker/_heap.c"),
    Path("warmfork_worker/_immortal.c"),
    Path("warmfork_worker/kernel/_steps.c"),
    Path("warmfork_worker/kernel/_serve.c"),
)
_SUFFIX = ".abi3.so"
_FLAGS = ("-std=c11", "-O2", "-g0", "-Wall", "-Wextra", "-fPIC", "-fvisibility=hidden", "-shared")
_COMPILE_S_MAX = 120


class NativeBuilder(BuildHookInterface[Any]):
    """Hatchling's hook; the name of the class is of no importance."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; on failure, say so (seen with ``pip install -v``) and go on without."""
        sources = {source: Path(self.root) / _ROOT / source for source in _SOURCES}
        try:
            if version == "editable":
                for source in sources.values():
                    source.with_suffix(_SUFFIX).unlink(
                        missing_ok=True
                    )  # one of an older source would be worse than none
                for source in sources.values():
                    _compile(source, source.with_suffix(_SUFFIX))
                return
            directory = self._made = tempfile.TemporaryDirectory(prefix="warmfork-build-")
            built = {source.with_suffix(_SUFFIX): Path(directory.name) / source.stem for source in sources}
            for source, target in zip(sources.values(), built.values(), strict=True):
                _compile(source, target)
        except (OSError, subprocess.SubprocessError) as problem:
            told = getattr(problem, "stderr", None) or problem
            self.app.display_warning(f"warmfork is installed without its native parts, so forks cost more: {told}")
            return
        build_data["force_include"].update({str(path): str(place) for place, path in built.items()})
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def _compile(source: Path, target: Path) -> None:
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    include = sysconfig.get_path("include")
    # To another name first, so that a process that has the old one mapped keeps it whole.
    written = target.with_suffix(".new")
    command = [*compiler, *_FLAGS, f"-I{include}", "-o", str(written), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_COMPILE_S_MAX)
    written.replace(target)
