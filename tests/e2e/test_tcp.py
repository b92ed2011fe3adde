"""A whole daemon on TCP: allowed clients run jobs and see only their own; everybody else is refused, and says why."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zmq
from tests.support import environment, wait_until

from warmfork import AsyncClient, Client, DaemonUnreachable, KeyUnavailable, Result, cli, curve
from warmfork.embedding import EmbeddedDaemon
from warmfork.wire.messages import encode_request
from warmfork.wire.requests import ExecuteRequest

JOB = "ab" * 16
VARIABLES = ("WARMFORK_SERVER_KEY", "WARMFORK_SERVER_KEY_FILE", "WARMFORK_CLIENT_KEY_FILE", "WARMFORK_KEY_FILE")


@dataclass(frozen=True)
class Site:
    """A daemon on ipc and on TCP, and keys: alice and bob may come in, mallory may not."""

    daemon: EmbeddedDaemon
    keys: Path
    tcp: str

    def ipc(self) -> Client:
        return Client(self.daemon.address, key=self.daemon.key)

    def options(self, name: str, server: str = "server") -> dict[str, Any]:
        return {
            "key": self.daemon.key,
            "server_key_file": self.keys / f"{server}.key",
            "client_key_file": self.keys / f"{name}.key_secret",
        }

    def client(self, name: str, server: str = "server") -> Client:
        return Client(self.tcp, **self.options(name, server))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    keys = tmp_path_factory.mktemp("keys")
    clients = keys / "clients"
    clients.mkdir()
    for name in ("server", "alice", "bob", "mallory"):
        public, _ = curve.make_key_pair(keys, name)
        if name in ("alice", "bob"):
            (clients / public.name).write_bytes(public.read_bytes())
    daemon = EmbeddedDaemon(
        workers=4,
        settings={
            "endpoints": ["tcp://127.0.0.1:0"],
            "tcp.server_key_file": str(keys / "server.key_secret"),
            "tcp.clients_dir": str(clients),
        },
    )
    daemon.start()
    with Client(daemon.address, key=daemon.key) as client:
        tcp = client.status()["addresses"][1]
    (keys / "hmac").write_bytes(daemon.key)
    yield Site(daemon, keys, tcp)
    daemon.stop()


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_a_client_on_the_list_runs_jobs(site: Site) -> None:
    """Code, files, output and verified charts, megabytes of them, come and go over TCP as over ipc."""
    with site.client("alice") as alice:
        result = alice.execute("print(open('a').read()); plt.plot([1, 2])", files={"a": b"x" * 3_000_000})
    assert ("ok", "x" * 1_000, 1) == (result.verdict, result.stdout[:1_000], len(result.charts))
    assert result.dropped.stdout_bytes


def test_asynchronous_with_the_server_key_as_text(site: Site) -> None:
    """``AsyncClient`` does the same; the daemon's public key can be given as its 40 characters."""
    server_key = curve.read_public_key(site.keys / "server.key").decode()

    async def run() -> list[str]:
        options = {"server_key": server_key, "client_key_file": site.keys / "bob.key_secret"}
        async with AsyncClient(site.tcp, key=site.daemon.key, **options) as bob:  # type: ignore[arg-type]  # a mixed dict
            results = await asyncio.gather(*(bob.execute(f"print({n} ** 2)") for n in range(5)))
            return [result.stdout for result in results]

    assert [f"{n**2}\n" for n in range(5)] == asyncio.run(run())


def test_one_client_cannot_touch_the_job_of_another(site: Site) -> None:
    """Another key and another way in do not know a job; the same key, on another connection, ends it."""
    outcome: list[Result] = []
    with site.client("alice") as alice, site.client("alice") as again, site.client("bob") as bob, site.ipc() as local:
        run = threading.Thread(target=lambda: outcome.append(alice.execute("while True: pass", job_id=JOB)))
        run.start()
        wait_until(lambda: local.status()["running"], "it runs")
        (running,) = local.status()["running"]
        assert (JOB, "alice", -1, -1) == tuple(running[name] for name in ("job_id", "client", "uid", "pid"))
        assert ["unknown", "unknown"] == [bob.cancel(JOB), local.cancel(JOB)]
        # The id is alice's word for her job alone: in bob's mouth it is another job.
        assert "bob\n" == bob.execute("print('bob')", job_id=JOB).stdout
        assert [JOB] == [job["job_id"] for job in local.status()["running"]]
        assert "running" == again.cancel(JOB)
        run.join()
    assert ["cancelled"] == [result.verdict for result in outcome]


@pytest.mark.parametrize(("name", "server"), [("mallory", "server"), ("alice", "bob"), ("mallory", "mallory")])
def test_a_stranger_gets_no_answer(site: Site, name: str, server: str) -> None:
    """A key that is not on the list, or another server's key: unreachable, with a hint; others are served meanwhile."""
    with site.client(name, server) as stranger, site.client("alice") as alice:
        with pytest.raises(DaemonUnreachable, match=r"clients_dir.*Nothing was submitted"):
            stranger.execute("print(1)")
        assert "2\n" == alice.execute("print(2)").stdout


