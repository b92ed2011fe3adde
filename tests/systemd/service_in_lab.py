"""The service as an operator meets it: ``python -m tests.systemd.service_in_lab`` as root of the lab's machine.

Installs the unit with ``warmfork install-service``, starts it, uses it as somebody in its group and as somebody who is
not, hangs it, kills it, fills its memory, reloads, stops, and starts it by its socket. The first step that is not as it
should be ends the run with exit code 1 and the end of the journal.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from warmfork import AsyncClient, BalancedClient, Client, DaemonUnreachable, Result

PYTHON = "/opt/venv/bin/python"
SOCKET = Path("/run/warmfork/warmfork.sock")
KEY = Path("/run/warmfork/key")
CHART = "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.title('squares')\nprint('drawn by token-5f3a')"
BOMB = (
    "kept = []\nwhile True:\n    kept.append(bytearray(8 << 20))\n    kept[-1][::4096] = b'x' * len(kept[-1][::4096])"
)
WATCHDOG_S = 3
NOTIFY_RELOAD_SINCE = 253
JOBS, CLIENTS = 200, 4
SERVES_AGAIN_S = 3.0


def run(*command: str, input: str = "", expect: int | None = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, input=input, capture_output=True, text=True, check=False, timeout=600)
    if expect is not None and done.returncode != expect:
        raise AssertionError(
            f"{' '.join(command)}: {done.returncode}, not {expect}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done


def as_user(user: str, code: str, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """``warmfork run`` as a user of the machine, by this service: without an address it would start a daemon of its own."""
    command = ("runuser", "-u", user, "--", "env", f"HOME=/home/{user}", PYTHON, "-m", "warmfork", "run")
    by_this = ("--address", f"ipc://{SOCKET}", "--out", f"/home/{user}/charts", *arguments, "-")
    return run(*command, *by_this, input=code, expect=expect)


def shown(name: str) -> str:
    return run("systemctl", "show", "warmfork", "-p", name, "--value").stdout.strip()


def journal(*arguments: str) -> list[dict[str, Any]]:
    text = run("journalctl", "-u", "warmfork", "-o", "json", "--no-pager", *arguments).stdout
    return [json.loads(line) for line in text.splitlines()]


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = 30.0) -> float:
    """Seconds until ``condition()`` was true."""
    start_s = time.monotonic()
    while not condition():
        assert time.monotonic() - start_s < deadline_s, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.02)  # another machine's events are polled for, as far as this process is concerned
    return time.monotonic() - start_s


def serves_as(other_than: str) -> bool:
    return shown("ActiveState") == "active" and shown("MainPID") not in ("0", other_than)


def check(is_true: object, what: str) -> None:
    assert is_true, what
    print(f"   ok: {what}", flush=True)


def install() -> None:
    before = run(PYTHON, "-m", "warmfork", "install-service")
    check(
        "nothing was written" in before.stdout and not Path("/etc/systemd/system/warmfork.service").exists(),
        "a dry run",
    )
    run(PYTHON, "-m", "warmfork", "install-service", "--yes")
    run("systemd-sysusers", "warmfork.conf")
    run("systemd-tmpfiles", "--create", "warmfork.conf")
    for user in ("alice", "mallory"):
        run("useradd", "--create-home", user)
    run("usermod", "--append", "--groups", "warmfork", "alice")
    drop_in = Path("/etc/systemd/system/warmfork.service.d/lab.conf")
    drop_in.parent.mkdir(exist_ok=True)
    # The virtual machine is emulated, and slow.
    patience = "TimeoutStartSec=600\nEnvironment=WARMFORK_TEMPLATE_START_TIMEOUT_S=550 WARMFORK_LIFECYCLE_HANG_S=120"
    drop_in.write_text(f"[Service]\nWatchdogSec={WATCHDOG_S}\n{patience}\n")
    run("systemctl", "daemon-reload")
    again = run(PYTHON, "-m", "warmfork", "install-service", "--yes")
    check("the same" in again.stdout and "DIFFERS" not in again.stdout, "installing twice changes nothing")


def start() -> None:
    start_s = time.monotonic()
    run("systemctl", "start", "warmfork")
    check(SOCKET.exists(), f"READY=1 came when it served, after {time.monotonic() - start_s:.1f} s")
    facts = KEY.stat()
    check((facts.st_mode & 0o777, KEY.group()) == (0o640, "warmfork"), "the key is 0640, of the group")
    check("idle; 0 answered" in shown("StatusText"), f"STATUS: {shown('StatusText')}")


def access() -> None:
    done = as_user("alice", CHART)
    check(
        list(Path("/home/alice/charts").glob("*.png")) and "token-5f3a" in done.stdout,
        "a chart for alice, of the group",
    )
    refused = as_user("mallory", CHART, expect=69)
    check("no warmfork daemon answered" in refused.stderr, "mallory, not of the group, is refused")
    wait_until(lambda: "1 answered" in shown("StatusText"), "the status line follows")
    check(True, f"STATUS: {shown('StatusText')}")


def memory() -> None:
    pid = shown("MainPID")
    done = as_user("alice", BOMB, "--memory", "256M", expect=137)
    check(pid == shown("MainPID") and shown("ActiveState") == "active", f"a memory bomb: {done.stderr.strip()[-120:]}")
    as_user("alice", CHART)


def logs() -> None:
    lines = journal()
    finished = [line for line in lines if 'event="job finished"' in line["MESSAGE"]]
    check(
        len(finished) == 3 and all(line["PRIORITY"] == "6" for line in finished),
        "a line with priority info for each job",
    )
    check(sum("verdict=memory_limit" in line["MESSAGE"] for line in finished) == 1, "one of them with memory_limit")
    alice = run("id", "-u", "alice").stdout.strip()
    check(all(f"uid={alice}" in line["MESSAGE"] for line in finished), "each says whose job it was")
    check(not any("token-5f3a" in line["MESSAGE"] for line in lines), "neither code nor output in the journal")


def environment_is_clean() -> None:
    told = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "CREDENTIALS_DIRECTORY", "JOURNAL_STREAM", "INVOCATION_ID")
    pid = shown("MainPID")
    looked_at = 0
    for child in set(run("pgrep", "-u", "warmfork").stdout.split()) - {pid}:
        try:
            environ = Path(f"/proc/{child}/environ").read_bytes().decode("utf-8", "replace")
        except (ProcessLookupError, FileNotFoundError):
            continue  # a worker that was replaced meanwhile
        assert not any(name in environ for name in told), f"{child}: {environ!r}"
        looked_at += 1
    check(looked_at > 2, f"{looked_at} processes of templates and workers know nothing of the manager's sockets")


def job_cgroups() -> None:
    """Only where the machine has cgroup v2 with the controllers; the lab has not, its virtual machine has."""
    with Client(f"ipc://{SOCKET}", connect_timeout_s=30) as client:
        told = client.status()["cgroups"]
        if not told["active"]:
            check(
                "controllers" in told["detail"], f"no cgroups for jobs here, and the status says why: {told['detail']}"
            )
            return
        jobs = Path(told["detail"], "jobs")
        idle = [place for place in jobs.iterdir() if place.is_dir() and (place / "cgroup.procs").read_text().strip()]
        check(len(idle) > 1 and told["failed"] == 0, f"{len(idle)} idle workers are in cgroups of their own")
        check(all((place / "memory.swap.max").read_text() == "0\n" for place in idle), "without swap")
        done = client.execute("b = bytearray(64 << 20)\nb[::4096] = b'x' * len(b[::4096])", memory_bytes=256 << 20)
        check(
            64 << 20 <= done.usage.peak_memory_bytes < 128 << 20, f"memory.peak: {done.usage.peak_memory_bytes} bytes"
        )
        wait_until(lambda: len([p for p in jobs.iterdir() if p.is_dir()]) == len(idle), "used cgroups are removed")
        for place in jobs.iterdir():
            if place.is_dir():
                (place / "memory.max").write_text(str(24 << 20))
        killed = client.execute("b = bytearray(512 << 20)\nb[::4096] = b'x' * len(b[::4096])")
        check(killed.verdict == "memory_limit", f"killed by the kernel at memory.max: {killed.verdict}")
    check(shown("ActiveState") == "active", "the service is up")


def watchdog() -> None:
    pid, restarts = shown("MainPID"), int(shown("NRestarts"))
    os.kill(int(pid), signal.SIGSTOP)
    took_s = wait_until(
        lambda: serves_as(pid), "a new daemon after the watchdog killed the hung one", WATCHDOG_S * 3 + 20
    )
    check(int(shown("NRestarts")) == restarts + 1, f"a hung daemon was killed and served again after {took_s:.1f} s")
    check(any("Watchdog timeout" in line["MESSAGE"] for line in journal()), "by the watchdog")
    as_user("alice", CHART)


def killed() -> None:
    """SIGKILL of the daemon with JOBS jobs in flight: every call ends and says whether a retry is safe."""
    pid = shown("MainPID")
    ended = asyncio.run(_lose_the_daemon(int(pid)))
    told = Counter(f"{verdict}, retry_safe={safe}" for verdict, safe in ended)
    unclear = [(verdict, safe) for verdict, safe in ended if verdict == "lost" and safe is None]
    check(len(ended) == JOBS and not unclear, f"kill -9 with {JOBS} calls in flight, how they ended: {dict(told)}")
    check(serves_as(pid), "another daemon serves")
    as_user("alice", CHART)
    check(True, "a chart, verified with the key from before")


async def _lose_the_daemon(pid: int) -> list[tuple[str, bool | None]]:
    code = "import time\ntime.sleep(0.5)\nprint({!r})"
    clients = [AsyncClient(f"ipc://{SOCKET}") for _ in range(CLIENTS)]
    calls = [
        asyncio.create_task(client.execute(code.format(number), timeout_s=10))
        for client in clients
        for number in range(JOBS // CLIENTS)
    ]
    async with AsyncClient(f"ipc://{SOCKET}") as watcher:
        await _in_flight(watcher, calls)
    os.kill(pid, signal.SIGKILL)
    start_s = time.monotonic()
    while not await _answers():
        assert time.monotonic() - start_s < SERVES_AGAIN_S, f"no answer within {SERVES_AGAIN_S:g} s after kill -9"
        await asyncio.sleep(0.02)
    check(True, f"a new call was answered {time.monotonic() - start_s:.2f} s after kill -9")
    results = await asyncio.gather(*calls)
    for client in clients:
        await client.close()
    return [(result.verdict, result.retry_safe) for result in results]


async def _answers() -> bool:
    async with AsyncClient(f"ipc://{SOCKET}") as client:
        try:
            return (await client.execute("print(6 * 7)")).stdout == "42\n"
        except DaemonUnreachable:
            return False


async def _in_flight(watcher: AsyncClient, calls: list[asyncio.Task[Result]]) -> None:
    """Until the daemon has every call: one that it has not would rightly end as "nothing was submitted"."""
    for _ in range(500):
        status = await watcher.status()
        if len(status["running"]) + status["queue"]["jobs"] + sum(call.done() for call in calls) >= JOBS:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the jobs did not get there")


def reload() -> None:
    pid = shown("MainPID")
    file = Path("/etc/warmfork/warmfork.toml")
    file.write_text("[limits]\ntimeout_s = 7\n")
    run("systemctl", "reload", "warmfork")
    wait_until(lambda: any("reloaded" in line["MESSAGE"] for line in journal()), "the new configuration holds")
    wait_until(lambda: shown("ActiveState") == "active", "active again")
    file.write_text("[limits]\ntimeout = 7\n")
    run("systemctl", "reload", "warmfork")
    wait_until(lambda: any("reload refused" in line["MESSAGE"] for line in journal()), "a wrong one is refused")
    wait_until(lambda: shown("ActiveState") == "active", "active again")
    as_user("alice", CHART)
    check(pid == shown("MainPID"), "reload: the same daemon serves on, after a wrong configuration too")
    file.unlink()


def notify_reload() -> None:
    """With the drop-in, ``systemctl reload`` returns when the new configuration holds."""
    version = int(run("systemctl", "--version").stdout.split()[1])
    if version < NOTIFY_RELOAD_SINCE:
        print(f"   skipped: notify-reload takes systemd {NOTIFY_RELOAD_SINCE}, and this is {version}")
        return
    drop_in = Path("/etc/systemd/system/warmfork.service.d/notify-reload.conf")
    drop_in.write_text(Path("/project/systemd/notify-reload.conf").read_text())
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "warmfork")
    pid = shown("MainPID")
    file = Path("/etc/warmfork/warmfork.toml")
    with Client(f"ipc://{SOCKET}", connect_timeout_s=30) as client:
        for seconds in (9.0, 11.0):
            file.write_text(f"[limits]\ntimeout_s = {seconds}\n")
            run("systemctl", "reload", "warmfork")
            check(
                client.hello().limits["timeout_s"] == seconds,
                "systemctl reload returned when the new configuration held",
            )
    check(
        (shown("ActiveState"), shown("MainPID"), shown("ReloadResult")) == ("active", pid, "success"),
        "by notify-reload",
    )
    file.unlink()
    drop_in.unlink()
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "warmfork")


def stop() -> None:
    command = ["runuser", "-u", "alice", "--", PYTHON, "-m", "warmfork", "run", "--address", f"ipc://{SOCKET}"]
    command += ["--out", "/home/alice/charts", "-"]
    slow = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert slow.stdin is not None
    slow.stdin.write("import time\ntime.sleep(3)\nprint('finished')")
    slow.stdin.close()
    with Client(f"ipc://{SOCKET}", connect_timeout_s=30) as client:
        wait_until(lambda: client.status()["running"], "the job runs")
    run("systemctl", "stop", "warmfork")
    slow.wait(20)
    assert slow.stdout is not None
    check(slow.stdout.read() == "finished\n", "stop lets a running job finish")
    check(shown("Result") == "success" and not SOCKET.exists() and KEY.exists(), "stopped in order; the key stays")
    check(run("pgrep", "-u", "warmfork", expect=1).stdout == "", "no process is left")


def bad_configuration() -> None:
    file = Path("/etc/warmfork/warmfork.toml")
    file.write_text("[limits]\ntimeout = 7\n")
    run("systemctl", "start", "warmfork", expect=1)
    check(shown("ExecMainStatus") == "2" and shown("NRestarts") == "0", "a wrong configuration: exit 2, no restart")
    check(any("limits.timeout_s" in line["MESSAGE"] for line in journal()), "the journal names what was meant")
    file.unlink()
    run("systemctl", "reset-failed", "warmfork")


def credential() -> None:
    store = Path("/etc/credstore")
    store.mkdir(mode=0o700, exist_ok=True)
    key = os.urandom(32)  # at random: whoever looks for it in a worker's memory afterwards must not find a table
    (store / "warmfork.key").write_bytes(key)
    run("systemctl", "start", "warmfork")
    check(KEY.read_bytes() == key, "the credential is the key, and beside the socket for clients")
    as_user("alice", CHART)
    run("systemctl", "stop", "warmfork")
    (store / "warmfork.key").unlink()


def socket_activation() -> None:
    run(PYTHON, "-m", "warmfork", "install-service", "--yes", "--socket")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "warmfork.socket")
    inode = SOCKET.stat().st_ino
    check(shown("ActiveState") == "inactive", "the socket is there and the daemon is not")
    code = "import warmfork\nwith warmfork.Client(connect_timeout_s=60) as client: print(client.execute('print(6 * 7)').stdout)"
    done = run("runuser", "-u", "alice", "--", PYTHON, "-c", code)
    check(done.stdout.strip() == "42", "the first client starts it, and is answered")
    run("systemctl", "restart", "warmfork")
    as_user("alice", CHART)
    check(SOCKET.stat().st_ino == inode, "the socket outlives a restart")
    as_user("mallory", CHART, expect=69)
    run("systemctl", "stop", "warmfork.socket", "warmfork")


def several() -> None:
    """Two instances, each on a CPU of its own, and a client that divides its calls; one is killed meanwhile."""
    run(PYTHON, "-m", "warmfork", "install-service", "--yes", "--socket", "--instances")
    units = [f"warmfork@{number}" for number in (1, 2)]
    for cpu, unit in enumerate(units):
        drop_in = Path(f"/etc/systemd/system/{unit}.service.d/cpus.conf")
        drop_in.parent.mkdir(exist_ok=True)
        drop_in.write_text(f"[Service]\nCPUAffinity={cpu}\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", *units)
    addresses = [f"ipc:///run/warmfork-{number}/warmfork.sock" for number in (1, 2)]
    with BalancedClient(addresses) as client, ThreadPoolExecutor(4) as pool:
        told = [status["workers"]["running_max"] for status in client.status() if status is not None]
        check(told == [4, 4], f"each has the pool of its one CPU: running_max {told}")
        results = list(pool.map(lambda number: client.execute(f"{CHART}\nprint({number})"), range(20)))
        right = [
            result.ok and len(result.charts) == 1 and f"\n{n}\n" in result.stdout for n, result in enumerate(results)
        ]
        parts = [sum(status["jobs"]["by_verdict"].values()) for status in client.status() if status is not None]
        check(all(right) and min(parts) >= 5, f"20 charts, divided {parts}, each signed by the daemon that drew it")
        pid = run("systemctl", "show", units[0], "-p", "MainPID", "--value").stdout.strip()
        os.kill(int(pid), signal.SIGKILL)
        # A call that is sent into the connection before its end is known may have run, and says so; here it is known.
        wait_until(lambda: not Path(f"/proc/{pid}").exists() and client.status()[0] is None, "it is gone")
        check(
            all(client.execute("print(1)").ok for _ in range(20)), "one is killed: 20 calls, each answered by the other"
        )
        wait_until(lambda: None not in client.status(), "it serves again")
    as_user("alice", CHART, "--address", addresses[1])
    as_user("mallory", CHART, "--address", addresses[1], expect=69)
    check(True, "alice is let in, mallory is not")
    run("systemctl", "stop", *units)
    check(run("pgrep", "-u", "warmfork", expect=1).stdout == "", "no process is left")


STEPS: tuple[Callable[[], None], ...] = (
    install,
    start,
    access,
    memory,
    logs,
    environment_is_clean,
    job_cgroups,
    watchdog,
    killed,
    reload,
    notify_reload,
    stop,
    bad_configuration,
    credential,
    socket_activation,
    several,
)


def main(names: list[str]) -> int:
    """Every step in order, or those named."""
    for step in STEPS:
        if names and step.__name__ not in names:
            continue
        print(f"-- {step.__name__}", flush=True)
        try:
            step()
        except AssertionError as problem:
            print(f"   NOT: {problem}")
            print(run("journalctl", "-u", "warmfork", "--no-pager", "-o", "cat", "-n", "30", expect=None).stdout)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
