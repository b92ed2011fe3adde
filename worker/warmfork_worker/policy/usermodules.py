"""Modules that the job brings along (``files={"helper.py": ...}``) are user code: same builtins, same rules.

Without this their frames would have the real builtins and count as a library's.
"""

from __future__ import annotations

import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from types import ModuleType
from typing import Any

from warmfork_worker.policy.files import FileRules


def install_user_modules(files: FileRules, user_builtins: ModuleType) -> None:
    """Load source files below the job's own directories with ``user_builtins``.

    Compiled modules (``.pyc`` without source, ``.so``) there are not found any more.
    """

    class UserModuleLoader(SourceFileLoader):
        def exec_module(self, module: ModuleType) -> None:
            # exec() leaves a __builtins__ that is there already alone.
            module.__dict__["__builtins__"] = user_builtins
            super().exec_module(module)

        def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
            """Write no ``__pycache__``: it would come back to the caller as a file the job made."""

    def finder_for(path: str) -> FileFinder:
        if not files.is_job_path(path or "."):
            raise ImportError("not the job's own directory", path=path)
        return FileFinder(path or ".", (UserModuleLoader, SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, finder_for)
    # The slot is younger than the template, so only what stands on the path by now can have been looked at already.
    for path in sys.path[:1]:
        sys.path_importer_cache.pop(path, None)
