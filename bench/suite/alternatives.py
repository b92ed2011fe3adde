"""What people use today to run a job in a process of its own, each as its documentation says to use it."""

from __future__ import annotations

import base64
import importlib
import importlib.util
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final

from bench.suite import job
from bench.suite.systems import ROOT, Done, Unavailable, WrongAnswer, check, child_environment
from bench.suite.workloads import Workload

_ANSWER_S: Final = 60.0
_PRELOAD: Final = ["bench.suite.preloaded"]
_IS_WARM: Final = "import sys; print('seaborn' in sys.modules)"


class Cold:
    """A fresh ``python`` for each job, which imports the libraries and runs the code: the earlier executor's way."""

    name = "cold python"
    callers_max = 8
    costly = True
    prefix: tuple[str, ...] = ()

    def start(self) -> None:
        """Nothing stays between jobs; the environment of the processes is made here."""
        self._environment = child_environment()

    def call(self, workload: Workload) -> Done:
        """One process, from its start to its end."""
        started_s = time.perf_counter()
        ended = subprocess.run(
            [*self.prefix, sys.executable, "-P", job.__file__],
            input=pickle.dumps((workload.code, workload.formats)),
            stdout=subprocess.PIPE,
            env=self._environment,
            check=True,
            timeout=_ANSWER_S,
        )
        return _done(workload, ended.stdout, time.perf_counter() - started_s, self.name)

    def stop(self) -> None:
        """Nothing to end."""


class Bubblewrap(Cold):
    """The same within bubblewrap's namespaces, with the file system read-only and no network."""

    name = "bubblewrap + cold python"
    prefix = (
        *("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),
        *("--unshare-all", "--die-with-parent", "--new-session"),
    )

    def start(self) -> None:
        """Raises Unavailable where bwrap is not installed or may not make its namespaces."""
        super().start()
        if shutil.which("bwrap") is None:
            raise Unavailable("bwrap is not installed")
        tried = subprocess.run([*self.prefix, "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            raise Unavailable(f"bwrap does not work here: {tried.stderr.strip()}")


class ForkServer:
    """One ``multiprocessing`` process for each job, from the fork server that has preloaded the libraries."""

    name = "forkserver"
    callers_max = 64
    costly = False

    def start(self) -> None:
        """Start the server and let it import."""
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOAD)
        _require_warm(self.name, pickle.loads(self._one(_IS_WARM, ()))[0])

    def call(self, workload: Workload) -> Done:
        """One process, from its start to its end."""
        started_s = time.perf_counter()
        data = self._one(workload.code, workload.formats)
        return _done(workload, data, time.perf_counter() - started_s, self.name)

    def _one(self, code: str, formats: tuple[str, ...]) -> bytes:
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=job.answer_into, args=(theirs, code, formats))
        process.start()
        theirs.close()
        try:
            return ours.recv_bytes()
        finally:
            ours.close()
            process.join()
            process.close()

    def stop(self) -> None:
        """The server ends with this process, when its pipe closes."""


class Pool:
    """``ProcessPoolExecutor(max_tasks_per_child=1)`` over the same fork server: a process for each job, made by the pool."""

    name = "ProcessPoolExecutor"
    callers_max = 64
    costly = False

    def start(self) -> None:
        """Start as many workers as warmfork has idle ones, and let the server import."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOAD)
        self._pool = ProcessPoolExecutor((os.cpu_count() or 1) + 2, mp_context=context, max_tasks_per_child=1)
        _require_warm(self.name, self._pool.submit(job.run_job, _IS_WARM, ()).result(_ANSWER_S)[0])

    def call(self, workload: Workload) -> Done:
        """One task."""
        started_s = time.perf_counter()
        try:
            stdout, charts = self._pool.submit(job.run_job, workload.code, workload.formats).result(_ANSWER_S)
        except BrokenProcessPool as problem:
            raise WrongAnswer(f"{self.name}: {problem}") from None
        done = Done(time.perf_counter() - started_s, stdout, tuple(charts))
        check(workload, done, self.name)
        return done

    def stop(self) -> None:
        """End its processes."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Jupyter:
    """A warm Jupyter kernel with everything imported: no process for each job, no isolation at all."""

    name = "Jupyter kernel"
    callers_max = 1
    costly = False

    def start(self) -> None:
        """Start a kernel. Raises Unavailable where the extra ``bench`` is not installed."""
        if not all(importlib.util.find_spec(name) for name in ("jupyter_client", "ipykernel")):
            raise Unavailable("jupyter_client and ipykernel are not installed (the extra 'bench')")
        # By this interpreter, whatever kernels the user has registered.
        self._manager: Any = importlib.import_module("jupyter_client.manager").KernelManager()
        self._manager.kernel_spec.argv[0] = sys.executable
        self._manager.start_kernel(env=child_environment(), cwd=str(ROOT), stderr=subprocess.DEVNULL)
        self._client: Any = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=_ANSWER_S)
        self._letter = ""
        self._execute(
            "from bench.suite import job as _job; _job.load_libraries()\n"
            "from bench.suite.jupyter_side import show as _show, set_fonts as _set_fonts"
        )

    def call(self, workload: Workload) -> Done:
        """One cell: the code, and a last line that publishes its figures."""
        if workload.letter != self._letter:
            self._execute(f"_set_fonts(chinese={not workload.code.isascii()})")
            self._letter = workload.letter
        tail = f"\n_show({workload.formats!r})\n" if workload.formats else "\n"
        started_s = time.perf_counter()
        stdout, charts = self._execute(workload.code + tail)
        seconds = time.perf_counter() - started_s
        self._execute("_job.forget_figures()")
        done = Done(seconds, stdout, charts)
        check(workload, done, self.name)
        return done

    def _execute(self, code: str) -> tuple[str, tuple[bytes, ...]]:
        asked = self._client.execute(code, store_history=False)
        stdout, charts = "", []
        while True:
            message = self._client.get_iopub_msg(timeout=_ANSWER_S)
            content = message["content"]
            if message["parent_header"].get("msg_id") != asked:
                continue
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                stdout += content["text"]
            elif message["msg_type"] == "display_data":
                charts += [base64.b64decode(data) for data in content["data"].values()]
            elif message["msg_type"] == "error":
                raise WrongAnswer(f"{self.name}: {content['evalue']}")
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                self._client.get_shell_msg(timeout=_ANSWER_S)
                return stdout, tuple(charts)

    def stop(self) -> None:
        """End the kernel."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


def _require_warm(name: str, printed: str) -> None:
    """The fork server passes over a preload that fails without a word: its jobs would then import, and look slow."""
    if printed != "True\n":
        raise WrongAnswer(f"{name}: the fork server did not preload")


def _done(workload: Workload, data: bytes, seconds: float, name: str) -> Done:
    stdout, charts = pickle.loads(data)  # from a process that ran our own code
    done = Done(seconds, stdout, tuple(charts))
    check(workload, done, name)
    return done
