"""Starting another program, or native code that was not there when the worker was made."""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

from tests.escape.record import NO, NO_FILE, Attempt

_EXEC = ("EPERM", "EACCES", "ENOENT")
_ECHO = (
    "say = (ctypes.c_char_p * 3)(b'echo', b'ESCAPE %s reached OK' % ATTEMPT.encode(), None)\n"
    "none = (ctypes.c_char_p * 1)(None)\n"
)
# mov eax, 42; ret
_CODE = "code = bytes.fromhex('b82a000000c3')\n"
_RUN = "answer = ctypes.CFUNCTYPE(ctypes.c_int)(where)()\nassert answer == 42\nreached()"
_DLOPEN = (
    "libc.dlopen.restype = ctypes.c_void_p\nhandle = libc.dlopen(target.encode(), 2)\n"
    "libc.dlerror.restype = ctypes.c_char_p\n"
    "if handle: reached()\nelse: print(libc.dlerror()); refused('EPERM')"
)


def _copied(directory: str) -> str:
    return (
        f"source = open(SHARED_OBJECT, 'rb').read()\ntarget = {directory} + '/' + MARK + '.so'\n"
        "fd = need(call('open', target.encode(), os.O_CREAT | os.O_RDWR, 0o700))\n"
        "os.write(fd, source)\n"
    )


def _exec(id: str, tries: str, code: str, refusals: tuple[str, ...] = _EXEC) -> Attempt:
    return Attempt(id, tries, _ECHO + code, refusals)


def _run(id: str, tries: str, code: str, refusals: tuple[str, ...] = NO) -> Attempt:
    return Attempt(id, tries, _CODE + code, refusals)


