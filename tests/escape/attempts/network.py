"""Sockets of every family, and every way to a listener."""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

from tests.escape.record import NO, Attempt

_CONNECTED = ("connections",)
_INET = "address = (2).to_bytes(2, 'little') + TCP_PORT.to_bytes(2, 'big') + bytes([127, 0, 0, 1]) + bytes(8)\n"
_UNIX = "def unix(path): return (1).to_bytes(2, 'little') + (path if path[:1] == b'\\0' else path + b'\\0')\n"


def _socket(id: str, tries: str, family: str, kind: str, protocol: str = "0", **more: object) -> Attempt:
    code = f"tell(call('socket', {family}, {kind}, {protocol}))"
    return Attempt(id, tries, code, **more)  # type: ignore[arg-type]  # rows name their fields


def _connect(id: str, tries: str, code: str, refusals: tuple[str, ...] = NO) -> Attempt:
    return Attempt(id, tries, code, refusals, _CONNECTED)


_PAIR = "pair = (ctypes.c_int * 2)()\nneed(call('socketpair', 1, {}, 0, pair))\n"
_CHANNEL = (
    "import stat\nchannel = next(f for f in range(3, 256) if call('fstat', f, ctypes.create_string_buffer(256)) == 0 "
    "and stat.S_ISSOCK(os.fstat(f).st_mode))\n"
)
_RIGHTS = (
    "class Header(ctypes.Structure):\n    _fields_ = [(n, ctypes.c_size_t) for n in 'name name_size pieces count control size flags'.split()]\n"
    "control = ctypes.create_string_buffer((20).to_bytes(8, 'little') + (1).to_bytes(4, 'little') + (1).to_bytes(4, 'little') + (0).to_bytes(8, 'little'), 24)\n"
    "data = ctypes.create_string_buffer(b'W')\npiece = (ctypes.c_size_t * 2)(ctypes.addressof(data), 1)\n"
)

