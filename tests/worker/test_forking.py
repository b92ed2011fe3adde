"""The hooks of a fork that a process of one thread does not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

from tests.support import PACKAGE_PATHS

HOOKS = ["_after_fork", "Random.seed"]


def run(code: str) -> object:
    """What the code prints last, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": PACKAGE_PATHS}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout.splitlines()[-1])


def test_all_of_them_are_found_in_this_interpreter() -> None:
    """Two of threading and random, three of logging; a second time there is nothing."""
    told = run(
        """
        import json, os
        from warmfork_worker.forking import drop_needless_hooks
        print(json.dumps([drop_needless_hooks(), drop_needless_hooks()]))
        """
    )
    assert isinstance(told, list)
    first, second = told
    assert HOOKS == first[:2]
    assert 5 == len(first)
    assert "_after_at_fork_child_reinit_locks" in first[4]
    assert [] == second


def test_none_of_them_is_run_and_the_child_works() -> None:
    """No Python function runs in the child by itself; locks, threads and logging are as they should be."""
    told = run(
        """
        import json, logging, os, random, sys, threading
        from warmfork_worker.forking import drop_needless_hooks
        drop_needless_hooks()
        reading, writing = os.pipe()
        ran = []
        def note(frame, event, argument):
            if event == "call":
                ran.append(frame.f_code.co_qualname)
        before = random.getstate()
        sys.setprofile(note)
        pid = os.fork()
        sys.setprofile(None)
        if pid == 0:
            same = random.getstate() == before
            thread = threading.Thread(target=lambda: logging.warning("from a thread"))
            thread.start()
            thread.join(10)
            fine = not thread.is_alive() and threading.active_count() == 1
            os.write(writing, json.dumps([ran, same, fine]).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        thread = threading.Thread(target=lambda: logging.warning("from a thread"))
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        print(os.read(reading, 4096).decode())
        """
    )
    assert [[], True, True] == told


def test_a_hook_of_somebody_else_stays() -> None:
    """What a library registered is called as before."""
    told = run(
        """
        import json, os
        from warmfork_worker.forking import drop_needless_hooks
        called = []
        os.register_at_fork(before=lambda: called.append("before"), after_in_parent=lambda: called.append("parent"))
        drop_needless_hooks()
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        print(json.dumps(called))
        """
    )
    assert ["before", "parent"] == told
