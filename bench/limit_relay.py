"""A process of its own for each job, as cheap as we know how to fork it, behind ZeroMQ, and nothing else.

Like ``bench.suite.relay``, but the process that is forked has settled as a template of warmfork's does (joined mappings,
its heap in a memfd, uncounted objects, no free memory), several children wait, and any number of callers is served. No
queue, no limits, no guard, no checks, no verdicts, no log: what warmfork takes beyond this is its own, and what this
takes, no change to warmfork's own work can save.

Run as a program, it is the relay: ``python -P -m bench.limit_relay ADDRESS LIBRARIES(0|1)``.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from typing import Any, Final, NoReturn

import zmq
from bench.suite import job
from bench.suite.relay import ANSWER_MS, READ_BYTES, fork_on_demand, next_child
from bench.suite.systems import ROOT, Done, WrongAnswer, check, child_environment
from bench.suite.workloads import ALL, Workload

AHEAD: Final = 4
"""Children that wait; as many as warmfork's workers on two CPUs."""
_WARM_UP: Final = 20
_REPLACED_AFTER_S: Final = 0.004
"""A child that has answered leaves, and the next is forked, when the answer has left; as warmfork's pool.fork_delay_ms."""


class LimitRelay:
    """DEALER to ROUTER over ipc, a connection for each calling thread.

    Args:
        libraries: whether the process that is forked has the libraries.
    """

    callers_max = 64
    costly = False

    def __init__(self, *, libraries: bool) -> None:
        self.name = f"limit relay, {'with' if libraries else 'without'} libraries"
        self._libraries = libraries
        self._mine = threading.local()

    def start(self) -> None:
        """Start the relay and wait for a first answer."""
        self._directory = tempfile.mkdtemp(prefix="wf-limit-")
        self._address = f"ipc://{self._directory}/relay"
        environment = child_environment()
        environment["PYTHONPATH"] += f"{os.pathsep}{ROOT / 'worker'}"
        environment.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bench.limit_relay", self._address, str(int(self._libraries))],
            cwd=ROOT,
            env=environment,
        )
        self._context: zmq.Context[Any] = zmq.Context()
        self._ask("print()")

    @property
    def pid(self) -> int:
        """Of the relay, whose child is the process that forks."""
        return self._process.pid

    def call(self, workload: Workload) -> Done:
        """There, run, and back."""
        started_s = time.perf_counter()
        stdout = self._ask(workload.code)
        done = Done(time.perf_counter() - started_s, stdout)
        check(workload, done, self.name)
        return done

    def _ask(self, code: str) -> str:
        mine = self._mine.__dict__
        if "socket" not in mine:
            mine["socket"] = self._context.socket(zmq.DEALER)
            mine["socket"].connect(self._address)
        mine["socket"].send(code.encode())
        if not mine["socket"].poll(ANSWER_MS):
            raise WrongAnswer(f"{self.name}: no answer")
        answer: bytes = mine["socket"].recv()
        return answer.decode()

    def stop(self) -> None:
        """End all processes."""
        self._process.kill()
        self._process.wait()
        self._context.destroy(0)
        shutil.rmtree(self._directory, ignore_errors=True)


def serve(address: str, *, libraries: bool) -> NoReturn:
    """Relay until this process is killed; the one that forks, and its children, then end with their sockets."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:  # before there is a thread of ZeroMQ's
        ours.close()
        _settle_and_fork(theirs, libraries=libraries)
    theirs.close()
    context: Any = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.bind(address)
    idle = deque(next_child(ours) for _ in range(AHEAD))
    busy: dict[int, tuple[socket.socket, bytes]] = {}
    waiting: deque[tuple[bytes, bytes]] = deque()
    answers = select.epoll()
    over: deque[tuple[float, socket.socket]] = deque()
    while True:
        wait_ms = max(0, int(1000 * (over[0][0] - time.monotonic())) + 1) if over else -1
        zmq.zmq_poll([(router, zmq.POLLIN), (answers.fileno(), zmq.POLLIN)], wait_ms)
        with contextlib.suppress(zmq.Again):
            while True:
                routing_id, code = router.recv_multipart(zmq.NOBLOCK)
                waiting.append((routing_id, code))
        for fd, _ in answers.poll(0):
            channel, routing_id = busy.pop(fd)
            answers.unregister(fd)
            router.send_multipart([routing_id, channel.recv(READ_BYTES)])
            over.append((time.monotonic() + _REPLACED_AFTER_S, channel))
        while over and (waiting or over[0][0] <= time.monotonic()):
            over.popleft()[1].close()
            idle.append(next_child(ours))
        while waiting and idle:
            routing_id, code = waiting.popleft()
            channel = idle.popleft()
            channel.sendall(code)
            busy[channel.fileno()] = (channel, routing_id)
            answers.register(channel.fileno(), select.EPOLLIN)


def _settle_and_fork(orders: socket.socket, *, libraries: bool) -> NoReturn:
    if libraries:
        job.load_libraries()
    for letter in "TTD" if libraries else "T":
        for _ in range(_WARM_UP):
            job.run_job(ALL[letter].code, ())
    _settle()
    # As warmfork's workers: whatever a job writes to is copied while it waits, and nobody leaves before the answer has left.
    fork_on_demand(orders, "print()", leaves_late=True)


def _settle() -> None:
    """As ``warmfork_worker.template`` does when nothing in it changes any more."""
    from warmfork_worker.forking import drop_needless_hooks
    from warmfork_worker.fresh import tidy_free_memory, use_up_free_memory
    from warmfork_worker.heap import Heap
    from warmfork_worker.immortal import make_immortal
    from warmfork_worker.mappings import Mappings

    drop_needless_hooks()
    gc.collect()
    heap = Heap(wanted=True)
    heap.look()
    Mappings(wanted=True).join()
    make_immortal(wanted=True)
    gc.freeze()
    tidy_free_memory()
    use_up_free_memory(wanted=True)
    heap.move()


if __name__ == "__main__":
    serve(sys.argv[1], libraries=bool(int(sys.argv[2])))