ATTEMPTS = (
    _socket("socket-tcp", "makes a TCP socket", "2", "1"),
    _socket("socket-udp", "makes a UDP socket", "2", "2"),
    _socket("socket-raw", "makes a raw IP socket", "2", "3", "1"),
    _socket(
        "socket-ping", "makes a ping socket", "2", "2", "1", control="ping_group_range shuts them for everybody here"
    ),
    _socket("socket-tcp6", "makes a TCP socket of IPv6", "10", "1"),
    _socket("socket-udp6", "makes a UDP socket of IPv6", "10", "2"),
    _socket(
        "socket-mptcp", "makes a multipath TCP socket", "2", "1", "262", control="the kernel may be built without MPTCP"
    ),
    _socket("socket-unix", "makes a unix socket", "1", "1"),
    _socket("socket-unix-datagram", "makes a unix datagram socket", "1", "2"),
    _socket("socket-unix-seqpacket", "makes a unix packet socket", "1", "5"),
    _socket("socket-netlink", "makes a netlink socket", "16", "3", "0"),
    _socket("socket-netlink-audit", "makes a netlink socket of uevents", "16", "2", "15"),
    _socket("socket-packet", "makes a packet socket", "17", "3", "0x300"),
    _socket("socket-vsock", "makes a socket to the machine's host", "40", "1"),
    _socket(
        "socket-alg", "makes a socket of the kernel's ciphers", "38", "5", control="the kernel is built without AF_ALG"
    ),
    _socket(
        "socket-bluetooth", "makes a Bluetooth socket", "31", "3", "0", control="the kernel is built without Bluetooth"
    ),
    _socket("socket-can", "makes a CAN socket", "29", "3", "1", control="the kernel is built without CAN"),
    _socket("socket-xdp", "makes an XDP socket", "44", "3", control="the kernel may be built without AF_XDP"),
    _connect(
        "connect-tcp",
        "connects over TCP on the loopback",
        _INET + "fd = need(call('socket', 2, 1, 0))\ntell(call('connect', fd, address, 16))",
    ),
    _connect(
        "connect-tcp6",
        "connects over IPv6",
        "fd = need(call('socket', 10, 1, 0))\n"
        "address = (10).to_bytes(2, 'little') + TCP6_PORT.to_bytes(2, 'big') + bytes(19) + b'\\x01' + bytes(4)\n"
        "tell(call('connect', fd, address, 28))",
    ),
    _connect(
        "tcp-fast-open",
        "connects by sending",
        _INET + "fd = need(call('socket', 2, 1, 0))\ntell(call('sendto', fd, b'x', 1, 0x20000000, address, 16))",
    ),
    _connect(
        "send-udp",
        "sends a datagram",
        "fd = need(call('socket', 2, 2, 0))\n"
        "address = (2).to_bytes(2, 'little') + UDP_PORT.to_bytes(2, 'big') + bytes([127, 0, 0, 1]) + bytes(8)\n"
        "tell(call('sendto', fd, b'x', 1, 0, address, 16))",
    ),
    Attempt(
        "listen-tcp",
        "listens on a port",
        "fd = need(call('socket', 2, 1, 0))\nneed(call('bind', fd, (2).to_bytes(2, 'little') + bytes(2) + bytes([127, 0, 0, 1]) + bytes(8), 16))\n"
        "tell(call('listen', fd, 1))",
    ),
    _connect(
        "connect-unix",
        "connects to a unix socket outside",
        _UNIX
        + "path = unix(UNIX_PATH.encode())\nfd = need(call('socket', 1, 1, 0))\ntell(call('connect', fd, path, len(path)))",
    ),
    _connect(
        "connect-abstract",
        "connects to an abstract socket",
        _UNIX
        + "path = unix(b'\\0' + ABSTRACT.encode())\nfd = need(call('socket', 1, 1, 0))\ntell(call('connect', fd, path, len(path)))",
    ),
    Attempt(
        "connect-daemon",
        "connects to the daemon as a client",
        _UNIX
        + "path = unix(DAEMON_SOCKET.encode())\nfd = need(call('socket', 1, 1, 0))\ntell(call('connect', fd, path, len(path)))",
    ),
    _connect(
        "pair-sendto-abstract",
        "sends from one end of a socket pair to an abstract socket",
        _UNIX
        + _PAIR.format(2)
        + "path = unix(b'\\0' + ABSTRACT_DATAGRAM.encode())\ntell(call('sendto', pair[0], b'x', 1, 0, path, len(path)))",
    ),
    _connect(
        "pair-sendto-unix",
        "sends from one end of a socket pair to a unix socket outside",
        _UNIX
        + _PAIR.format(2)
        + "path = unix(UNIX_DATAGRAM.encode())\ntell(call('sendto', pair[0], b'x', 1, 0, path, len(path)))",
    ),
    _connect(
        "pair-connect",
        "connects one end of a socket pair anew",
        _UNIX
        + _PAIR.format(2)
        + "path = unix(b'\\0' + ABSTRACT_DATAGRAM.encode())\nneed(call('connect', pair[0], path, len(path)))\n"
        "tell(call('write', pair[0], b'x', 1))",
    ),
    _connect(
        "pair-sendmsg",
        "does the same with sendmsg",
        _UNIX
        + _PAIR.format(2)
        + _RIGHTS
        + "path = ctypes.create_string_buffer(unix(b'\\0' + ABSTRACT_DATAGRAM.encode()))\n"
        "header = Header(ctypes.addressof(path), len(path) - 1, ctypes.addressof(piece), 1, 0, 0, 0)\n"
        "tell(call('sendmsg', pair[0], ctypes.byref(header), 0))",
    ),
    _connect(
        "pair-sendmmsg",
        "does the same with sendmmsg",
        _UNIX
        + _PAIR.format(2)
        + _RIGHTS
        + "path = ctypes.create_string_buffer(unix(b'\\0' + ABSTRACT_DATAGRAM.encode()))\n"
        "header = Header(ctypes.addressof(path), len(path) - 1, ctypes.addressof(piece), 1, 0, 0, 0)\n"
        "both = ctypes.create_string_buffer(bytes(header) + bytes(8))\ntell(call('sendmmsg', pair[0], both, 1, 0))",
    ),
    Attempt(
        "pair-inet",
        "makes a socket pair of another family",
        "tell(call('socketpair', 2, 1, 0, (ctypes.c_int * 2)()), 'ENOTSUP')",
    ),
    Attempt(
        "bind-unix",
        "listens on a unix socket in its directory",
        _UNIX + "path = unix(b'here')\nfd = need(call('socket', 1, 1, 0))\ntell(call('bind', fd, path, len(path)))",
    ),
    Attempt(
        "bind-pair",
        "gives one end of a socket pair a name",
        _UNIX + _PAIR.format(2) + "path = unix(b'here')\ntell(call('bind', pair[0], path, len(path)))",
    ),
    Attempt(
        "bind-abstract",
        "listens on an abstract name",
        _UNIX
        + "path = unix(b'\\0' + MARK.encode())\nfd = need(call('socket', 1, 1, 0))\ntell(call('bind', fd, path, len(path)))",
    ),
    Attempt(
        "pass-descriptor",
        "sends a descriptor to the daemon over its channel",
        _CHANNEL + _RIGHTS + "header = Header(0, 0, ctypes.addressof(piece), 1, ctypes.addressof(control), 24, 0)\n"
        "answer = call('sendmsg', channel, ctypes.byref(header), 0)\ntell(answer)",
        dies=("crashed",),
    ),
    Attempt(
        "receive-descriptor",
        "waits for descriptors on its channel",
        _CHANNEL + _RIGHTS + "header = Header(0, 0, ctypes.addressof(piece), 1, ctypes.addressof(control), 24, 0)\n"
        "tell(call('recvmsg', channel, ctypes.byref(header), 0x40), 'EAGAIN')",
    ),
    Attempt(
        "channel-interfaces",
        "asks its channel for the machine's addresses",
        _CHANNEL
        + "room = ctypes.create_string_buffer(4096)\ntell(call('ioctl', channel, 0x8912, (ctypes.c_size_t * 2)(4096, ctypes.addressof(room))))",
    ),
    Attempt(
        "channel-interface-name",
        "asks its channel for the name of a network device",
        _CHANNEL
        + "room = ctypes.create_string_buffer(bytes(16) + (1).to_bytes(4, 'little'), 40)\ntell(call('ioctl', channel, 0x8910, room))",
    ),
    Attempt(
        "channel-setsockopt",
        "changes its channel's buffers beyond the limit",
        _CHANNEL + "tell(call('setsockopt', channel, 1, 32, ctypes.byref(ctypes.c_int(1 << 20)), 4))",
    ),
    Attempt(
        "socket-filter",
        "attaches a packet filter to a socket pair, which the kernel compiles to code of its own",
        _PAIR.format(2)
        + "rule = (ctypes.c_uint64 * 1)(0xFFFFFFFF00000006)\nprogram = (ctypes.c_uint64 * 2)(1, ctypes.addressof(rule))\n"
        "tell(call('setsockopt', pair[0], 1, 26, program, 16))",
    ),
    Attempt(
        "socket-busy-poll",
        "has the kernel busy-wait for it",
        _PAIR.format(2) + "tell(call('setsockopt', pair[0], 1, 46, ctypes.byref(ctypes.c_int(50)), 4), 'EINVAL')",
    ),
    Attempt(
        "socket-timestamps",
        "has the kernel stamp its datagrams",
        _PAIR.format(2) + "tell(call('setsockopt', pair[0], 1, 37, ctypes.byref(ctypes.c_int(16)), 4))",
    ),
    Attempt(
        "socket-pass-credentials",
        "asks to be told who sends",
        _PAIR.format(2) + "tell(call('setsockopt', pair[0], 1, 16, ctypes.byref(ctypes.c_int(1)), 4))",
    ),
    Attempt(
        "channel-peername",
        "asks its channel for the other end's name",
        _CHANNEL
        + "tell(call('getpeername', channel, ctypes.create_string_buffer(128), ctypes.byref(ctypes.c_int(128))))",
    ),
    _connect(
        "python-connect",
        "connects with Python's socket",
        "import socket\ntell_python(lambda: socket.create_connection(('127.0.0.1', TCP_PORT), 1).close())",
    ),
    _connect(
        "python-c-socket",
        "connects with the C half of Python's socket",
        "import _socket\ndef act():\n    s = _socket.socket(2, 1)\n    s.connect(('127.0.0.1', TCP_PORT))\ntell_python(act)",
    ),
    _connect(
        "python-asyncio",
        "connects with asyncio",
        "import asyncio\nasync def main():\n    r, w = await asyncio.open_connection('127.0.0.1', TCP_PORT)\n    w.close()\n"
        "tell_python(lambda: asyncio.run(main()))",
    ),
)
