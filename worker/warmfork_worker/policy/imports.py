"""What user code may import (CONTRACT rows 3, 5 and 6).

The import statement takes ``__import__`` from the builtins of the frame it stands in. User frames have their own, so
the judge below meets them by construction and never sees an import inside a library, however late it comes.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from warmfork_worker.policy.refusals import import_refused, restricted_entry
from warmfork_worker.policy.sysview import build_sys_view

IsUserFrame = Callable[[Any], bool]


class ImportGuard:
    """The guarded ``__import__`` and ``importlib`` functions. Built in the template; ``enter`` replaces."""

    def __init__(self, is_user_frame: IsUserFrame) -> None:
        self._is_user_frame = is_user_frame
        self._real_import = builtins.__import__
        self._real_import_module = importlib.import_module
        self._real_importlib_import = importlib.__import__
        self._sys_view = build_sys_view()

    def import_(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """``__import__`` for user frames. Raises ImportError for what is restricted."""
        if not isinstance(name, str) or self._asked_by_c_code(globals, locals, fromlist):
            return self._real_import(name, globals, locals, fromlist or (), level)
        if level == 0:
            _check(name)
            if name == "sys":
                return self._sys_view
        items = tuple(fromlist or ())
        base = name if level == 0 else _absolute(name, globals, level)
        for item in items:
            _check(f"{base}.{item}")
        module = self._real_import(name, globals, locals, items, level)
        return self._without_restricted(module, items) if items else module

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """``importlib.import_module`` for all frames; judges user frames."""
        if self._is_user_frame(sys._getframe(1)) and isinstance(name, str):
            level = len(name) - len(name.lstrip("."))
            _check(_absolute(name[level:], {"__package__": package}, level) if level else name)
            if name == "sys":
                return self._sys_view
        return self._real_import_module(name, package)

    def importlib_import(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """``importlib.__import__`` for all frames; judges user frames."""
        if self._is_user_frame(sys._getframe(1)):
            return self.import_(name, *args, **kwargs)
        return self._real_importlib_import(name, *args, **kwargs)

    def enter(self) -> None:
        """Put the judges into ``importlib``."""
        importlib.import_module = self.import_module
        importlib.__import__ = self.importlib_import

    def touch(self) -> None:
        """Write to what ``enter`` writes to, changing nothing."""
        importlib.import_module, importlib.__import__ = importlib.import_module, importlib.__import__

    def _asked_by_c_code(self, globals: object, locals: object, fromlist: object) -> bool:
        """Whether a C function, called by user code, imports what it needs (``strptime`` does).

        C code takes ``__import__`` from the globals of the topmost Python frame, the user's. ``PyImport_Import`` passes
        those globals twice and an empty list, which the import statement never does. Code that writes this very call
        by hand gets past the judge, into the same audit hook and kernel guard as everybody.
        """
        if type(fromlist) is not list or fromlist:
            return False
        return globals is locals and globals is sys._getframe(2).f_globals

    def _without_restricted(self, module: ModuleType, items: tuple[str, ...]) -> ModuleType:
        """``module``, or a stand-in without the restricted modules that it holds under the names asked for."""
        held = vars(module) if isinstance(module, ModuleType) else {}
        names = held if items == ("*",) else items
        hidden = {name for name in names if _is_restricted_module(held.get(name))}
        if not hidden:
            return module
        if "*" not in items:
            for name in items:
                value = held.get(name)
                if value is not sys and isinstance(value, ModuleType) and name in hidden:
                    _check(value.__name__)
        stand_in = ModuleType(module.__name__, module.__doc__)
        wanted = getattr(module, "__all__", held) if items == ("*",) else items
        vars(stand_in).update({name: getattr(module, name) for name in wanted if name not in hidden})
        for name in hidden:
            if held[name] is sys:
                setattr(stand_in, name, self._sys_view)
        if "__all__" in held:
            stand_in.__dict__["__all__"] = [name for name in held["__all__"] if hasattr(stand_in, name)]
        return stand_in


def _check(name: str) -> None:
    entry = restricted_entry(name)
    if entry is not None:
        raise import_refused(name, entry)


def _is_restricted_module(value: object) -> bool:
    if type(value) is not ModuleType:
        return False
    return value is sys or restricted_entry(value.__name__) is not None


def _absolute(name: str, globals: Mapping[str, object] | None, level: int) -> str:
    """The absolute name of a relative import, as far as it can be told; errors are the real import's to raise."""
    package = str((globals or {}).get("__package__") or "")
    parts = package.split(".")
    base = ".".join(parts[: len(parts) - level + 1])
    return f"{base}.{name}" if name else base
