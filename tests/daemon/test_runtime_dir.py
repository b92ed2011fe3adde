"""One daemon a runtime directory; what a dead one left is cleaned, and the key is kept and guarded."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import PACKAGE_PATHS

from warmfork.errors import AlreadyServing, ConfigError, KeyUnavailable
from warmfork.places import IPC_PATH_BYTES_MAX, SOCKET_NAME
from warmfork_daemon.runtime_dir import RuntimeDirectory

ENVIRONMENT = {"PYTHONPATH": PACKAGE_PATHS, "PATH": "/usr/bin:/bin"}
KEY = bytes(range(32))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def directory(run: Path) -> Iterator[RuntimeDirectory]:
    made = RuntimeDirectory(str(run))
    yield made
    made.close()


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(("system", "mode"), [(False, 0o700), (True, 0o750)])
def test_it_is_made_with_its_parents(tmp_path: Path, system: bool, mode: int) -> None:
    """A missing directory is made, closed to others, with its slots and its lock inside."""
    path = tmp_path / "deep" / "er" / "run"
    directory = RuntimeDirectory(str(path), system=system)
    assert (mode, 0o700, 0o600) == (mode_of(path), mode_of(path / "slots"), mode_of(path / "lock"))
    assert path / SOCKET_NAME == directory.socket_path
    directory.close()


def test_the_second_one_is_refused(directory: RuntimeDirectory, run: Path) -> None:
    """The refusal names the holder's pid, and leaves the holder's socket and slots alone."""
    directory.socket_path.touch()
    (directory.slots_dir / "slot").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(AlreadyServing, match=rf"pid {os.getpid()}\b.*{run}"):
        RuntimeDirectory(str(run))
    assert before == len(os.listdir("/proc/self/fd"))
    assert directory.socket_path.exists()
    assert (directory.slots_dir / "slot").exists()


def test_the_lock_ends_with_close(run: Path) -> None:
    """After ``close`` the next one may have the directory, and the refusal of a third names that one."""
    RuntimeDirectory(str(run)).close()
    again = RuntimeDirectory(str(run))
    with pytest.raises(AlreadyServing):
        RuntimeDirectory(str(run))
    again.close()


def test_a_killed_holder_frees_the_lock(run: Path) -> None:
    """While another process holds it, its pid is named; once that is killed, with all it left, the next one starts."""
    program = """
import sys
from warmfork_daemon.runtime_dir import RuntimeDirectory
directory = RuntimeDirectory(sys.argv[1])
directory.socket_path.touch()
(directory.slots_dir / "left").mkdir()
print("held", flush=True)
sys.stdin.read()
"""
    with python(program, str(run)) as holder:
        assert holder.stdout is not None
        assert "held\n" == holder.stdout.readline()
        with pytest.raises(AlreadyServing, match=rf"pid {holder.pid}\b"):
            RuntimeDirectory(str(run))
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    directory = RuntimeDirectory(str(run))
    assert not directory.socket_path.exists()
    assert [] == list(directory.slots_dir.iterdir())
    directory.close()


def test_a_shorter_pid_leaves_nothing_of_a_longer_one(run: Path) -> None:
    """The pid in the lock file is the holder's, not mixed with what stood there."""
    run.mkdir(mode=0o700)
    (run / "lock").write_text("99999999999999999\n")
    directory = RuntimeDirectory(str(run))
    assert f"{os.getpid()}\n" == (run / "lock").read_text()
    directory.close()


def test_the_lock_is_not_inherited(directory: RuntimeDirectory) -> None:
    """A template or worker that outlives its daemon must not hold the lock for it."""
    assert not os.get_inheritable(directory._lock_fd)


def test_what_a_dead_daemon_left_is_cleaned(run: Path) -> None:
    """A stale socket and filled slots go, links in them are not followed, and the key stays."""
    (run / "slots" / "s1" / "work").mkdir(parents=True)
    (run / "lock").touch()
    run.chmod(0o700)
    (run / "slots" / "s1" / "work" / "file").write_bytes(b"x")
    outside = run.parent / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x")
    (run / "slots" / "s1" / "link").symlink_to(outside)
    (run / "key").write_bytes(KEY)
    (run / "key").chmod(0o600)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(run / SOCKET_NAME))
    directory = RuntimeDirectory(str(run))
    assert not (run / SOCKET_NAME).exists()
    assert [] == list((run / "slots").iterdir())
    assert (outside / "precious").exists()
    assert directory.key("", None) == KEY
    directory.close()


