"""Builds the one native part, ``warmfork_worker._heap``, where there is a compiler.

An install without it works, and forks slower. A wheel gets it for the stable ABI of this platform, an editable install
beside its source.
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

_SOURCE = Path("worker/warmfork_worker/_heap.c")
_NAME = "_heap.abi3.so"
_FLAGS = ("-std=c11", "-O2", "-g0", "-Wall", "-Wextra", "-fPIC", "-fvisibility=hidden", "-shared")
_COMPILE_S_MAX = 120


class HeapBuilder(BuildHookInterface[Any]):
    """Hatchling's hook; the name of the class is of no importance."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; on failure, say so (seen with ``pip install -v``) and go on without."""
        source = Path(self.root) / _SOURCE
        beside = source.with_name(_NAME)
        try:
            if version == "editable":
                beside.unlink(missing_ok=True)  # one of an older source would be worse than none
                _compile(source, beside)
                return
            directory = self._made = tempfile.TemporaryDirectory(prefix="warmfork-build-")
            _compile(source, Path(directory.name) / _NAME)
        except (OSError, subprocess.SubprocessError) as problem:
            told = getattr(problem, "stderr", None) or problem
            self.app.display_warning(f"warmfork is installed without its native part, so forks cost more: {told}")
            return
        build_data["force_include"][str(Path(directory.name) / _NAME)] = f"warmfork_worker/{_NAME}"
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
