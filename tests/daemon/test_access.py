"""Who may come in over TCP is settled before the daemon starts anything: every mistake is a ConfigError."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from warmfork import curve
from warmfork.errors import ConfigError
from warmfork_daemon.access import TcpAccess, access_now, load_access
from warmfork_daemon.config import load


class Ground:
    """Keys of a daemon and of two clients in a directory of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clients = directory / "clients"
        self.public_file, self.server = curve.make_key_pair(directory / "server", "server")
        for name in ("alice", "bob"):
            curve.make_key_pair(directory / name, name)
            self.clients.mkdir(exist_ok=True)
            shutil.copy(directory / name / f"{name}.key", self.clients)

    def load(self, *endpoints: str) -> TcpAccess | None:
        settings = {"tcp.server_key_file": str(self.server), "tcp.clients_dir": str(self.clients)}
        return load_access(load(environ={}, overrides={"endpoints": endpoints or ("tcp://127.0.0.1:0",), **settings}))


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def test_keys_and_names(ground: Ground) -> None:
    """The daemon's pair and each client's public key by its file's name; other files there are left alone."""
    (ground.clients / "README").write_text("who is who")
    access = ground.load()
    assert access is not None
    assert curve.read_key_pair(ground.server) == (access.public, access.secret)
    expected = {curve.read_public_key(ground.clients / f"{name}.key"): name for name in ("alice", "bob")}
    assert expected == access.names
    assert access.secret.decode() not in repr(access)


def test_without_tcp_no_key_is_looked_at(ground: Ground) -> None:
    """A daemon on ipc alone needs none of the files."""
    ground.server.unlink()
    shutil.rmtree(ground.clients)
    assert ground.load("ipc:///run/x.sock") is None


def test_a_list_that_is_taken_away_admits_nobody(ground: Ground) -> None:
    """Until a restart the port is still bound; a reload without ``tcp.clients_dir`` shuts everybody out of it."""
    access = ground.load()
    assert access is not None
    now = access_now(access, load(environ={}))
    assert now is not None
    assert {} == dict(now.names)
    assert access.secret == now.secret


def chmod(mode: int, *names: str) -> Callable[[Ground], None]:
    return lambda ground: ground.directory.joinpath(*names).chmod(mode)


def write(text: str, *names: str) -> Callable[[Ground], None]:
    def act(ground: Ground) -> None:
        path = ground.directory.joinpath(*names)
        path.write_text(text)
        path.chmod(0o600)

    return act


def clients_as_a_file(ground: Ground) -> None:
    shutil.rmtree(ground.clients)
    ground.clients.touch()


def empty(ground: Ground) -> None:
    for path in ground.clients.iterdir():
        path.unlink()


MISTAKES: dict[str, tuple[Callable[[Ground], object], str]] = {
    "no server key": (lambda ground: ground.server.unlink(), r"tcp\.server_key_file.*warmfork keys server"),
    "server key open to the group": (chmod(0o640, "server", "server.key_secret"), "chmod 600"),
    "server key open to all": (chmod(0o604, "server", "server.key_secret"), "chmod 600"),
    "malformed server key": (
        write('public-key = "x"\nsecret-key = "y"\n', "server", "server.key_secret"),
        "no CURVE key",
    ),
    "public key as server key": (
        lambda ground: shutil.copyfile(ground.public_file, ground.server),
        r"tcp\.server_key_file.*no secret key",
    ),
    "no clients directory": (lambda ground: shutil.rmtree(ground.clients), r"tcp\.clients_dir.*cannot be read"),
    "clients is a file": (clients_as_a_file, "cannot be read"),
    "empty allow-list": (empty, r"holds no client's key.*warmfork keys client"),
    "malformed client key": (write('public-key = "short"\n', "clients", "carol.key"), r"carol\.key is no CURVE key"),
    "empty client key": (write("", "clients", "carol.key"), r"tcp\.clients_dir.*carol\.key"),
    "a secret among the clients": (
        lambda ground: shutil.copy(ground.directory / "bob/bob.key_secret", ground.clients / "bob.key"),
        "holds a secret key",
    ),
    "one key, two names": (
        lambda ground: shutil.copy(ground.clients / "bob.key", ground.clients / "carol.key"),
        "'bob' and 'carol' hold the same key",
    ),
    "a name that would forge the log": (
        lambda ground: shutil.move(ground.clients / "bob.key", ground.clients / "bob\nx.key"),
        "no name for a client's key",
    ),
    "directory that others write": (chmod(0o777, "clients"), "chmod go-w"),
    "client key that others write": (chmod(0o666, "clients", "bob.key"), "chmod go-w"),
    "FIFO among the clients": (lambda ground: os.mkfifo(ground.clients / "carol.key"), "no regular file"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_config_error_that_says_what_to_do(ground: Ground, mistake: str) -> None:
    """Nothing is served with keys that are missing, malformed, open to others, or with nobody to let in."""
    act, told = MISTAKES[mistake]
    assert ground.load() is not None
    act(ground)
    with pytest.raises(ConfigError, match=told):
        ground.load()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_list_that_somebody_else_owns_is_refused(ground: Ground) -> None:
    """The owner of the directory, or of a file in it, could let himself in."""
    for path in (ground.clients / "bob.key", ground.clients):
        os.chown(path, 65_534, -1)
        with pytest.raises(ConfigError, match="can be written by others"):
            ground.load()
        os.chown(path, 0, -1)
    assert ground.load() is not None
