"""CURVE keys, which TCP needs on both sides: in ZeroMQ's certificate files, and on a socket.

A pair is two files: ``NAME.key`` with the public key, to be handed out, and ``NAME.key_secret`` with both, mode 0600.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import zmq
from zmq.auth.certs import create_certificates, load_certificate
from zmq.utils import z85

from warmfork.errors import KeyUnavailable

PUBLIC_SUFFIX: Final = ".key"
SECRET_SUFFIX: Final = ".key_secret"
KEY_CHARS: Final = 40
HEARTBEAT_MS: Final = 10_000
HEARTBEAT_TIMEOUT_MS: Final = 30_000
NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")

_OPEN_TO_OTHERS: Final = 0o077
_WRITABLE_BY_OTHERS: Final = 0o022


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What a client needs to talk to a daemon over TCP; each key as its 40 characters.

    Attributes:
        server: the daemon's public key: nobody else can answer.
        public, secret: the client's own pair.
    """

    server: bytes
    public: bytes
    secret: bytes = field(repr=False)

    def put_on(self, socket: zmq.Socket[Any], address: str) -> None:
        """Let a socket that will be connected to ``address`` speak to this daemon alone."""
        socket.curve_serverkey = self.server
        socket.curve_publickey = self.public
        socket.curve_secretkey = self.secret
        allow_ipv6(socket, address)


def allow_ipv6(socket: zmq.Socket[Any], address: str) -> None:
    """Let a socket use the IPv6 address that ``address`` names; it is off for others, where names could lead astray."""
    if address.startswith("tcp://["):
        socket.setsockopt(zmq.IPV6, 1)


def keep_checked(socket: zmq.Socket[Any]) -> None:
    """Let a socket ask its peers every 10 s whether they are there, and drop those silent for 30 s; they do the same.

    ZeroMQ's own thread answers, whatever the program does meanwhile: silent is who is stopped, cut off, or reads nothing
    until every buffer is full.
    """
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS)


def checked_key(text: str | bytes, what: str) -> bytes:
    """The key that this text is: 40 characters of Z85. Raises KeyUnavailable, which names ``what`` and not the text."""
    try:
        key = text.strip().encode("ascii") if isinstance(text, str) else text.strip()
        if len(key) == KEY_CHARS and len(z85.decode(key)) == KEY_CHARS * 4 // 5:
            return key
    except Exception:  # not ASCII, a character outside the alphabet, or a group over 32 bits: each has its own error
        pass
    raise KeyUnavailable(f"{what} is no CURVE key: expected {KEY_CHARS} characters as `warmfork keys` makes them")


def read_public_key(path: str | Path) -> bytes:
    """The public key in a file ``NAME.key``.

    Raises KeyUnavailable where it cannot be read, others may write it, it holds no key, or it holds a secret one, too.
    """
    mode = _mode_of(path)
    if mode & _WRITABLE_BY_OTHERS:
        raise KeyUnavailable(f"the public key file {path} can be written by others (mode {mode:04o}); make it 0644")
    public, secret = _load(path)
    if secret is not None:
        raise KeyUnavailable(
            f"{path} holds a secret key where a public one belongs; put the file NAME{PUBLIC_SUFFIX} there, and keep "
            f"NAME{SECRET_SUFFIX} with its owner"
        )
    return public


def read_key_pair(path: str | Path) -> tuple[bytes, bytes]:
    """Public and secret key in a file ``NAME.key_secret``.

    Raises KeyUnavailable where it cannot be read, others may read or write it, or the two are no pair.
    """
    mode = _mode_of(path)
    if mode & _OPEN_TO_OTHERS:
        raise KeyUnavailable(
            f"the secret key file {path} is open to others (mode {mode:04o}); type: chmod 600 {path}, and make new keys "
            "if somebody may have read it"
        )
    public, secret = _load(path)
    if secret is None:
        raise KeyUnavailable(f"{path} holds no secret key; name the file NAME{SECRET_SUFFIX} that was made beside it")
    if zmq.curve_public(secret) != public:
        raise KeyUnavailable(f"the public key in {path} does not belong to the secret one; make a new pair")
    return public, secret


def _mode_of(path: str | Path) -> int:
    try:
        facts = os.stat(path)
    except (OSError, ValueError) as problem:
        raise KeyUnavailable(f"the key file {path} cannot be read: {problem}") from None
    if not stat.S_ISREG(facts.st_mode):  # opening a FIFO would wait for ever
        raise KeyUnavailable(f"the key file {path} is no regular file")
    return stat.S_IMODE(facts.st_mode)


def _load(path: str | Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = load_certificate(path)
    except (OSError, ValueError, IndexError) as problem:  # IndexError: a line "public-key" without "="
        raise KeyUnavailable(f"the key file {path} cannot be read: {problem}") from None
    return checked_key(public, f"the public key in {path}"), (
        None if secret is None else checked_key(secret, f"the secret key in {path}")
    )


def make_key_pair(directory: str | Path, name: str, *, replace: bool = False) -> tuple[Path, Path]:
    """A new pair as ``NAME.key`` (0644) and ``NAME.key_secret`` (0600); returns their paths.

    Args:
        directory: made with mode 0700 if missing.
        name: of the pair; for a client, what the daemon's log calls it.
        replace: put it in the place of a pair that is there.

    Raises:
        FileExistsError: a file is there and ``replace`` is False; nothing was changed.
        OSError: it cannot be written.
        ValueError: ``name`` is no name for a file.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name for keys; use letters, digits, and _ . @ - inside, at most 64")
    where = Path(directory)
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    targets = where / f"{name}{PUBLIC_SUFFIX}", where / f"{name}{SECRET_SUFFIX}"
    for target in targets:
        if not replace and os.path.lexists(target):
            raise FileExistsError(f"{target} exists already")
    # pyzmq writes with the umask's mode; in a directory that nobody else can enter that harms nothing.
    with tempfile.TemporaryDirectory(prefix=".keys-", dir=where) as scratch:
        made = [Path(path) for path in create_certificates(scratch, name)]
        for path, mode in zip(made, (0o644, 0o600), strict=True):
            path.chmod(mode)
        # The secret first: a public key alone would be handed out and open nothing.
        for path, target in reversed(list(zip(made, targets, strict=True))):
            if replace:
                os.replace(path, target)
            else:
                os.link(path, target)  # unlike a rename it fails where somebody made the name meanwhile
    return targets
