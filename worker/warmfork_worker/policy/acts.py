"""The audit hook: acts that no job may do, by whatever road it gets there (CONTRACT rows 7 to 9).

A hook sees every frame, a library's too, and cannot be taken off again, so it is put on in the worker and never in the
template. It runs for each audit event of the process: one look into a dict decides that an event is of no interest.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from warmfork_worker.policy.files import FileRules
from warmfork_worker.policy.refusals import refused
from warmfork_worker.policy.tables import ACTS, Act, PolicyName

_Judge = Callable[[tuple[Any, ...]], None]
_IsUserFrame = Callable[[Any], bool]

_LOCAL_SCHEMES: Final = ("data:", "file:")
"""``file:`` URLs are opened as files and judged there."""


class Acts:
    """Judges for all acts, built in the template; ``enter`` puts the hook on."""

    __slots__ = ("_hooks", "_judges")

    def __init__(self, files: FileRules, is_user_frame: _IsUserFrame) -> None:
        judges = [(act, _judge(act, files, is_user_frame)) for act in ACTS]
        # One hook a policy, made once: what a worker makes while its job waits costs it fresh pages.
        self._judges = {
            policy: {act.event: judge for act, judge in judges if policy in act.policies}
            for policy in ("strict", "standard")
        }
        self._hooks = {policy: _hook(judged) for policy, judged in self._judges.items()}

    def touch(self) -> None:
        """Call the hooks once with an event that none judges."""
        for hook in self._hooks.values():
            hook("warmfork.touch", ())

    def enter(self, policy: PolicyName) -> None:
        """Put the hook on for this process."""
        sys.addaudithook(self._hooks[policy])

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Judge nothing meanwhile: libraries are being imported that ask for directories of the template's.

        In every thread: another may import parts of the same libraries at the same time, and what they ask for is the
        same. What else the job's own threads do in that time goes unjudged; against intent stands the kernel's guard.
        """
        kept = {policy: dict(judges) for policy, judges in self._judges.items()}
        for judges in self._judges.values():
            judges.clear()
        try:
            yield
        finally:
            for policy, judges in self._judges.items():
                judges.update(kept[policy])


def _hook(judges: dict[str, _Judge]) -> Callable[[str, tuple[Any, ...]], None]:
    # Closed over, not global: at interpreter exit module globals may be gone while events still come.
    # ``in`` and no method call: a chart raises five thousand events, nearly all of them builtins.id.
    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in judges:
            judges[event](args)

    return hook


def _judge(act: Act, files: FileRules, is_user_frame: _IsUserFrame) -> _Judge:
    if act.rule == "open":
        return lambda args: files.check_open(args[0], args[2])
    if act.rule == "database":
        return lambda args: files.check_database(args[0])
    if act.rule == "address":
        return lambda args: _refuse(act, args) if args[1] is not None else None
    if act.rule == "url":
        return lambda args: None if str(args[0]).startswith(_LOCAL_SCHEMES) else _refuse(act, args)
    if act.rule == "dlopen":
        return lambda args: _refuse(act, args) if _asked_by_user(is_user_frame) else None
    if act.rule == "paths":
        return _path_judge(act, files)
    return lambda args: _refuse(act, args)


def _path_judge(act: Act, files: FileRules) -> _Judge:
    uses = act.paths

    def judge(args: tuple[Any, ...]) -> None:
        for use, path_at, dir_fd_at in uses:
            files.check(use, args[path_at], -1 if dir_fd_at is None else args[dir_fd_at])

    return judge


def _refuse(act: Act, args: tuple[Any, ...]) -> None:
    raise refused(act.what.format(*args), act.hint)


def _asked_by_user(is_user_frame: _IsUserFrame) -> bool:
    """Whether the first frame outside ctypes and this package is the job's."""
    frame = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in ("ctypes", "warmfork_worker"):
        if is_user_frame(frame):
            return True
        frame = frame.f_back  # type: ignore[assignment]  # None ends the walk
    return frame is not None and is_user_frame(frame)