_UNPRIVILEGED = """
import os, sys
from warmfork.errors import WarmforkError
from warmfork_daemon.runtime_dir import RuntimeDirectory
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.chown(".", 65534, 65534)
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.umask(0o022)
try:
    {before}
    directory = RuntimeDirectory("run")
    {after}
except WarmforkError as problem:
    print(type(problem).__name__, problem)
os.system("chmod -R u+rwx run")
"""


def unprivileged(tmp_path: Path, before: str, after: str) -> str:
    """What a process says that is not root and uses the directory ``run`` of its own."""
    work = tmp_path / "own"
    work.mkdir()
    with python(_UNPRIVILEGED.format(before=before, after=after), str(work)) as process:
        return process.communicate(timeout=60)[0].strip()


def test_slots_that_a_job_locked_are_cleaned(tmp_path: Path) -> None:
    """A job of a killed daemon that closed its own directories (mode 0) does not keep the next daemon from starting."""
    before = "os.makedirs('run/slots/s/work/shut/in'); open('run/lock', 'w').close(); os.chmod('run', 0o700); "
    before += " os.chmod('run/slots/s/work/shut', 0)"
    assert "[]" == unprivileged(tmp_path, before, "print(os.listdir('run/slots'))")


def test_slots_that_a_job_locked_are_removed_at_the_end(tmp_path: Path) -> None:
    """``close`` leaves no slot either, whatever modes are in it."""
    after = "os.makedirs('run/slots/s/shut/in'); os.chmod('run/slots/s/shut', 0); directory.close()"
    assert "['lock']" == unprivileged(tmp_path, "pass", f"{after}; print(os.listdir('run'))")


@pytest.mark.parametrize(
    "before",
    [
        "os.mkdir('run', 0o500)",
        "os.mkdir('run', 0o000)",
        "os.mkdir('run', 0o700); os.symlink('elsewhere', 'run/lock')",
        "os.mkdir('run', 0o700); os.mkdir('run/lock')",
        "os.mkdir('run', 0o700); open('run/slots', 'w').close(); os.mkdir('elsewhere')",
        "os.mkdir('run', 0o700); os.mkdir('elsewhere', 0o700); os.symlink('../elsewhere', 'run/slots')",
    ],
    ids=[
        "not writable",
        "not enterable",
        "lock is a link",
        "lock is a directory",
        "slots is a file",
        "slots is a link",
    ],
)
def test_what_cannot_be_used_is_a_clear_refusal(tmp_path: Path, before: str) -> None:
    """A directory that the daemon cannot lock or clean is put right or a ConfigError; never a traceback."""
    said = unprivileged(tmp_path, before, "print('serving', os.path.isdir('run/slots'), os.path.islink('run/slots'))")
    assert said == "serving True False" or (said.startswith("ConfigError ") and "run" in said), said


def test_a_path_that_is_no_directory_is_refused(run: Path) -> None:
    """The refusal names key and value."""
    run.write_text("")
    with pytest.raises(ConfigError, match=f"runtime_dir = '{run}'"):
        RuntimeDirectory(str(run))


