"""Reload, renewal and drain: new generations take over without a gap, and nothing queued or running is dropped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.support import Served, environment, wait_until

from warmfork import Client, curve, embedded
from warmfork.errors import DaemonUnreachable, RequestRefused

Serve = Callable[..., Served]


@pytest.fixture
def configured(serve: Serve, tmp_path: Path) -> tuple[Served, Path]:
    """A daemon with a file of its own, few workers and no rehearsal."""
    file = tmp_path / "warmfork.toml"
    file.write_text(text())
    return serve("--config", str(file)), file


def text(**more: str) -> str:
    """A configuration; ``more`` adds lines to a section."""
    sections = {"pool": "idle_workers = 2\nrunning_max = 2\nlight = 'off'\n", "template": "rehearse = false\n"}
    for name, lines in more.items():
        sections[name] = sections.get(name, "") + lines
    return "".join(f"[{name}]\n{lines}\n" for name, lines in sections.items())


def template_of(served: Served) -> dict[str, Any]:
    with served.client() as client:
        found: dict[str, Any] = client.status()["templates"][0]
        return found


def in_background(served: Served, code: str, results: list[Any], **named: Any) -> threading.Thread:
    def run() -> None:
        with served.client() as client:
            results.append(client.execute(code, **named))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_changed_template_takes_over_while_the_old_one_finishes(configured: tuple[Served, Path]) -> None:
    """What runs finishes in the old generation, what comes later runs in the new one, nothing is lost."""
    served, file = configured
    before = template_of(served)["pid"]
    results: list[Any] = []
    running = in_background(served, "import time\nprint('x', flush=True)\ntime.sleep(4)\nprint('done')", results)
    with served.client() as client:
        wait_until(lambda: client.status()["running"], "it runs")
        file.write_text(text(template='preload = ["wave"]\n'))
        outcome = client.reload()
        assert (["science"], ["template.preload"]) == (list(outcome["renewed"]), list(outcome["changed"]))
        assert client.execute("print(1)").ok  # the old generation serves until the new one is proved
        wait_until(lambda: template_of(served)["pid"] not in (before, None), "the new generation serves")
        assert "True\n" == client.execute("import sys; print('wave' in sys.modules)").stdout
        running.join()
        assert "x\ndone\n" == results[0].stdout
        wait_until(lambda: before not in served.processes(), "the old generation is gone")
        assert {"slots", "slots-science.2"} >= {one for one in os.listdir(served.directory) if "slots" in one}


def test_a_wrong_file_changes_nothing_and_says_why(configured: tuple[Served, Path]) -> None:
    """The new configuration is judged first."""
    served, file = configured
    before = template_of(served)["pid"]
    file.write_text(text(limits="timeout_s = 0\n"))
    with served.client() as client, pytest.raises(RequestRefused, match=r"nothing changed: limits.timeout_s = 0"):
        client.reload()
    assert before == template_of(served)["pid"]


def test_limits_are_followed_without_a_new_template(configured: tuple[Served, Path]) -> None:
    """What a template is not started with needs no new one; what is bound at the start is named."""
    served, file = configured
    before = template_of(served)["pid"]
    file.write_text(text(limits="timeout_s = 0.5\n", log='format = "json"\n'))
    done = subprocess.run(
        [sys.executable, "-m", "warmfork", "reload", "--address", served.address],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (0, "changed: limits.timeout_s\nfollowed only after a restart: log.format\n") == (
        done.returncode,
        done.stdout,
    )
    with served.client() as client:
        assert "timeout" == client.execute("while True: pass").verdict
    assert before == template_of(served)["pid"]


def test_queue_and_weights_are_followed(configured: tuple[Served, Path]) -> None:
    """What may wait, and whose turn comes how often, are the new file's at once, for what waits already too."""
    served, file = configured
    results: list[Any] = []
    callers = [in_background(served, "while True: pass", results, job_id=f"{number:032x}") for number in range(3)]
    with served.client() as client:
        wait_until(lambda: client.status()["queue"]["jobs"] == 1, "two run and one waits")
        file.write_text(text(queue="jobs_max = 1\n", tenants=f'weights = ["{os.getuid()}=5"]\n'))
        outcome = client.reload()
        assert (["queue.jobs_max", "tenants.weights"], []) == (
            sorted(outcome["changed"]),
            list(outcome["needs_restart"]),
        )
        queue = client.status()["queue"]
        assert (1, 5.0) == (queue["jobs_max"], queue["list"][0]["weight"])
        assert "QueueFull" == getattr(client.execute("1").error, "type", "")
        file.write_text(text(tenants='weights = ["no-such-user-here=5"]\n'))
        with pytest.raises(RequestRefused, match=r"nothing changed: tenants\.weights.*no-such-user-here"):
            client.reload()
        assert 1 == client.status()["queue"]["jobs_max"]
        for number in range(3):
            client.cancel(f"{number:032x}")
    for caller in callers:
        caller.join()


