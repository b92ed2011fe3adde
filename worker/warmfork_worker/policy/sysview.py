"""``sys`` as user code sees it: everything of the real one, except ways to restricted modules (CONTRACT row 6)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping
from types import ModuleType
from typing import Any

from warmfork_worker.policy.refusals import restricted_entry, restricted_message


class ModulesView(MutableMapping[str, ModuleType]):
    """``sys.modules`` without the restricted modules; reading, setting and deleting others go to the real table."""

    __slots__ = ("_modules", "_sys_view")

    def __init__(self, modules: dict[str, ModuleType], sys_view: ModuleType) -> None:
        self._modules = modules
        self._sys_view = sys_view

    def __getitem__(self, name: str) -> ModuleType:
        if name == "sys":
            return self._sys_view
        return self._modules[self._allowed(name)]

    def __setitem__(self, name: str, module: ModuleType) -> None:
        self._modules[self._allowed(name)] = module

    def __delitem__(self, name: str) -> None:
        del self._modules[self._allowed(name)]

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in self._modules if restricted_entry(name) is None])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(self.copy())

    def copy(self) -> dict[str, ModuleType]:
        """A plain dict of what is visible, as ``dict.copy`` gives."""
        return dict(self.items())

    @staticmethod
    def _allowed(name: str) -> str:
        entry = restricted_entry(name) if isinstance(name, str) else None
        if entry is not None:
            raise KeyError(restricted_message(name, entry))
        return name


class SysView(ModuleType):
    """A module that forwards every read, write and delete to the real ``sys``, and has its own ``modules``."""

    def __getattribute__(self, name: str) -> Any:
        if name == "modules":
            return _views[id(self)]
        value = getattr(sys, name)
        if name == "__dict__":
            return {**value, "modules": _views[id(self)]}
        return value

    def __setattr__(self, name: str, value: object) -> None:
        if name == "modules":
            raise AttributeError("sys.modules cannot be replaced in the code sandbox; set or delete its items.")
        setattr(sys, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(sys, name)

    def __dir__(self) -> list[str]:
        return dir(sys)

    def __repr__(self) -> str:
        return repr(sys)

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("cannot pickle 'module' object")


# Beside the view, not in it: every attribute of the view belongs to the real sys.
_views: dict[int, ModulesView] = {}


def build_sys_view() -> SysView:
    """A new view of ``sys``; it lives as long as the process."""
    view = SysView("sys", sys.__doc__)
    _views[id(view)] = ModulesView(sys.modules, view)
    return view
