"""Goes before the code of every attempt and runs inside the job: system calls by number, and the one line of the answer.

Globals given as variables of the job: ``ATTEMPT`` (its id), ``NR`` (numbers by name), and the world's.
"""
# mypy: ignore-errors
# ruff: noqa: F821  (runs after the variables of the job are set; its names come from there)

import errno
import os


def _native():
    # With the Python layer on, ctypes is refused by name. It is loaded all the same: what holds must not be that.
    try:
        import ctypes

        return ctypes
    except ImportError:
        pass
    for kind in object.__subclasses__():
        sys_ = getattr(getattr(kind, "__init__", None), "__globals__", {}).get("sys")
        try:
            if "ctypes" in sys_.modules:
                return sys_.modules["ctypes"]
        except Exception:
            continue
    raise ImportError("no way to ctypes")


ctypes = _native()
# By the handle that the interpreter already holds: opening a library is refused by the Python layer, this is not.
libc = ctypes.CDLL(None, use_errno=True, handle=ctypes.pythonapi._handle)
libc.syscall.restype = ctypes.c_long


def call(name, *arguments):
    """The call's answer, negative errno where it fails. ``name`` is a name or a number; bytes go as a pointer."""
    number = name if isinstance(name, int) else NR[name]
    passed = [
        ctypes.c_long(one) if isinstance(one, int) else ctypes.c_char_p(one) if isinstance(one, bytes) else one
        for one in arguments
    ]
    ctypes.set_errno(0)
    answer = libc.syscall(ctypes.c_long(number), *passed)
    return -ctypes.get_errno() if answer == -1 else answer


def word(answer):
    return errno.errorcode.get(-answer, str(-answer))


def reached(note=""):
    print(f"ESCAPE {ATTEMPT} reached OK {note}", flush=True)


def refused(why):
    print(f"ESCAPE {ATTEMPT} refused {why}", flush=True)
    raise SystemExit


def tell(answer, *let_in):
    """Say how it went. Errno names in ``let_in`` are the kernel's own answers to a call that got through to it."""
    if answer >= 0 or word(answer) in let_in:
        reached(word(answer) if answer < 0 else "")
    else:
        refused(word(answer))


def need(answer):
    """The answer of a step on the way; a refusal ends the attempt."""
    if answer < 0:
        refused(word(answer))
    return answer


def tell_python(act):
    """Run the act; an OSError (also as a cause) is the refusal."""
    try:
        act()
    except OSError as problem:
        refused(errno.errorcode.get(problem.errno, type(problem).__name__))
    except Exception as problem:
        inner = problem.__cause__ or problem.__context__
        refused(errno.errorcode.get(getattr(inner, "errno", None), type(problem).__name__))
    reached()


def show(fd, size=200):
    """Read from the descriptor and print it: the secret is in there, or not."""
    buffer = ctypes.create_string_buffer(size)
    got = need(call("read", fd, buffer, size))
    print(buffer.raw[:got])
    reached()


def show_file(path):
    show(need(call("open", path, os.O_RDONLY)))


AT_FDCWD = -100
outside = OUTSIDE.encode()
canary = CANARY.encode()
writable = WRITABLE.encode()
new = NEW.encode()
