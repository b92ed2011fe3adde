"""Libraries that come when they are needed after all: in a worker of a ``light`` template, which was forked without them.

The daemon sends such a worker only code that names none of them. Should it need one all the same (by text made at run
time, a pickle, a module that the code wrote), the first import makes the worker what one of the default template is: the
same modules in the same order, fonts, saved figures and policy looked after, the same names without import. It only takes
longer.

Threads may import at the same time. So nothing is loaded under the import system's global lock, and while everything is
loaded no lock of the module that was asked for is held: another thread, with the lock of the next library, would wait for
it and be waited for.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

from warmfork_worker.adaptations import adapt_libraries
from warmfork_worker.drawing import prepare_drawing
from warmfork_worker.namespace import presets, stand_in
from warmfork_worker.policy import Guard
from warmfork_worker.preload import load

_module_locks: Final[dict[str, Callable[[], Any]]] = import_module("importlib._bootstrap")._module_locks


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
        self._begins = threading.Lock()  # taken for good by the thread that loads
        self._ready = threading.Event()
        self._inside: set[int] = set()  # threads whose imports are the ordinary ones

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
        """Where the library is; it and all others are loaded once the import system asks for the module itself."""
        if name not in self._names or threading.get_ident() in self._inside:
            return None
        spec = PathFinder.find_spec(name, self._path)
        if spec is not None:
            spec.loader = _LateLoader(spec.loader, self._bring)  # type: ignore[assignment]  # two methods are asked of it
        return spec

    def _bring(self, name: str) -> ModuleType:
        """Load everything, or wait until another thread has; then the module of this name, or the error of its import."""
        me = threading.get_ident()
        self._inside.add(me)
        try:
            with _module_locks_released() as in_no_module:
                if self._begins.acquire(blocking=False):
                    self._load_all()
                elif in_no_module:
                    self._ready.wait()
                return import_module(name)
        finally:
            self._inside.discard(me)

    def _load_all(self) -> None:
        logger = logging.getLogger("matplotlib")
        level = logger.level
        path, sys.path = sys.path, list(self._path)  # a file of the job's must not come in a library's place
        filters = warnings.filters
        register = atexit.register
        try:
            with self._guard.adding_libraries(presets), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                known = set(map(id, warnings.filters))
                logger.setLevel(logging.ERROR)  # it cannot write its list of fonts and would say so
                atexit.register = _registering_nothing(register)
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
        finally:
            with contextlib.suppress(ValueError):  # a job may empty the list
                self.remove()
            self._ready.set()


def _registering_nothing(register: Callable[..., Any]) -> Any:
    """As workers drop what the template registered (pyplot's would close every figure); other threads are the job's own."""
    loading = threading.get_ident()

    def register_unless_loading(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return function if threading.get_ident() == loading else register(function, *args, **kwargs)

    return register_unless_loading


@contextlib.contextmanager
def _module_locks_released() -> Iterator[bool]:
    """Let others import meanwhile what this thread has only begun to look for: ``matplotlib.pyplot``, then ``matplotlib``.

    Gives whether it holds no other lock: one that is in the middle of a module must not wait, that module may be waited for.
    """
    me = threading.get_ident()
    locks = [(name, lock) for name, reference in list(_module_locks.items()) if (lock := reference()) is not None]
    held = [(name, lock) for name, lock in locks if lock.owner == me]
    released = [lock for name, lock in held if name not in sys.modules]
    for lock in released:
        lock.release()
    try:
        yield len(released) == len(held)
    finally:
        for lock in released:
            lock.acquire()


class _LateLoader:
    """Gives the import system a module that was imported by other means; its other questions the real loader answers.

    It is done where the import system asks for the module, before it puts anything into ``sys.modules``: nobody ever sees
    an empty one.
    """

    def __init__(self, loader: Any, bring: Callable[[str], ModuleType]) -> None:
        self._loader = loader
        self._bring = bring
        self._spec: ModuleSpec | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = self._bring(spec.name)
        self._spec = module.__spec__  # in whose place the import system now puts the one that led here
        return module

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