ATTEMPTS = (
    _exec("exec-execve", "becomes /bin/echo", "tell(call('execve', b'/bin/echo', say, none))"),
    _exec(
        "exec-execveat",
        "becomes /bin/echo through execveat",
        "tell(call('execveat', AT_FDCWD, b'/bin/echo', say, none, 0))",
    ),
    _exec(
        "exec-execveat-fd",
        "becomes a program by its descriptor alone",
        "fd = need(call('open', b'/bin/echo', os.O_PATH))\ntell(call('execveat', fd, b'', say, none, 0x1000))",
    ),
    _exec(
        "exec-loader",
        "has the dynamic loader run /bin/echo",
        "say = (ctypes.c_char_p * 4)(b'ld', b'/bin/echo', say[1], None)\n"
        "tell(call('execve', b'/lib64/ld-linux-x86-64.so.2', say, none))",
    ),
    _exec(
        "exec-interpreter",
        "becomes a fresh Python",
        "import sys\nsay = (ctypes.c_char_p * 5)(b'python', b'-I', b'-c', b'print(\"ESCAPE %s reached OK\")' % ATTEMPT.encode(), None)\n"
        "tell(call('execve', os.path.realpath(sys.executable).encode(), say, none))",
    ),
    _exec(
        "exec-own-script",
        "runs a script that it wrote",
        "fd = need(call('open', b'run', os.O_CREAT | os.O_WRONLY, 0o700))\n"
        "os.write(fd, b'#!/bin/sh\\necho \"ESCAPE %s reached OK\"\\n' % ATTEMPT.encode())\nos.close(fd)\n"
        "tell(call('execve', b'./run', say, none))",
    ),
    _exec(
        "exec-own-binary",
        "runs a copy of a program in its directory",
        "source = need(call('open', b'/bin/echo', os.O_RDONLY))\nfd = need(call('open', b'run', os.O_CREAT | os.O_WRONLY, 0o700))\n"
        "need(call('copy_file_range', source, 0, fd, 0, 1 << 24, 0))\nos.close(fd)\ntell(call('execve', b'./run', say, none))",
    ),
    _exec(
        "exec-memfd",
        "runs a script that exists in memory only",
        "fd = need(call('memfd_create', b'x', 0))\n"
        "os.write(fd, b'#!/bin/sh\\necho \"ESCAPE %s reached OK\"\\n' % ATTEMPT.encode())\n"
        "tell(call('execve', b'/proc/self/fd/%d' % fd, say, none))",
    ),
    _exec(
        "exec-posix-spawn",
        "starts a program with libc's posix_spawn",
        "pid = ctypes.c_int()\nfailed = libc.posix_spawn(ctypes.byref(pid), b'/bin/echo', None, None, say, none)\n"
        "if failed: refused(errno.errorcode[failed])\nos.waitpid(pid.value, 0)",
    ),
    _exec(
        "exec-system",
        "starts a shell with libc's system",
        "status = libc.system(b'echo \"ESCAPE %s reached OK\"' % ATTEMPT.encode())\nif status: refused('EPERM')",
    ),
    _exec(
        "exec-popen",
        "starts a shell with libc's popen",
        "libc.popen.restype = ctypes.c_void_p\npipe = libc.popen(b'echo \"ESCAPE %s reached OK\"' % ATTEMPT.encode(), b'w')\n"
        "if not pipe: refused(errno.errorcode[ctypes.get_errno()])\nlibc.pclose(ctypes.c_void_p(pipe))",
        (*_EXEC, "ENOMEM"),  # libc's word for a clone that failed
    ),
    _exec(
        "exec-subprocess",
        "uses subprocess",
        "import subprocess\ntell_python(lambda: subprocess.run(['/bin/echo'], check=True))",
    ),
    _exec("exec-os-system", "uses os.system", "tell(-1 if os.system('true') else 0)"),
    _run(
        "code-mmap-exec",
        "maps writable and executable memory and runs code in it",
        "where = need(call('mmap', 0, 4096, 7, 0x22, -1, 0))\nctypes.memmove(where, code, len(code))\n" + _RUN,
    ),
    _run(
        "code-mprotect",
        "makes memory executable after writing to it",
        "where = need(call('mmap', 0, 4096, 3, 0x22, -1, 0))\nctypes.memmove(where, code, len(code))\n"
        "need(call('mprotect', where, 4096, 5))\n" + _RUN,
    ),
    _run(
        "code-pkey-mprotect",
        "makes memory executable with pkey_mprotect",
        "where = need(call('mmap', 0, 4096, 3, 0x22, -1, 0))\nctypes.memmove(where, code, len(code))\n"
        "need(call('pkey_mprotect', where, 4096, 5, -1))\n" + _RUN,
    ),
    _run(
        "code-shared-exec",
        "maps shared anonymous memory as executable",
        "where = need(call('mmap', 0, 4096, 7, 0x21, -1, 0))\nctypes.memmove(where, code, len(code))\n" + _RUN,
    ),
    _run(
        "code-personality",
        "has every readable mapping made executable",
        "need(call('personality', 0x0400000))\nwhere = need(call('mmap', 0, 4096, 3, 0x22, -1, 0))\n"
        "ctypes.memmove(where, code, len(code))\n" + _RUN,
    ),
    _run(
        "code-mapped-file",
        "maps a file that it wrote as executable",
        "fd = need(call('open', b'code', os.O_CREAT | os.O_RDWR, 0o700))\nos.write(fd, code + bytes(4090))\n"
        "where = need(call('mmap', 0, 4096, 5, 2, fd, 0))\n" + _RUN,
        NO,
    ),
    _run(
        "code-mapped-file-shared",
        "maps it shared, writable and executable",
        "fd = need(call('open', b'code', os.O_CREAT | os.O_RDWR, 0o700))\nos.write(fd, bytes(4096))\n"
        "where = need(call('mmap', 0, 4096, 7, 1, fd, 0))\nctypes.memmove(where, code, len(code))\n" + _RUN,
    ),
    _run(
        "code-mapped-temp",
        "maps a file that it wrote in its temporary directory",
        "fd = need(call('open', os.environ['TMPDIR'].encode() + b'/code', os.O_CREAT | os.O_RDWR, 0o700))\n"
        "os.write(fd, code + bytes(4090))\nwhere = need(call('mmap', 0, 4096, 5, 2, fd, 0))\n" + _RUN,
        NO,
    ),
    _run(
        "code-mapped-then-mprotect",
        "maps a file that it wrote and makes it executable afterwards",
        "fd = need(call('open', b'code', os.O_CREAT | os.O_RDWR, 0o700))\nos.write(fd, code + bytes(4090))\n"
        "where = need(call('mmap', 0, 4096, 1, 2, fd, 0))\nneed(call('mprotect', where, 4096, 5))\n" + _RUN,
    ),
    _run(
        "code-memfd",
        "maps a memfd as executable",
        "fd = need(call('memfd_create', b'x', 0))\nos.write(fd, code + bytes(4090))\n"
        "where = need(call('mmap', 0, 4096, 5, 1, fd, 0))\n" + _RUN,
    ),
    _run(
        "code-dev-zero",
        "maps /dev/zero as executable",
        "fd = need(call('open', b'/dev/zero', os.O_RDWR))\nwhere = need(call('mmap', 0, 4096, 7, 2, fd, 0))\n"
        "ctypes.memmove(where, code, len(code))\n" + _RUN,
        NO_FILE,
    ),
    _run(
        "code-sysv",
        "attaches a System V segment as executable",
        "key = need(call('shmget', 0, 4096, 0o1700))\nwhere = call('shmat', key, 0, 0o100000)\ncall('shmctl', key, 0, 0)\n"
        "need(where)\nctypes.memmove(where, code, len(code))\n" + _RUN,
    ),
    _run(
        "code-patch-libc",
        "makes libc's own code writable and changes it",
        "where = ctypes.cast(libc.gnu_dev_makedev, ctypes.c_void_p).value\nneed(call('mprotect', where & ~4095, 8192, 7))\n"
        "ctypes.memmove(where, code, len(code))\n" + _RUN,
    ),
    _run(
        "code-private-copy-of-libc",
        "maps a library privately, writable and executable, and changes its copy",
        "fd = need(call('open', SHARED_OBJECT.encode(), os.O_RDONLY))\nwhere = need(call('mmap', 0, 4096, 7, 2, fd, 0))\n"
        "ctypes.memmove(where, code, len(code))\n" + _RUN,
    ),
    _run(
        "code-private-copy-in-two-steps",
        "maps a library writable, changes its copy and makes it executable",
        "fd = need(call('open', SHARED_OBJECT.encode(), os.O_RDONLY))\nwhere = need(call('mmap', 0, 4096, 3, 2, fd, 0))\n"
        "ctypes.memmove(where, code, len(code))\nneed(call('mprotect', where, 4096, 5))\n" + _RUN,
    ),
    _run(
        "code-proc-self-mem",
        "writes to its code through /proc/self/mem, which asks for no permission to write",
        "where = ctypes.cast(libc.gnu_dev_makedev, ctypes.c_void_p).value\nfd = need(call('open', b'/proc/self/mem', os.O_RDWR))\n"
        "need(call('pwrite64', fd, code, len(code), where))\n" + _RUN,
        NO_FILE,
    ),
    Attempt("code-dlopen-own", "loads a library that it wrote into its directory", _copied("os.getcwd()") + _DLOPEN),
    Attempt(
        "code-dlopen-temp",
        "loads a library that it wrote into its temporary directory",
        _copied("os.environ['TMPDIR']") + _DLOPEN,
    ),
    Attempt("code-dlopen-shm", "loads a library that it wrote to /dev/shm", _copied("'/dev/shm'") + _DLOPEN, NO_FILE),
    Attempt(
        "code-memfd-secret",
        "makes memory that nobody else can look at",
        "tell(call('memfd_secret', 0))",
        ("EPERM", "ENOSYS"),
        control="the kernel may be booted without secretmem, and answers ENOSYS then",
    ),
)
