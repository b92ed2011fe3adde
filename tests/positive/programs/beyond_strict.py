"""What the strict policy keeps from user code and the kernel does not: runs under ``standard`` and ``off``."""

# mypy: ignore-errors
# Programs as jobs bring them: they are run, and not by this interpreter.

import asyncio
import ctypes
import faulthandler
import fcntl
import gc
import inspect
import multiprocessing.dummy
import os
import pickle
import queue
import resource
import sched
import select
import selectors
import shelve
import shutil
import signal
import socket
import tempfile
import threading
import time
import traceback
import tracemalloc
import urllib.request
from pathlib import Path


def check_tempfile() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
    with tempfile.NamedTemporaryFile("w+", suffix=".csv") as named:
        named.write("a")
        named.flush()
        assert Path(named.name).read_text() == "a"
    kept = tempfile.NamedTemporaryFile(delete=False)  # noqa: SIM115  # this way is what is looked at
    kept.close()
    os.unlink(kept.name)
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "a" / "b").mkdir(parents=True)
        (Path(directory) / "a" / "b" / "c").write_text("x")
    assert not os.path.exists(directory)
    fd, path = tempfile.mkstemp(dir=".")
    os.close(fd)
    os.remove(path)
    os.rmdir(tempfile.mkdtemp())
    with tempfile.SpooledTemporaryFile(max_size=10) as spooled:
        spooled.write(b"x" * 100)
    assert tempfile.gettempdir() == os.environ["TMPDIR"]


def check_shutil() -> None:
    Path("from").mkdir()
    Path("from/a.txt").write_text("a" * 100_000)
    shutil.copy("from/a.txt", "copy.txt")
    shutil.copy2("from/a.txt", "copy2.txt")
    shutil.copyfile("from/a.txt", "copyfile.txt")
    shutil.copymode("from/a.txt", "copy.txt")
    shutil.copystat("from/a.txt", "copy.txt")
    shutil.copytree("from", "tree_copy")
    shutil.copytree("from", "tree_copy", dirs_exist_ok=True)
    shutil.move("copy.txt", "tree_copy/moved.txt")
    shutil.move("tree_copy", "tree_moved")
    shutil.move("copy2.txt", os.environ["TMPDIR"])
    for kind in ("zip", "gztar", "xztar", "bztar", "tar"):
        name = shutil.make_archive(f"archive_{kind}", kind, "from")
        shutil.unpack_archive(name, f"unpacked_{kind}")
        assert Path(f"unpacked_{kind}/a.txt").stat().st_size == 100_000
    shutil.rmtree("tree_moved")
    assert shutil.disk_usage(".").total > 0
    assert shutil.which("no-such-program") is None
    shutil.get_terminal_size()


def check_pickle() -> None:
    with open("p.pkl", "wb") as file:
        pickle.dump({"a": [1, 2]}, file)
    with open("p.pkl", "rb") as file:
        assert pickle.load(file) == {"a": [1, 2]}
    with shelve.open("shelf") as shelf:
        shelf["k"] = 1
    with shelve.open("shelf") as shelf:
        assert shelf["k"] == 1


def check_threads() -> None:
    found: queue.Queue[int] = queue.Queue()
    threads = [
        threading.Thread(target=found.put, args=(number,), daemon=bool(number % 2)) for number in range(10)
    ]  # Python 3.13 keeps a stack until the join
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.qsize() == 10
    barrier = threading.Barrier(3)
    with multiprocessing.dummy.Pool(3) as pool:
        pool.map(lambda _: barrier.wait(5), range(3))
    late = threading.Timer(0.001, found.put, (1,))
    late.start()
    late.join()
    threading.local()
    assert threading.get_native_id() > 0
    threading.stack_size(256 * 1024)
    small = threading.Thread(target=time.sleep, args=(0.001,))
    small.start()
    small.join()
    threading.stack_size(0)


def check_signals() -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGTERM, before)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    assert signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    signal.set_wakeup_fd(-1)
    signal.siginterrupt(signal.SIGUSR1, False)


def check_event_loops() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"hello")
        assert right.recv(5) == b"hello"
        left.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(left, selectors.EVENT_READ)
            assert selector.select(0) == []
        poller = select.poll()
        poller.register(right, select.POLLIN)
        assert poller.poll(0) == []
        left.shutdown(socket.SHUT_WR)
        assert select.select([right], [], [], 1)[0] == [right]
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, b"x")
    assert os.read(reading, 9) == b"x"
    os.close(reading)
    os.close(writing)

    async def over_a_pair() -> bytes:
        one, two = socket.socketpair()
        reader, other = await asyncio.open_connection(sock=one)
        _, writer = await asyncio.open_connection(sock=two)
        writer.write(b"line\n")
        await writer.drain()
        line = await reader.readline()
        for end in (writer, other):
            end.close()
            await end.wait_closed()
        return line

    assert asyncio.run(over_a_pair()) == b"line\n"


def check_introspection() -> None:
    gc.collect()
    tracemalloc.start()
    tracemalloc.take_snapshot()
    tracemalloc.stop()
    assert inspect.signature(Path.read_text)
    assert "check_introspection" in "".join(traceback.format_stack())
    faulthandler.enable()
    faulthandler.disable()
    resource.getrusage(resource.RUSAGE_SELF)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0
    ctypes.string_at(ctypes.create_string_buffer(b"x"))
    assert ctypes.CDLL(None).getpid() == os.getpid()


def check_locks() -> None:
    with open("lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.fcntl(file, fcntl.F_GETFD)


def check_data_url() -> None:
    with urllib.request.urlopen("data:text/plain;base64,aGk=") as answer:
        assert answer.read() == b"hi"


def check_scheduler() -> None:
    done: list[int] = []
    plan = sched.scheduler()
    plan.enter(0.001, 1, done.append, (1,))
    plan.run()
    assert done == [1]