def test_the_list_of_clients_is_followed(serve: Serve, tmp_path: Path) -> None:
    """A key that is put there comes in after a reload, one that is taken away does not, nor is it heard where it is connected."""
    allowed, file = tmp_path / "clients", tmp_path / "warmfork.toml"
    allowed.mkdir()
    for name in ("server", "alice", "bob"):
        curve.make_key_pair(tmp_path, name)
    shutil.copy(tmp_path / "alice.key", allowed)
    tcp = f'server_key_file = "{tmp_path}/server.key_secret"\nclients_dir = "{allowed}"\n'
    file.write_text('endpoints = ["tcp://127.0.0.1:0"]\n' + text(tcp=tcp))
    served = serve("--config", str(file))
    with served.client() as local:
        address = next(one for one in local.status()["addresses"] if one.startswith("tcp"))

        def client(name: str) -> Client:
            return Client(
                address,
                key_file=served.directory / "key",
                server_key_file=tmp_path / "server.key",
                client_key_file=tmp_path / f"{name}.key_secret",
            )

        with client("alice") as alice:
            assert "1\n" == alice.execute("print(1)").stdout
            with client("bob") as early, pytest.raises(DaemonUnreachable):
                early.execute("1")
            (allowed / "alice.key").unlink()
            with pytest.raises(RequestRefused, match=r"nothing changed: tcp\.clients_dir"):
                local.reload()  # nobody at all is a mistake
            assert "1\n" == alice.execute("print(1)").stdout
            shutil.copy(tmp_path / "bob.key", allowed)
            outcome = local.reload()
            assert (["bob"], ["alice"]) == (list(outcome["admitted"]), list(outcome["shut_out"]))
            with client("bob") as late:
                assert "1\n" == late.execute("print(1)").stdout
            assert "lost" == alice.execute("1", timeout_s=5).verdict  # sent, and what became of it cannot be learned
            with pytest.raises(DaemonUnreachable):
                alice.execute("1", timeout_s=5)
            assert {"ok": 3} == local.status()["jobs"]["by_verdict"]
            assert 1 == local.status()["peers"]["connections"]


def test_templates_come_and_go(configured: tuple[Served, Path]) -> None:
    """A template that is new in the file is started, one that is gone from it is refused by name."""
    served, file = configured
    file.write_text(text(**{"templates.light": 'base = "none"\nidle_workers = 1\n'}))
    with served.client() as client:
        assert ["light"] == list(client.reload()["renewed"])
        assert "False\n" == client.execute("import sys; print('numpy' in sys.modules)", template="light").stdout
        file.write_text(text())
        assert ["light"] == list(client.reload()["removed"])
        with pytest.raises(RequestRefused, match="light"):
            client.execute("1", template="light")


def test_sighup_reloads(configured: tuple[Served, Path]) -> None:
    """The signal does what the command does."""
    served, file = configured
    before = template_of(served)["pid"]
    file.write_text(text(template='preload = ["wave"]\n'))
    os.kill(served.process.pid, signal.SIGHUP)
    wait_until(lambda: template_of(served)["pid"] not in (before, None), "the new generation serves", 40)


def test_a_worn_template_is_renewed_without_a_gap() -> None:
    """After a number of forks a new one comes up beside it, and every job on the way is answered."""
    settings = {"lifecycle.forks_max": 12, "template.rehearse": False}
    with embedded(workers=2, settings=settings) as client:
        first = client.status()["templates"][0]["pid"]
        for _ in range(20):
            assert client.execute("print(1)").ok
        wait_until(
            lambda: client.status()["templates"][0]["pid"] not in (first, None) or not client.execute("1").ok, "renewed"
        )
        assert client.execute("print(1)").ok


def test_an_old_template_is_renewed() -> None:
    """At ``lifecycle.age_s_max`` another generation takes over."""
    with embedded(workers=1, settings={"template.rehearse": False, "lifecycle.age_s_max": 1.0}) as client:
        wait_until(lambda: client.status()["templates"][0]["generation"] > 1, "another generation serves")
        assert "1\n" == client.execute("print(1)").stdout


