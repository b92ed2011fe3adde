"""The least that a process of its own for each job costs behind ZeroMQ in Python: nothing bounded, guarded, checked or kept.

A ROUTER hands each message over a socket pair to a child that another process forked ahead; the child runs it and answers; the
answer goes back, and only then the next child is forked. What warmfork takes beyond this is its own: a queue, limits, the
guard, verdicts, a log.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any, Final, NoReturn

import zmq
from bench.suite import job
from bench.suite.systems import RELAY, ROOT, Done, WrongAnswer, check, child_environment
from bench.suite.workloads import Workload

READ_BYTES: Final = 1 << 16
ANSWER_MS: Final = 30_000


class Relay:
    """DEALER to ROUTER over ipc, to a process with the libraries and one child waiting."""

    name = RELAY
    callers_max = 1
    costly = False

    def start(self) -> None:
        """Start the process, connect, and wait for a first answer."""
        self._directory = tempfile.mkdtemp(prefix="wf-relay-")
        address = f"ipc://{self._directory}/relay"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bench.suite.relay", address], cwd=ROOT, env=child_environment()
        )
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.connect(address)
        self._ask("print()")

    def call(self, workload: Workload) -> Done:
        """There, run, and back."""
        started_s = time.perf_counter()
        stdout = self._ask(workload.code)
        done = Done(time.perf_counter() - started_s, stdout)
        check(workload, done, self.name)
        return done

    def _ask(self, code: str) -> str:
        self._socket.send(code.encode())
        if not self._socket.poll(ANSWER_MS):
            raise WrongAnswer(f"{self.name}: no answer")
        return self._socket.recv().decode()

    def stop(self) -> None:
        """End both processes."""
        self._process.kill()
        self._process.wait()
        self._context.destroy(0)
        shutil.rmtree(self._directory, ignore_errors=True)


def serve(address: str) -> NoReturn:
    """Relay until this process is killed; the one that forks, and its child, then end with their sockets."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:  # before there is a thread of ZeroMQ's
        ours.close()
        _load_and_fork(theirs)
    theirs.close()
    context: Any = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.bind(address)
    channel = next_child(ours)
    while True:
        routing_id, code = router.recv_multipart()
        channel.sendall(code)
        router.send_multipart([routing_id, channel.recv(READ_BYTES)])
        channel.close()
        channel = next_child(ours)


def next_child(forker: socket.socket) -> socket.socket:
    """Have one forked; our end of its channel."""
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(forker, [b"F"], [theirs.fileno()])
    return ours


def _load_and_fork(orders: socket.socket) -> NoReturn:
    job.load_libraries()
    gc.collect()
    gc.freeze()
    fork_on_demand(orders)


def fork_on_demand(orders: socket.socket, warm_up: str = "", *, leaves_late: bool = False) -> NoReturn:
    """Fork a child for each packet with a descriptor in it, until the socket ends.

    Args:
        warm_up: what each child runs before it waits for its job.
        leaves_late: a child leaves when its channel is closed, not when it has answered: leaving takes a processor.
    """
    while True:
        packet, fds, _, _ = socket.recv_fds(orders, 1, 1)
        if not packet:
            os._exit(0)
        if os.fork() == 0:
            _run_one(socket.socket(fileno=fds[0]), warm_up, leaves_late=leaves_late)
        os.close(fds[0])
        # By name: the CPU time of a child that nobody waits for is in no sum.
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _run_one(channel: socket.socket, warm_up: str, *, leaves_late: bool) -> NoReturn:
    if warm_up:
        job.run_job(warm_up, ())
    code = channel.recv(READ_BYTES)
    if code:
        stdout, _ = job.run_job(code.decode(), ())
        channel.sendall(stdout.encode() or b"\n")
        if leaves_late:
            channel.recv(1)
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
