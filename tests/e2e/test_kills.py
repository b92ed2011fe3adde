"""SIGKILL to worker, template, daemon or client in each phase of a job: nothing is left, and nobody waits for ever."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support import Served, environment, marked_processes, wait_until

from warmfork import Client

GONE_S = 2.0

LOOP = "print('up')\nwhile True: pass\n"
RENDERING = (
    "import matplotlib.patches as p\nclass Slow(p.Rectangle):\n    def draw(self, r):\n        print('drawing')\n"
    "        while True: pass\nplt.gca().add_patch(Slow((0, 0), 1, 1))\nprint('up')\n"
)
# A report far larger than any socket buffer, so that whoever does not read it keeps its writer waiting.
BIG_REPORT = (
    "rng = np.random.default_rng(1)\nfor n in range(4):\n"
    "    plt.figure(); plt.imshow(rng.random((700, 700, 3))); plt.gcf().set_dpi(200)\nprint('up')\n"
)

CALLER = (
    "import json, sys\nfrom warmfork import Client\nrequest = json.loads(sys.argv[1])\n"
    "with Client(request['address']) as client:\n"
    "    result = client.execute(request['code'], timeout_s=60, files={'input': bytes(request['input_bytes'])})\n"
    "    print(json.dumps([result.verdict, result.retry_safe]), flush=True)\n"
)


class Caller:
    """A client process of its own with one call."""

    def __init__(self, address: str, code: str, input_bytes: int = 0) -> None:
        request = json.dumps({"address": address, "code": code, "input_bytes": input_bytes})
        self.process = subprocess.Popen(
            [sys.executable, "-c", CALLER, request], env=environment(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )

    def answer(self, deadline_s: float = 15.0) -> list[Any]:
        """Verdict and retry_safe of its call; fails when it does not end in time."""
        out, _ = self.process.communicate(timeout=deadline_s)
        answer: list[Any] = json.loads(out)
        return answer

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.communicate()


class Scene:
    """A daemon with one worker, and a call that has reached a phase."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.callers: list[Caller] = []

    def status(self) -> dict[str, Any]:
        with self.served.client() as client:
            return dict(client.status())

    def call(self, code: str, input_bytes: int = 0) -> Caller:
        caller = Caller(self.served.address, code, input_bytes)
        self.callers.append(caller)
        return caller

    def running(self) -> list[dict[str, Any]]:
        return list(self.status()["running"])

    def pid_of(self, victim: str, caller: Caller) -> int:
        if victim == "daemon":
            return self.served.process.pid
        if victim == "client":
            return caller.process.pid
        status = self.status()
        return int(status["template"]["pid"] if victim == "template" else status["running"][0]["worker_pid"])

    def pids(self, caller: Caller, phase: str) -> dict[str, int]:
        """All possible victims, asked for before anything is stopped."""
        names = ["daemon", "client", "template"] + (["worker"] if phase != "queued" else [])
        return {name: self.pid_of(name, caller) for name in names}

    def slots(self) -> list[str]:
        return [name for name in os.listdir(self.served.directory / "slots") if name != "template"]


@pytest.fixture
def scene(serve: Callable[..., Served]) -> Iterator[Scene]:
    made = Scene(
        serve(
            "--pool-running-max", "1", "--pool-idle-workers", "1", "--no-template-rehearse", "--clients-grace-s", "0.2"
        )
    )
    yield made
    for caller in made.callers:
        caller.end()
    with contextlib.suppress(ProcessLookupError):
        made.served.process.send_signal(signal.SIGCONT)