def test_a_renewal_that_fails_is_told_and_tried_again(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another generation cannot come up the old one serves on, says so, and does not try without a pause."""
    tmp_path.chmod(0o755)
    (tmp_path / "wf_fails.py").write_text(
        f"import os\nif os.path.exists({str(tmp_path / 'fail')!r}):\n    os._exit(3)\n"
    )
    file = tmp_path / "warmfork.toml"
    more = {"lifecycle": "forks_max = 4\n", "template": 'preload = ["wf_fails"]\n'}
    file.write_text(text(**more))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    served = serve("--config", str(file))
    (tmp_path / "fail").write_text("")
    with served.client() as client:
        for _ in range(8):
            assert client.execute("1").ok
        wait_until(lambda: template_of(served)["problem"], "the failure is told")
        assert "a new generation failed: it ended with status 3" in template_of(served)["problem"]
        starts = template_of(served)["starts"]
        for _ in range(8):
            assert client.execute("1").ok
        assert (1, "ready") == (template_of(served)["generation"], template_of(served)["state"])
        assert starts + 1 >= template_of(served)["starts"]
        (tmp_path / "fail").unlink()
        wait_until(lambda: template_of(served)["generation"] > 1, "another generation serves", 30)
        assert not template_of(served)["problem"]


def test_a_failure_that_is_taken_back_is_told_no_more(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a changed template failed for is in the status until the change is reverted."""
    tmp_path.chmod(0o755)
    (tmp_path / "wf_ends.py").write_text("import os\nos._exit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    file = tmp_path / "warmfork.toml"
    file.write_text(text())
    served = serve("--config", str(file))
    with served.client() as client:
        file.write_text(text(template='preload = ["wf_ends"]\n'))
        client.reload()
        wait_until(lambda: "status 3" in template_of(served)["problem"], "the failure is told")
        assert client.execute("1").ok
        file.write_text(text())
        client.reload()
        assert "" == template_of(served)["problem"]


def test_reloads_in_a_row(configured: tuple[Served, Path]) -> None:
    """What the last one says is what serves, and of the generations between nothing is left, in whatever state they were."""
    served, file = configured
    descriptors = psutil.Process(served.process.pid)
    wait_until(lambda: template_of(served)["idle"] == 2, "all wait")
    first = template_of(served)["pid"]
    with served.client() as client:
        assert (
            "mailbox" not in modules_of(client).split()
        )  # so long a reply that pyzmq has its own descriptors for those now
        wait_until(lambda: template_of(served)["idle"] == 2, "all wait")
        before = descriptors.num_fds()
        for count, module in enumerate(["wave", "netrc", "chunk", "sndhdr"]):
            file.write_text(text(template=f'preload = ["{module}"]\n'))
            client.reload()
            if count % 2:  # one is given up while it imports, one while its probe runs or a little later
                wait_until(
                    lambda: len(served.processes()) > 8 or template_of(served)["pid"] != first, "another comes up"
                )
        file.write_text(text(template='preload = ["mailbox"]\n', pool="fork_delay_ms = 5.0\n"))
        client.reload()
        wait_until(lambda: "mailbox" in modules_of(client), "the last one serves")
        wait_until(lambda: template_of(served)["idle"] == 2, "all wait again")
        wait_until(lambda: descriptors.num_fds() <= before, "no descriptor is left over")
    assert 1 == len(generation_dirs(served))


def modules_of(client: Client) -> str:
    return client.execute("import sys; print(*sys.modules)").stdout


def test_a_reload_that_is_taken_back(configured: tuple[Served, Path]) -> None:
    """A change that is reverted before its generation serves has no effect: the old one serves on."""
    served, file = configured
    before = template_of(served)["pid"]
    with served.client() as client:
        file.write_text(text(template='preload = ["wave"]\n'))
        assert ("science",) == tuple(client.reload()["renewed"])
        file.write_text(text())
        assert () == tuple(client.reload()["renewed"])
        wait_until(lambda: not any(generation_dirs(served)), "the other generation is gone")
        assert before == template_of(served)["pid"]
        assert "wave" not in modules_of(client).split()


def generation_dirs(served: Served) -> list[str]:
    return [one for one in os.listdir(served.directory) if one.startswith("slots-")]


def test_a_daemon_that_a_program_started_has_nothing_to_reload(client: Client) -> None:
    """An embedded daemon says so."""
    with pytest.raises(RequestRefused) as caught:
        client.reload()
    assert "not_reloadable" == caught.value.code


def test_drain_finishes_what_is_here_and_takes_nothing_new(serve: Serve) -> None:
    """SIGTERM: running and queued jobs end with their results, a new one is lost and safe to retry, the daemon leaves with 0."""
    served = serve("--pool-running-max", "1", "--lifecycle-drain-s", "60", "--no-template-rehearse")
    running: list[Any] = []
    queued: list[Any] = []
    code = "import time\nprint('up', flush=True)\ntime.sleep(5)\nprint('done')"
    first = in_background(served, code, running)
    with served.client() as client:
        wait_until(lambda: client.status()["running"], "one runs")
        second = in_background(served, "print('queued')", queued)
        wait_until(lambda: client.status()["queue"]["jobs"], "one waits")
        served.process.terminate()
        wait_until(lambda: client.status()["draining"], "it drains")
        late = client.execute("print(1)")
        assert ("lost", True) == (late.verdict, late.retry_safe)
    first.join()
    second.join()
    assert [("ok", "up\ndone\n"), ("ok", "queued\n")] == [(one.verdict, one.stdout) for one in running + queued]
    assert 0 == served.process.wait(20)


def test_a_second_signal_hurries(serve: Serve) -> None:
    """The first SIGTERM waits for the job, the second does not."""
    served = serve("--lifecycle-drain-s", "60", "--no-template-rehearse")
    results: list[Any] = []
    caller = in_background(served, "while True: pass", results)
    with served.client() as client:
        wait_until(lambda: client.status()["running"], "it runs")
        served.process.terminate()
        wait_until(lambda: client.status()["draining"], "it drains")
        served.process.terminate()
    caller.join(20)
    assert ("lost", False) == (results[0].verdict, results[0].retry_safe)
    assert 0 == served.process.wait(20)