def test_a_directory_of_someone_else_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Owner and own uid are named; nothing is put into it."""
    run.mkdir(mode=0o700)
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    with pytest.raises(ConfigError, match=rf"belongs to uid {run.stat().st_uid} and the daemon runs as {stranger}"):
        RuntimeDirectory(str(run))
    assert [] == list(run.iterdir())


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o770, 0o777, 0o1777])
def test_a_directory_that_others_may_write_is_refused(run: Path, mode: int) -> None:
    """Group and world must not write, with the sticky bit neither; the right mode is named."""
    run.mkdir()
    run.chmod(mode)
    with pytest.raises(ConfigError, match="can be written by others; make it mode 0700"):
        RuntimeDirectory(str(run))
    assert [] == list(run.iterdir())


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755, 0o711])
def test_a_directory_that_others_may_only_read_is_taken(run: Path, mode: int) -> None:
    """An existing directory keeps its mode."""
    run.mkdir()
    run.chmod(mode)
    RuntimeDirectory(str(run)).close()
    assert mode == mode_of(run)


@pytest.mark.parametrize("letter", ["d", "图"])
def test_too_long_a_path_is_refused_before_anything_is_made(tmp_path: Path, letter: str) -> None:
    """Bytes count, the refusal says how many there are and may be; the longest path allowed is made."""
    room = IPC_PATH_BYTES_MAX - len(os.fsencode(tmp_path)) - len(SOCKET_NAME) - 2
    if room < 10:
        pytest.skip("the temporary directory itself is too deep")
    fits = letter * (room // len(letter.encode())) + "d" * (room % len(letter.encode()))
    with pytest.raises(ConfigError, match=rf"{IPC_PATH_BYTES_MAX + 1} bytes .* allows {IPC_PATH_BYTES_MAX}"):
        RuntimeDirectory(str(tmp_path / (fits + "d")))
    assert [] == list(tmp_path.iterdir())
    RuntimeDirectory(str(tmp_path / fits)).close()


@pytest.mark.parametrize(("system", "mode"), [(False, 0o600), (True, 0o640)])
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_key_is_made_once(run: Path, system: bool, mode: int, umask: int) -> None:
    """32 random bytes, of exactly this mode whatever the umask, and the same ones ever after."""
    before = os.umask(umask)
    try:
        directory = RuntimeDirectory(str(run), system=system)
        key = directory.key("", None)
    finally:
        os.umask(before)
    assert (32, mode) == (len(key), mode_of(run / "key"))
    assert (key, key) == (directory.key("", None), (run / "key").read_bytes())
    assert ["key", "lock", "slots"] == sorted(path.name for path in run.iterdir())
    directory.close()
    assert key == (run / "key").read_bytes()


def test_keys_differ(tmp_path: Path) -> None:
    """Each directory gets a key of its own."""
    keys = set()
    for number in range(5):
        directory = RuntimeDirectory(str(tmp_path / str(number)))
        keys.add(directory.key("", None))
        directory.close()
    assert 5 == len(keys)


def test_the_key_is_given_to_the_group(directory: RuntimeDirectory, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket's group gets the key file, before it has its name."""
    given: list[tuple[int, int, bool]] = []
    monkeypatch.setattr(os, "fchown", lambda fd, uid, gid: given.append((uid, gid, (run / "key").exists())))
    directory.key("", 4242)
    assert [(-1, 4242, False)] == given


def test_a_key_file_elsewhere(directory: RuntimeDirectory, tmp_path: Path, run: Path) -> None:
    """``key_file`` is read where it is, made where it is missing, and nothing is put beside the socket."""
    path = tmp_path / "secret"
    key = directory.key(str(path), None)
    assert (key, 0o600) == (path.read_bytes(), mode_of(path))
    assert key == directory.key(str(path), None)
    assert not (run / "key").exists()


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64, 65])
def test_a_key_of_another_length_is_refused(directory: RuntimeDirectory, run: Path, size: int) -> None:
    """The refusal says how many bytes there are and should be; the file is not overwritten."""
    (run / "key").write_bytes(bytes(size))
    (run / "key").chmod(0o600)
    with pytest.raises(KeyUnavailable, match=rf"holds {size} bytes where 32"):
        directory.key("", None)
    assert bytes(size) == (run / "key").read_bytes()


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o644, 0o660, 0o666, 0o777])
def test_a_key_that_others_may_use_is_refused(directory: RuntimeDirectory, run: Path, mode: int) -> None:
    """Nobody but owner and group reads it, nobody but the owner writes it; the modes allowed are named."""
    (run / "key").write_bytes(KEY)
    (run / "key").chmod(mode)
    with pytest.raises(KeyUnavailable, match="0600 or 0640"):
        directory.key("", None)


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640])
def test_a_key_of_a_right_mode_is_taken(directory: RuntimeDirectory, run: Path, mode: int) -> None:
    """A systemd credential is 0400 or 0440; those are as good as our own modes."""
    (run / "key").write_bytes(KEY)
    (run / "key").chmod(mode)
    assert KEY == directory.key("", None)


