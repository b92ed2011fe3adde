"""The guard itself: the user's builtins, put together with imports, acts and library patches."""

from __future__ import annotations

import builtins
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NoReturn

from warmfork_worker.policy.acts import Acts
from warmfork_worker.policy.files import FileRules
from warmfork_worker.policy.imports import ImportGuard
from warmfork_worker.policy.libraries import Patches
from warmfork_worker.policy.refusals import builtin_refused
from warmfork_worker.policy.tables import GUARDED_BUILTINS, Entry, PolicyName
from warmfork_worker.policy.usermodules import install_user_modules

Presets = Callable[[], Mapping[str, object]]


class Guard:
    """Built once in the template (everything expensive: wrappers, tables), entered once in each forked worker.

    User code is told from library code by the identity of its builtins: the caller runs it in a namespace whose
    ``__builtins__`` is the module that ``enter`` returns, and every function defined there inherits it.

    Args:
        readable_roots: directories (or single files) that jobs may read besides their own; see
            ``default_readable_roots``.
    """

    def __init__(self, readable_roots: Sequence[str]) -> None:
        self._user_builtins = ModuleType("builtins", builtins.__doc__)
        self._namespace = self._user_builtins.__dict__
        self._namespace.update(builtins.__dict__)
        self._files = FileRules(readable_roots)
        self._imports = ImportGuard(self._is_user_frame)
        self._acts = Acts(self._files, self._is_user_frame)
        self._patches = Patches(self._is_user_frame)
        self._guarded_builtins = {
            (policy, stdin_given): {
                entry.name: self._guarded(entry, stdin_given) for entry in GUARDED_BUILTINS if policy in entry.policies
            }
            for policy in ("strict", "standard")
            for stdin_given in (False, True)
        }
        self._entered = False
        self._settled = False

    def enter(
        self, policy: PolicyName, *, work_dir: str, temp_dir: str, stdin_given: bool, presets: Presets
    ) -> ModuleType:
        """Switch the policy on for this process and return the builtins module for user code.

        Args:
            policy: ``strict``, ``standard`` or ``off``.
            work_dir: the job's directory, to be read and written.
            temp_dir: the job's directory for temporary files, likewise.
            stdin_given: whether the request gave text for stdin; without it ``input`` is refused.
            presets: gives the names that user code finds without an import.

        Returns:
            the module to set as ``namespace["__builtins__"]``.

        Raises:
            ValueError: no such policy. RuntimeError: entered before; a hook cannot be taken off again.
        """
        if policy not in ("strict", "standard", "off"):
            raise ValueError(f"policy {policy!r} is not one of strict, standard, off")
        if self._entered:
            raise RuntimeError("the guard has been entered in this process")
        self._entered = True
        if not self._settled:
            self.settle(work_dir=work_dir, temp_dir=temp_dir, presets=presets)
        if policy != "off":
            self._guard_builtins(policy, stdin_given)
            self._patches.enter(policy)
        if policy == "strict":
            self._imports.enter()
        # Last: from here on the rules bind this very code.
        if policy != "off":
            self._acts.enter(policy)
        return self._user_builtins

    def settle(self, *, work_dir: str, temp_dir: str, presets: Presets) -> None:
        """The part of ``enter`` that no policy changes, for a worker that still waits for its job.

        Args:
            work_dir, temp_dir, presets: as for ``enter``, which then takes these.
        """
        self._settled = True
        self._namespace.update(presets())
        self._files.enter(work_dir, temp_dir)
        install_user_modules(self._files, self._user_builtins)

    def touch(self) -> None:
        """Write to what ``enter`` will, changing nothing: those pages are this process's own from here on."""
        plain = {name: self._namespace[name] for name in self._guarded_builtins["strict", False]}
        self._namespace.update(self._guarded_builtins["strict", False])
        self._namespace.update(plain)
        self._imports.touch()
        self._acts.touch()

    @contextlib.contextmanager
    def adding_libraries(self, presets: Presets) -> Iterator[None]:
        """Around the late import of libraries that a template otherwise has: let it do as it would there, then judge them.

        Args:
            presets: as for ``enter``, asked afterwards; what stands under these names now is replaced.
        """
        before = presets()
        with self._acts.paused():
            yield
        self._patches.add_libraries()
        after = presets()
        held = self._namespace
        held.update({name: module for name, module in after.items() if held.get(name) is before.get(name)})

    def _is_user_frame(self, frame: Any) -> bool:
        return frame.f_builtins is self._namespace

    def _guard_builtins(self, policy: PolicyName, stdin_given: bool) -> None:
        self._namespace.update(self._guarded_builtins[policy, stdin_given])

    def _guarded(self, entry: Entry, stdin_given: bool) -> Callable[..., Any]:
        if entry.name == "__import__":
            return self._imports.import_
        if entry.name == "input":
            return builtins.input if stdin_given else _no_input(entry)
        return _refusing(entry.name)


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        raise builtin_refused(name)

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


def _no_input(entry: Entry) -> Callable[..., NoReturn]:
    """``input`` without stdin: EOFError, as Python raises it there, which such code may be ready for."""

    def input(prompt: object = "", /) -> NoReturn:
        sys.stdout.write(str(prompt))  # as Python does before it finds that there is nothing to read
        sys.stdout.flush()
        raise EOFError(f"input() has nothing to read: the request gave no stdin. {entry.hint}")

    return input
