"""The child that makes the list of fonts: what it keeps of the template, and what is left of it."""

from __future__ import annotations

import errno
import os
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from warmfork_worker import template as template_module
from warmfork_worker.font_list import FontList
from warmfork_worker.template import Template


def test_without_a_descriptor_there_is_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the child cannot be watched it is ended and reaped, and whoever began it is told."""
    children = []
    fork = os.fork

    def recorded() -> int:
        children.append(fork())
        return children[-1]

    def fail(pid: int, flags: int = 0) -> int:
        raise OSError(errno.EMFILE, "no descriptor")

    monkeypatch.setattr(os, "fork", recorded)
    monkeypatch.setattr(os, "pidfd_open", fail)
    font_list = FontList(lambda: None)
    with pytest.raises(OSError, match="no descriptor"):
        font_list.begin()
    with pytest.raises(ChildProcessError):
        os.waitpid(children[0], 0)
    font_list.end()


def test_the_child_keeps_nothing_of_the_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it imports anything it has closed the control socket and the workers' descriptors, and waits for no library."""
    done: list[str] = []

    class Late:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def install(self) -> None:
            done.append("installed")

        def remove(self) -> None:
            done.append("removed")

    monkeypatch.setattr(template_module, "LateLibraries", Late)
    ours, theirs = socket.socketpair()
    worker_fd = os.dup(theirs.fileno())
    template: Any = Template.__new__(Template)
    template._start = SimpleNamespace(preload=(), left_out=(), font_dirs=())
    template._world = SimpleNamespace(active=lambda _layer: True)
    template._link, template._children = ours, SimpleNamespace(living=[SimpleNamespace(pidfd=worker_fd)])
    template._wait_for_libraries(None)
    template._font_list._before()
    theirs.close()
    assert (["installed", "removed"], -1) == (done, ours.fileno())
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(worker_fd)
