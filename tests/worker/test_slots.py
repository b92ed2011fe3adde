"""Slots as directories on disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from warmfork_worker.slots import DirectorySlots


def _no_descriptors(*_args: Any, **_named: Any) -> Any:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_without_descriptors_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot that cannot be opened is taken away again, though nothing can be looked into either."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", _no_descriptors)
        patch.setattr(os, "scandir", _no_descriptors)
        with pytest.raises(OSError, match="Too many open files"):
            DirectorySlots(str(tmp_path)).make("one")
    assert [] == list(tmp_path.iterdir())
