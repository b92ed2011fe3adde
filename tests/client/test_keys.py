"""``warmfork keys``: pairs that open only to their owner, never replaced by accident, never shown in full."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from warmfork import cli, curve
from warmfork.errors import KeyUnavailable


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize(("act", "name"), [("server", "server"), ("client", "alice")])
def test_a_pair_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str], act: str, name: str, umask: int) -> None:
    """Two files that belong together, 0644 and 0600 whatever the umask; the public key is printed, the secret one not."""
    out = tmp_path / "new" / "keys"
    before = os.umask(umask)
    try:
        assert 0 == cli.main(["keys", act, "--out", str(out), "--name", name])
    finally:
        os.umask(before)
    public_file, secret_file = out / f"{name}.key", out / f"{name}.key_secret"
    assert [public_file, secret_file] == sorted(out.iterdir())
    assert (0o700, 0o644, 0o600) == (mode_of(out), mode_of(public_file), mode_of(secret_file))
    public, secret = curve.read_key_pair(secret_file)
    assert public == curve.read_public_key(public_file) == zmq.curve_public(secret)
    told = capsys.readouterr()
    assert public.decode() in told.out
    assert secret.decode() not in told.out + told.err
    assert secret not in public_file.read_bytes()


@pytest.mark.parametrize("there", ["alice.key", "alice.key_secret"])
def test_files_that_are_there_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str], there: str) -> None:
    """Either file, even a dangling link, stops it before anything is written; --force makes a new pair."""
    (tmp_path / there).symlink_to(tmp_path / "nowhere")
    arguments = ["keys", "client", "--out", str(tmp_path), "--name", "alice"]
    assert 2 == cli.main(arguments)
    assert "--force" in capsys.readouterr().err
    assert [there] == os.listdir(tmp_path)
    assert 0 == cli.main([*arguments, "--force"])
    assert not (tmp_path / "nowhere").exists()
    first = curve.read_key_pair(tmp_path / "alice.key_secret")
    assert 2 == cli.main(arguments)
    assert first == curve.read_key_pair(tmp_path / "alice.key_secret")
    assert 0 == cli.main([*arguments, "--force"])
    assert first != curve.read_key_pair(tmp_path / "alice.key_secret")
    assert curve.read_public_key(tmp_path / "alice.key") == curve.read_key_pair(tmp_path / "alice.key_secret")[0]


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "ä", "a\n", "-a", "x" * 65])
def test_odd_names_are_refused(tmp_path: Path, name: str) -> None:
    """A name is one path component that is safe in a log; nothing is written otherwise."""
    assert 2 == cli.main(["keys", "client", "--out", str(tmp_path), f"--name={name}"])
    assert [] == os.listdir(tmp_path)


def test_a_client_needs_a_name(tmp_path: Path) -> None:
    """The daemon's log shall name it: there is no default."""
    assert 2 == cli.main(["keys", "client", "--out", str(tmp_path)])


def test_show_prints_public_keys_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From either file of a pair; the secret key is never printed."""
    public_file, secret_file = curve.make_key_pair(tmp_path, "alice")
    public, secret = curve.read_key_pair(secret_file)
    assert 0 == cli.main(["keys", "show", str(public_file), str(secret_file)])
    told = capsys.readouterr().out
    assert [f"{public.decode()}  {path}" for path in (public_file, secret_file)] == told.splitlines()
    assert secret.decode() not in told
    assert 2 == cli.main(["keys", "show", str(tmp_path / "none.key")])


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o666])
def test_a_secret_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """Any right of group or others on the secret key file is one too many, and the message says what to type."""
    _, secret_file = curve.make_key_pair(tmp_path, "alice")
    secret_file.chmod(mode)
    with pytest.raises(KeyUnavailable, match="chmod 600"):
        curve.read_key_pair(secret_file)


def test_what_is_no_key_file_is_refused(tmp_path: Path) -> None:
    """Missing, a directory, a FIFO, cut short, not a pair, the wrong half: each is named, and no secret is quoted."""
    public_file, secret_file = curve.make_key_pair(tmp_path, "alice")
    _, other_file = curve.make_key_pair(tmp_path, "bob")
    public, secret = curve.read_key_pair(secret_file)
    os.mkfifo(tmp_path / "fifo", 0o600)
    bad = {
        "short": secret_file.read_bytes().replace(secret, secret[:-1]),
        "odd": secret_file.read_bytes().replace(secret, b"~" * 40),
        "mixed": secret_file.read_bytes().replace(public, curve.read_key_pair(other_file)[0]),
        "empty": b"",
        "no value": b"public-key\n",
        "binary": b"\xff\0" * 100,
    }
    for name, text in bad.items():
        path = tmp_path / name
        path.write_bytes(text)
        path.chmod(0o600)
        with pytest.raises(KeyUnavailable) as refused:
            curve.read_key_pair(path)
        assert secret[:-1].decode() not in str(refused.value)
    for path in (tmp_path / "none", tmp_path, tmp_path / "fifo"):
        for read in (curve.read_key_pair, curve.read_public_key):
            with pytest.raises(KeyUnavailable, match=str(path)):
                read(path)
    public_file.chmod(0o600)
    with pytest.raises(KeyUnavailable, match="no secret key"):
        curve.read_key_pair(public_file)
    with pytest.raises(KeyUnavailable, match="holds a secret key"):
        curve.read_public_key(secret_file)
    public_file.chmod(0o666)
    with pytest.raises(KeyUnavailable, match="written by others"):
        curve.read_public_key(public_file)


@given(st.one_of(st.text(max_size=50), st.binary(max_size=50), st.text(min_size=40, max_size=40)))
def test_any_text_is_a_key_or_refused(text: str | bytes) -> None:
    """Whatever is given as a key is taken as 40 characters that ZeroMQ takes too, or is a KeyUnavailable."""
    try:
        key = curve.checked_key(text, "it")
    except KeyUnavailable:
        return
    assert 40 == len(key)