def wait_for_output(scene: Scene, cpu_ticks: int) -> None:
    """Wait until the one running worker has used this many clock ticks of CPU: it is well inside its loop."""

    def busy() -> bool:
        running = scene.running()
        if not running:
            return False
        fields = Path(f"/proc/{running[0]['worker_pid']}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12]) >= cpu_ticks

    wait_until(busy, "the worker is in its loop")


def is_blocked_writing(pid: int) -> bool:
    """Asleep in a system call that sends: /proc/PID/syscall names writev (20) on x86-64, 66 on arm64."""
    try:
        return Path(f"/proc/{pid}/syscall").read_text().split()[0] in ("20", "66")
    except (OSError, IndexError):
        return False


def reach(scene: Scene, phase: str) -> tuple[Caller, dict[str, int]]:
    """Bring a call into a phase. Returns the caller and the possible victims."""
    if phase == "queued":
        scene.call(LOOP)
        wait_until(lambda: len(scene.running()) == 1, "the first job runs")
        caller = scene.call(LOOP)
        wait_until(lambda: scene.status()["queue"]["jobs"] == 1, "the second job waits")
        return caller, scene.pids(caller, phase)
    if phase == "dispatched":
        wait_until(lambda: scene.status()["workers"]["by_state"].get("idle") == 1, "a worker is idle")
        template = scene.status()["template"]["pid"]
        idle = next(pid for pid in scene.served.processes() if pid != template)
        os.kill(idle, signal.SIGSTOP)  # the order stays in the channel
        caller = scene.call(LOOP, input_bytes=20 << 20)
        wait_until(lambda: len(scene.running()) == 1, "the job is dispatched")
        return caller, scene.pids(caller, phase)
    if phase in ("running", "rendering"):
        caller = scene.call(LOOP if phase == "running" else RENDERING)
        wait_until(lambda: len(scene.running()) == 1, "the job runs")
        wait_for_output(scene, 30 if phase == "running" else 60)
        return caller, scene.pids(caller, phase)
    caller = scene.call(BIG_REPORT)
    wait_until(lambda: len(scene.running()) == 1, "the job runs")
    victims = scene.pids(caller, phase)
    if phase == "reporting":
        os.kill(scene.served.process.pid, signal.SIGSTOP)
        wait_until(lambda: is_blocked_writing(victims["worker"]), "the worker waits for its report to be read")
    else:
        os.kill(caller.process.pid, signal.SIGSTOP)
        wait_until(lambda: not scene.running(), "the reply is on its way")
    return caller, victims


PHASES = ("queued", "dispatched", "running", "rendering", "reporting", "replying")


# A queued job has no worker yet, and a replied one has none any more.
KILLS = [
    (victim, phase)
    for victim in ("worker", "template", "daemon", "client")
    for phase in PHASES
    if victim != "worker" or phase not in ("queued", "replying")
]


@pytest.mark.parametrize(("victim", "phase"), KILLS)
def test_kill(scene: Scene, victim: str, phase: str) -> None:
    """After the kill nothing of the job is left within 2 s, and the call ends with an honest answer."""
    caller, victims = reach(scene, phase)
    os.kill(victims[victim], signal.SIGKILL)
    if victim == "template" and phase == "reporting":
        # The worker's own death signal must not race the daemon, which could still read the whole report.
        wait_until(lambda: victims["worker"] not in scene.served.processes(), "the worker is dead")
    os.kill(scene.served.process.pid, signal.SIGCONT)
    if victim == "daemon":
        scene.served.process.wait(5)
        wait_until(lambda: not scene.served.processes(), "template and workers are gone", GONE_S)
        wait_until(lambda: not scene.slots(), "the slots are gone", GONE_S)
        assert {"warmfork.sock", "key", "lock", "slots", "slots-science.light"} >= set(
            os.listdir(scene.served.directory)
        )
    if victim == "client":
        expected = 1 if phase == "queued" else 0
        wait_until(
            lambda: len(scene.running()) == expected and not scene.status()["queue"]["jobs"],
            "its jobs are gone",
            GONE_S,
        )
        return
    caller.process.send_signal(signal.SIGCONT)
    verdict, retry_safe = answer_of(scene, caller, victim, phase)
    allowed = {
        "worker": {"crashed"},
        "template": {"lost", "crashed"},
        "daemon": {"lost"},
    }[victim]
    if phase == "replying":
        allowed |= {"ok"}  # the reply had left before
    if victim == "template" and phase == "queued":
        allowed = {"timeout", "cancelled"}  # it waits for the next template and runs there
    assert verdict in allowed
    if verdict == "lost":
        assert retry_safe is False
    if victim != "daemon":
        wait_until(lambda: victims[victim] not in scene.served.processes(), "the victim is gone", GONE_S)
        with scene.served.client() as client:
            assert "2\n" == client.execute("print(1 + 1)", deadline_s=30).stdout


def answer_of(scene: Scene, caller: Caller, victim: str, phase: str) -> list[Any]:
    """What the call got. A job that waited for a new template is cancelled once it runs there."""
    if victim == "template" and phase == "queued":
        assert "lost" == scene.callers[0].answer()[0]
        wait_until(lambda: len(scene.running()) == 1, "the queued job runs on the new template", 40)
        with scene.served.client() as client:
            client.cancel(scene.running()[0]["job_id"])
    return caller.answer()


def test_a_killed_daemon_is_replaced_by_the_next_start(scene: Scene) -> None:
    """The next start on the same directory deals with socket, key and slots of the dead daemon."""
    key = (scene.served.directory / "key").read_bytes()
    (scene.served.directory / "slots" / "left").mkdir()
    scene.served.process.kill()
    scene.served.process.wait(5)
    scene.served.start()
    assert not (scene.served.directory / "slots" / "left").exists()
    assert key == (scene.served.directory / "key").read_bytes()
    with scene.served.client() as client:
        assert client.execute("plt.plot([1])").charts


def test_a_daemon_killed_while_its_template_imports_leaves_nothing(tmp_path: Path) -> None:
    """The template is gone within 2 s also when the daemon dies before it was ready."""
    instance = f"early-{uuid.uuid4().hex}"
    daemon = subprocess.Popen(
        [sys.executable, "-m", "warmfork", "serve", "--runtime-dir", str(tmp_path / "run")],
        env=environment(WARMFORK_INSTANCE=instance),
        stdin=subprocess.DEVNULL,
    )
    wait_until(lambda: len(marked_processes(instance)) >= 2, "the template is started")
    daemon.kill()
    daemon.wait(5)
    wait_until(lambda: not marked_processes(instance), "the template is gone", GONE_S)


EMBEDDER = (
    "from warmfork import embedded\nwith embedded(policy='off') as client:\n"
    "    print(client.status()['addresses'][0], flush=True)\n    client.execute('while True: pass')\n"
)


@pytest.mark.parametrize("victim", ["caller", "daemon"])
def test_embedded_leaves_nothing(victim: str) -> None:
    """A caller that is killed takes its private daemon, all processes and the directory with it."""
    instance = f"embedded-{uuid.uuid4().hex}"
    caller = subprocess.Popen(
        [sys.executable, "-c", EMBEDDER], env=environment(WARMFORK_INSTANCE=instance), stdout=subprocess.PIPE
    )
    assert caller.stdout is not None
    directory = Path(caller.stdout.readline().decode().strip().removeprefix("ipc://")).parent

    def others() -> list[int]:
        return [pid for pid in marked_processes(instance) if pid != caller.pid]

    wait_until(lambda: len(others()) >= 3, "daemon, template and workers live")
    if victim == "caller":
        caller.kill()
    else:
        os.kill(daemon_among(others()), signal.SIGKILL)
    assert caller.wait(20) in (0, -signal.SIGKILL)
    caller.stdout.close()
    wait_until(lambda: not others(), "all processes are gone", GONE_S)
    wait_until(lambda: not directory.exists(), "the directory is gone", GONE_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_embedded_leaves_nothing_when_the_whole_group_is_signalled(number: signal.Signals) -> None:
    """A signal to the process group, as timeout(1), a terminal or a service manager sends it, leaves nothing either."""
    instance = f"group-{uuid.uuid4().hex}"
    caller = subprocess.Popen(
        [sys.executable, "-c", EMBEDDER],
        env=environment(WARMFORK_INSTANCE=instance),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert caller.stdout is not None
    directory = Path(caller.stdout.readline().decode().strip().removeprefix("ipc://")).parent
    wait_until(lambda: len(marked_processes(instance)) >= 4, "daemon, template and workers live")
    os.killpg(caller.pid, number)
    caller.wait(20)
    caller.stdout.close()
    wait_until(lambda: not marked_processes(instance), "all processes are gone", GONE_S)
    wait_until(lambda: not directory.exists(), "the directory is gone", GONE_S)


def daemon_among(pids: list[int]) -> int:
    """The one of these processes that runs the daemon's module."""
    return next(pid for pid in pids if b"warmfork_daemon" in Path(f"/proc/{pid}/cmdline").read_bytes())


def test_embedded_leaves_nothing_after_its_block() -> None:
    """After the with block no process and no file is left, also when the block raised."""
    from warmfork import embedded

    def use_and_fail() -> tuple[Path, int]:
        with embedded() as client:
            found.append(client.status())
            raise KeyError

    found: list[Mapping[str, Any]] = []
    with pytest.raises(KeyError):
        use_and_fail()
    directory = Path(found[0]["addresses"][0].removeprefix("ipc://")).parent
    template = found[0]["template"]["pid"]
    assert not directory.exists()
    assert not Path(f"/proc/{template}").exists()


def test_stop_answers_everyone(scene: Scene) -> None:
    """SIGTERM: what runs is lost and unsafe to retry, what waits is lost and safe, the daemon leaves with 0."""
    first = scene.call(LOOP)
    wait_until(lambda: len(scene.running()) == 1, "one runs")
    second = scene.call(LOOP)
    wait_until(lambda: scene.status()["queue"]["jobs"] == 1, "one waits")
    scene.served.process.terminate()
    assert (["lost", False], ["lost", True]) == (first.answer(), second.answer())
    assert 0 == scene.served.process.wait(10)
    assert not scene.served.processes()
    assert {"key", "lock"} == set(os.listdir(scene.served.directory))
    with pytest.raises(Exception, match="no warmfork daemon"), Client(scene.served.address) as client:
        client.hello()
