"""Libraries that ask the kernel for what no worker is given, though all they need is there without it.

``multiprocessing`` makes its locks of named semaphores, which need a hard link in /dev/shm; its thread pools need these
locks too, and where no process can ever be started a lock between threads is the same. ``threadpoolctl``, which
scikit-learn uses in k-means and elsewhere, lists the loaded libraries through /proc, or through a native callback, which
libffi makes of memory that is written and run. Neither is there, and every pool has one thread, so it finds none to limit.
matplotlib writes its list of fonts to a directory that all jobs share and none may write to, whenever code has it made anew;
it would warn that it could not.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import threading
from importlib import import_module
from typing import Any, Final

_RECURSIVE_MUTEX: Final = 0
_SEM_VALUE_MAX: Final = 2**31 - 1


class ThreadSemaphore:
    """``_multiprocessing.SemLock`` among the threads of one process.

    Args:
        kind: 0 a recursive lock, 1 a semaphore.
        value, maxvalue: as there.
        name, unlink: not used; nothing is named.
    """

    SEM_VALUE_MAX: Final = _SEM_VALUE_MAX
    name: Final = None  # so that no resource tracker is started to look after it
    handle: Final = 0

    def __init__(self, kind: int, value: int, maxvalue: int, name: str = "", unlink: bool = True) -> None:
        self.kind = kind
        self.maxvalue = maxvalue
        self._value = value
        self._depth = 0
        self._owner: int | None = None
        self._changed = threading.Condition(threading.Lock())

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take it; False where that was not possible (in ``timeout`` seconds)."""
        me = threading.get_ident()
        with self._changed:
            if self.kind == _RECURSIVE_MUTEX and self._owner == me:
                self._depth += 1
                return True
            wait_s = (None if timeout is None else max(0.0, timeout)) if block else 0.0
            if not self._changed.wait_for(lambda: self._value > 0, wait_s):
                return False
            self._value -= 1
            self._depth += 1
            self._owner = me
            return True

    def release(self) -> None:
        """Give it back. Raises AssertionError or ValueError, as the original does."""
        with self._changed:
            if self.kind == _RECURSIVE_MUTEX:
                if self._owner != threading.get_ident():
                    raise AssertionError("attempt to release recursive lock not owned by thread")
                if self._depth > 1:
                    self._depth -= 1
                    return
                self._owner = None
            elif self._value >= self.maxvalue:
                raise ValueError("semaphore or lock released too many times")
            self._depth -= 1
            self._value += 1
            self._changed.notify()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _count(self) -> int:
        return self._depth

    def _is_mine(self) -> bool:
        return self._depth > 0 and self._owner == threading.get_ident()

    def _get_value(self) -> int:
        return self._value

    def _is_zero(self) -> bool:
        return self._value == 0

    def _after_fork(self) -> None:
        """Nothing forks."""


def adapt_libraries(*, processes: bool) -> None:
    """Put the replacements in place, in the template; a library that is not installed needs none.

    Args:
        processes: whether jobs may start some; then only the list of fonts is looked after.
    """
    if "matplotlib.font_manager" in sys.modules:
        _keep_font_list_in_memory()
    if processes:
        return
    with contextlib.suppress(ImportError):
        module: Any = import_module("_multiprocessing")
        module.SemLock = ThreadSemaphore
    if importlib.util.find_spec("threadpoolctl") is not None:
        with contextlib.suppress(Exception):  # a broken one fails where it is imported
            threadpoolctl: Any = import_module("threadpoolctl")
            threadpoolctl.ThreadpoolController._load_libraries = lambda _self: None


def _keep_font_list_in_memory() -> None:
    import matplotlib
    from matplotlib import font_manager

    write = font_manager.json_dump
    shared = matplotlib.get_cachedir() or ""

    def json_dump(data: Any, filename: Any) -> None:
        if os.path.dirname(filename) != shared:
            write(data, filename)

    font_manager.json_dump = json_dump