@pytest.mark.parametrize("place", ["missing/key", "."], ids=["no directory", "is a directory"])
def test_a_key_that_cannot_be_had_is_named(directory: RuntimeDirectory, tmp_path: Path, place: str) -> None:
    """The refusal names the file."""
    with pytest.raises(KeyUnavailable, match="key file"):
        directory.key(str(tmp_path / place), None)


def test_a_scratch_key_left_behind_is_no_obstacle(directory: RuntimeDirectory, run: Path) -> None:
    """A daemon killed while it made its key had, in a container, the same pid as the next one."""
    (run / f".key.{os.getpid()}").write_bytes(b"")
    assert directory.key("", None) == (run / "key").read_bytes()


def test_a_failed_key_leaves_no_scratch(
    directory: RuntimeDirectory, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the key cannot be finished, no half of it stays."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(KeyUnavailable, match="No space left"):
        directory.key("", None)
    assert ["lock", "slots"] == sorted(path.name for path in run.iterdir())


def test_close_takes_socket_and_slots(run: Path) -> None:
    """Lock file and key stay for the next daemon, a socket that is gone already is no matter."""
    for socket_exists in (True, False):
        directory = RuntimeDirectory(str(run))
        directory.key("", None)
        if socket_exists:
            directory.socket_path.touch()
        (directory.slots_dir / "s" / "work").mkdir(parents=True)
        directory.close()
        assert ["key", "lock"] == sorted(path.name for path in run.iterdir())


def test_close_and_remove(run: Path) -> None:
    """With ``remove`` nothing stays, and the place can be used again."""
    directory = RuntimeDirectory(str(run))
    directory.key("", None)
    directory.close(remove=True)
    assert not run.exists()
    RuntimeDirectory(str(run)).close()


def test_each_template_has_slots_of_its_own(run: Path) -> None:
    """The default template's slots are there; another's are made beside them, empty whatever a dead daemon left."""
    (run / "slots-light" / "old").mkdir(parents=True)
    (run / "lock").touch()
    run.chmod(0o700)
    directory = RuntimeDirectory(str(run))
    try:
        assert not (run / "slots-light").exists()
        assert (run / "slots", run / "slots-light") == (
            directory.slots_dir_of("science"),
            directory.slots_dir_of("light"),
        )
        assert (0o700, []) == (mode_of(run / "slots-light"), list((run / "slots-light").iterdir()))
    finally:
        directory.close()
    assert [] == list(run.glob("slots*"))


def test_a_socket_of_the_service_manager_is_left_alone(run: Path) -> None:
    """With ``keep_socket`` neither start nor end removes the socket, on which somebody else listens."""
    run.mkdir(mode=0o700)
    (run / SOCKET_NAME).touch()
    RuntimeDirectory(str(run), keep_socket=True).close()
    assert (run / SOCKET_NAME).exists()
    RuntimeDirectory(str(run)).close()
    assert not (run / SOCKET_NAME).exists()


def test_a_credential_becomes_the_key(directory: RuntimeDirectory, run: Path, tmp_path: Path) -> None:
    """The key from the service manager replaces the one beside the socket, where clients look for it."""
    directory.key("", None)
    credential = tmp_path / "warmfork.key"
    credential.write_bytes(KEY)
    credential.chmod(0o400)
    assert KEY == directory.publish_key(credential, None)
    assert (KEY, 0o600) == ((run / "key").read_bytes(), mode_of(run / "key"))
    assert KEY == directory.key("", None)


@pytest.mark.parametrize("data", [None, b"short"])
def test_a_credential_that_is_no_key_is_refused(
    directory: RuntimeDirectory, tmp_path: Path, data: bytes | None
) -> None:
    """A credential that is missing or of another length is named, and the key beside the socket stays."""
    kept = directory.key("", None)
    credential = tmp_path / "warmfork.key"
    if data is not None:
        credential.write_bytes(data)
        credential.chmod(0o400)
    with pytest.raises(KeyUnavailable, match=r"warmfork\.key"):
        directory.publish_key(credential, None)
    assert kept == directory.key("", None)
