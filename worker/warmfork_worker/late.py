"""Libraries that come when they are needed after all: in a worker of a ``light`` template, which was forked without them.

The daemon sends such a worker only code that names none of them. Should it need one all the same (by text made at run
time, a pickle, a module that the code wrote), the first import makes the worker what one of the default template is: the
same modules in the same order, fonts, saved figures and policy looked after, the same names without import. It only takes
longer.
"""

from __future__ import annotations

import atexit
import importlib.util
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from warmfork_worker.adaptations import adapt_libraries
from warmfork_worker.drawing import prepare_drawing
from warmfork_worker.namespace import presets, stand_in
from warmfork_worker.policy import Guard
from warmfork_worker.preload import load


class LateLibraries:
    """A finder of modules that loads all of ``modules`` when the first of them is asked for, and is not there any more then.

    Args:
        modules: dotted names, in the order in which the default template imports them.
        font_dirs: as for ``prepare_drawing``.
        guard: told of what was loaded.
        processes: as for ``adapt_libraries``.
    """

    def __init__(self, modules: Sequence[str], font_dirs: Sequence[str], guard: Guard, *, processes: bool) -> None:
        self._modules = tuple(modules)
        self._names = frozenset(name.partition(".")[0] for name in modules)
        self._font_dirs = tuple(font_dirs)
        self._guard = guard
        self._processes = processes
        self._path = tuple(sys.path)
        self._filters = len(warnings.filters)

    def install(self) -> None:
        """Wait for the first import, in the template, as the last thing that is done to its modules."""
        stand_in(self._stand_in)
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Wait no more."""
        sys.meta_path.remove(self)

    def _stand_in(self, name: str) -> ModuleType | None:
        package = name.partition(".")[0]
        if package not in self._names or importlib.util.find_spec(package) is None:
            return None
        module = LateModule(name)
        _names_of_late[id(module)] = name
        return module

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Load everything at the first name that belongs to it; the import system's own work is done then."""
        if name not in self._names:
            return None
        self._load_all()
        module = sys.modules.get(name)
        if module is None:
            return None
        spec = ModuleSpec(name, _Loaded(module))  # type: ignore[arg-type]  # two methods are all that is asked of it
        # The import system takes the spec of a module that came while it searched, and would run the module once more.
        module.__spec__ = spec
        return spec

    def _load_all(self) -> None:
        self.remove()
        logger = logging.getLogger("matplotlib")
        level = logger.level
        path, sys.path = sys.path, list(self._path)  # a file of the job's must not come in a library's place
        filters = warnings.filters
        register = atexit.register
        with self._guard.adding_libraries(presets), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            known = set(map(id, warnings.filters))
            logger.setLevel(logging.ERROR)  # it cannot write its list of fonts and would say so
            atexit.register = _registering_nothing  # type: ignore[assignment]  # as workers drop the template's: pyplot's would close every figure
            try:
                for name in self._modules:
                    load(name)
                adapt_libraries(processes=self._processes)
                prepare_drawing(self._font_dirs)
            finally:
                atexit.register = register
                logger.setLevel(level)
                sys.path = path
                # What the libraries added stands where it would have stood: behind the job's own.
                at = max(0, len(filters) - self._filters)
                filters[at:at] = [entry for entry in warnings.filters if id(entry) not in known]  # type: ignore[index]


def _registering_nothing(function: Callable[..., Any], *_args: Any, **_kwargs: Any) -> Callable[..., Any]:
    return function


class _Loaded:
    """The loader of a module that is loaded already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class LateModule(ModuleType):
    """A preset name's module until it is looked at: then everything is loaded, and the real one answers."""

    def __getattribute__(self, name: str) -> Any:
        return getattr(_real(self), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(_real(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_real(self), name)

    def __dir__(self) -> list[str]:
        return dir(_real(self))

    def __repr__(self) -> str:
        return repr(_real(self))

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("cannot pickle 'module' object")


# Beside the module, not in it: its every attribute belongs to the real one.
_names_of_late: Final[dict[int, str]] = {}


def _real(module: LateModule) -> ModuleType:
    return import_module(_names_of_late[id(module)])