def test_a_plain_zeromq_client_gets_no_answer(site: Site) -> None:
    """What would be a job on ipc is nothing on TCP: the connection never stands, nothing runs, others are served."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as plain, site.client("alice") as alice:
        plain.setsockopt(zmq.LINGER, 0)
        plain.connect(site.tcp)
        before = alice.status()["jobs"]["by_verdict"].get("ok", 0)
        # Where the daemon has closed the connection already there is nobody to send to, and a send would wait for ever.
        with contextlib.suppress(zmq.Again):
            plain.send_multipart(encode_request(ExecuteRequest(bytes(16), b"print('stranger')")), zmq.NOBLOCK)
        for _ in range(3):
            assert alice.execute("print(2)").ok
        assert 0 == plain.poll(200)
        assert before + 3 == alice.status()["jobs"]["by_verdict"]["ok"]


@pytest.mark.parametrize("left_out", ["server_key_file", "client_key_file"])
def test_a_client_without_keys_sends_nothing(site: Site, left_out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without either of the two a TCP address is refused by the client itself; the environment can supply both."""
    options = {name: value for name, value in site.options("alice").items() if name != left_out}
    with Client(site.tcp, **options) as client, pytest.raises(KeyUnavailable, match=r"CURVE.*warmfork keys"):
        client.execute("print(1)")

    async def ask() -> None:
        async with AsyncClient(site.tcp, **options) as client:
            await client.hello()

    with pytest.raises(KeyUnavailable, match="CURVE"):
        asyncio.run(ask())
    monkeypatch.setenv("WARMFORK_SERVER_KEY_FILE", str(site.keys / "server.key"))
    monkeypatch.setenv("WARMFORK_CLIENT_KEY_FILE", str(site.keys / "alice.key_secret"))
    with Client(site.tcp, **options) as client:
        assert client.execute("print(1)").ok


def test_bad_keys_are_named(site: Site, tmp_path: Path) -> None:
    """A secret key open to others, a text that is no key, and a missing chart key are refused before anything is sent."""
    open_file = tmp_path / "alice.key_secret"
    open_file.write_bytes((site.keys / "alice.key_secret").read_bytes())
    open_file.chmod(0o644)
    good = site.options("alice")
    for change, told in (
        ({"client_key_file": open_file}, "chmod 600"),
        ({"server_key": "no key", "server_key_file": None}, "server_key is no CURVE key"),
        ({"server_key_file": site.keys / "none.key"}, "none.key"),
        ({"key": None}, "WARMFORK_KEY_FILE"),
    ):
        with Client(site.tcp, **{**good, **change}) as client, pytest.raises(KeyUnavailable, match=told):
            client.execute("print(1)")


def test_the_command_over_tcp(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """``run`` and ``status`` take the keys as flags or from the environment; without them they end with 69 and a hint."""
    (tmp_path / "job.py").write_text("print(6 * 7)")
    job = ["run", str(tmp_path / "job.py"), "--out", str(tmp_path)]
    flags = ["--address", site.tcp, "--key-file", str(site.keys / "hmac")]
    flags += ["--server-key-file", str(site.keys / "server.key")]
    flags += ["--client-key-file", str(site.keys / "alice.key_secret")]
    assert 0 == cli.main([*job, *flags])
    assert "42\n" == capfd.readouterr().out
    assert 0 == cli.main(["status", "--json", *flags])
    assert site.tcp in json.loads(capfd.readouterr().out)["addresses"]
    monkeypatch.setenv("WARMFORK_KEY_FILE", str(site.keys / "hmac"))
    assert 69 == cli.main([*job, "--address", site.tcp])
    assert "warmfork keys client" in capfd.readouterr().err


@pytest.mark.parametrize("missing", ["both", "clients", "list"])
def test_serve_refuses_tcp_without_keys_and_list(site: Site, tmp_path: Path, missing: str) -> None:
    """``warmfork serve`` ends with 2 and one line that says what to do, before it starts anything."""
    command = ["serve", "--runtime-dir", str(tmp_path / "run"), "--endpoints", "tcp://127.0.0.1:0"]
    if missing != "both":
        command += ["--tcp-server-key-file", str(site.keys / "server.key_secret")]
    if missing == "list":
        (tmp_path / "nobody").mkdir()
        command += ["--tcp-clients-dir", str(tmp_path / "nobody")]
    done = subprocess.run(
        [sys.executable, "-m", "warmfork", *command], env=environment(), capture_output=True, text=True, timeout=60
    )
    told = {"both": "warmfork keys server", "clients": "tcp.clients_dir", "list": "holds no client's key"}[missing]
    assert (2, 1) == (done.returncode, len(done.stderr.splitlines())), done.stderr
    assert told in done.stderr
    assert not (tmp_path / "run" / "warmfork.sock").exists()
