"""A library that is installed but not preloaded imports in a job, with its native parts, and works as without the guard.

Collected where the extra ``libraries`` is installed, which ``.ci/run`` does in an environment of its own.
"""

from __future__ import annotations

import pytest
from tests.positive.late import PROGRAMS

from warmfork import Client, Result


def _seen(result: Result) -> tuple[object, ...]:
    return result.verdict, result.stdout, result.stderr, len(result.charts), len(result.files)


@pytest.mark.parametrize("policy", ["strict", "off"])
@pytest.mark.parametrize("package", PROGRAMS)
def test_installed_library(package: str, policy: str, guarded: Client, control: Client) -> None:
    """It says, draws and saves the same as without the guard, and warns of nothing more."""
    here = guarded.execute(PROGRAMS[package], policy=policy, timeout_s=60)
    assert "ok" == here.verdict, here.error
    # The control runs without the policy too: what that refuses of /proc and /sys is not there at all under the guard.
    assert _seen(control.execute(PROGRAMS[package], policy="off", timeout_s=60)) == _seen(here)
