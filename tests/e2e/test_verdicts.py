"""Every verdict, from real jobs in real workers."""

from __future__ import annotations

import pytest

from warmfork import Client, RequestRefused
from warmfork.errors import ValueNotCarried


def test_ok(client: Client) -> None:
    """Code that runs to its end is ok, with its output and no error."""
    result = client.execute("print(1 + 1)")
    assert ("ok", True, "2\n", "", None) == (result.verdict, result.ok, result.stdout, result.stderr, result.error)
    assert result.usage.wall_s > 0
    assert result.usage.cpu_s > 0


def test_error_names_type_message_and_line(client: Client) -> None:
    """An uncaught exception is an error with type, message, line and a traceback of user frames with their source."""
    result = client.execute("def f():\n    return 1 / 0\n\nprint('before')\nf()\n")
    assert ("error", "before\n") == (result.verdict, result.stdout)
    assert result.error is not None
    assert ("ZeroDivisionError", "division by zero", 2) == (result.error.type, result.error.message, result.error.line)
    assert result.error.traceback == result.stderr
    for shown in ('File "<sandbox>", line 5, in <module>', "    f()", "line 2, in f", "return 1 / 0"):
        assert shown in result.error.traceback


def test_tracebacks_show_user_frames_only(client: Client) -> None:
    """Frames of libraries and of the worker are left out, also in chained exceptions."""
    code = "import json\ntry:\n    json.loads('{')\nexcept ValueError as e:\n    raise RuntimeError('no') from e\n"
    result = client.execute(code)
    assert result.error is not None
    files = [line for line in result.error.traceback.splitlines() if line.startswith("  File")]
    assert ['  File "<sandbox>", line 3, in <module>', '  File "<sandbox>", line 5, in <module>'] == files
    assert "direct cause" in result.error.traceback


def test_syntax_error_names_its_line(client: Client) -> None:
    """Code that does not compile is an error that names the line."""
    result = client.execute("x = 1\nif x\n    pass\n")
    assert result.error is not None
    assert ("error", "SyntaxError", 2) == (result.verdict, result.error.type, result.error.line)
    assert 'File "<sandbox>", line 2' in result.stderr


@pytest.mark.parametrize(
    ("code", "verdict", "exit_code"),
    [
        ("import sys; sys.exit()", "ok", 0),
        ("import sys; sys.exit(0)", "ok", 0),
        ("import sys; sys.exit(3)", "error", 3),
        ("raise SystemExit('bye')", "error", 1),
        ("raise KeyboardInterrupt", "error", None),
    ],
)
def test_exits(client: Client, code: str, verdict: str, exit_code: int | None) -> None:
    """SystemExit with None or 0 is ok, with anything else an error with its code; KeyboardInterrupt is an error."""
    result = client.execute(code + "\nimport matplotlib.pyplot as plt; plt.plot([1])")
    assert (verdict, exit_code) == (result.verdict, result.exit_code)


def test_figures_come_back_after_exit(client: Client) -> None:
    """A figure that was open at sys.exit, or when the code raised, comes back."""
    for end in ("import sys; sys.exit(3)", "raise ValueError", "raise SystemExit"):
        result = client.execute(f"plt.plot([1, 2])\n{end}")
        assert ["image/png"] == [chart.media_type for chart in result.charts], end


def test_timeout_keeps_output_so_far(client: Client) -> None:
    """A job over its time is killed; what it wrote, to the last character, comes back."""
    result = client.execute("print('line'); print('no newline', end='')\nwhile True: pass", timeout_s=0.5)
    assert ("timeout", "line\nno newline") == (result.verdict, result.stdout)
    assert result.error is not None
    assert "0.5 s" in result.error.message
    assert 0.5 <= result.usage.wall_s < 5


def test_timeout_ends_native_loops(client: Client) -> None:
    """A loop inside one C call ends at the time limit as well."""
    assert "timeout" == client.execute("x = 3 ** (10 ** 9)", timeout_s=0.5).verdict


def test_charts_saved_before_the_timeout_come_back(client: Client) -> None:
    """Files saved before the kill are charts of the result."""
    result = client.execute("plt.plot([1]); plt.savefig('early.png')\nwhile True: pass", timeout_s=2)
    assert ("timeout", ["early.png"]) == (result.verdict, [chart.file_name for chart in result.charts])


def test_memory_within_the_limit_works(client: Client) -> None:
    """A 500 MB array fits under the default limit of 1 GiB, and the peak says so."""
    result = client.execute("a = np.ones(500_000_000, dtype=np.uint8); print(a.sum())")
    assert ("ok", "500000000\n") == (result.verdict, result.stdout)
    assert 480_000_000 < result.usage.peak_memory_bytes < 700_000_000


def test_memory_over_the_limit_is_said_clearly(client: Client) -> None:
    """A 2 GB array under 1 GiB ends as memory_limit with a message that names limit and remedy."""
    result = client.execute("print('start'); a = np.ones(2_000_000_000, dtype=np.uint8)")
    assert ("memory_limit", "start\n") == (result.verdict, result.stdout)
    assert result.error is not None
    assert "1024 MiB" in result.error.message
    assert "memory_bytes" in result.error.message


def test_a_request_may_set_the_memory_limit(client: Client) -> None:
    """memory_bytes of the request counts, in both directions."""
    code = "a = np.ones(300 << 20, dtype=np.uint8); print(len(a))"
    assert "memory_limit" == client.execute(code, memory_bytes=128 << 20).verdict
    assert "ok" == client.execute(code, memory_bytes=512 << 20).verdict


def test_shared_anonymous_memory_counts(client: Client) -> None:
    """Shared anonymous mappings are under the limit too."""
    result = client.execute("import mmap\nm = mmap.mmap(-1, 3 << 30)\nprint('got it')", policy="off")
    assert ("", False) == (result.stdout, result.ok)


def test_slow_growth_is_seen_by_the_watcher(client: Client) -> None:
    """Memory that grows without one large request ends as memory_limit, by kernel or watcher."""
    code = "keep = []\nwhile True:\n    keep.append(bytearray(1 << 20))"
    assert "memory_limit" == client.execute(code, memory_bytes=200 << 20).verdict


def test_a_caught_memory_error_is_the_jobs_own_affair(client: Client) -> None:
    """Code that handles its MemoryError goes on and is ok."""
    code = "try:\n    a = np.ones(4 << 30, dtype=np.uint8)\nexcept MemoryError:\n    print('caught')"
    result = client.execute(code)
    assert ("ok", "caught\n") == (result.verdict, result.stdout)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import os; os.abort()", "SIGABRT"),
        ("import os; print('x'); os._exit(0)", "exit code 0"),
        ("import os; os._exit(7)", "exit code 7"),
    ],
)
def test_a_worker_that_ends_without_its_report_crashed(unguarded: Client, code: str, said: str) -> None:
    """A signal or an exit past Python is crashed, told by the kernel's word; the next job runs."""
    result = unguarded.execute(code, policy="off")
    assert "crashed" == result.verdict
    assert result.error is not None
    assert said in result.error.message
    assert unguarded.execute("print('next')").ok


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os.abort()", "SIGSEGV"),  # the guard refuses the signal to itself; libc then ends by a trap
        ("import os; os._exit(7)", "exit code 7"),
    ],
)
def test_a_guarded_worker_that_ends_without_its_report_crashed(client: Client, code: str, said: str) -> None:
    """Under the guard too a worker's own end is told by the kernel's word."""
    result = client.execute(code, policy="off")
    assert ("crashed", True) == (result.verdict, said in (result.error.message if result.error else ""))


def test_cpu_limit(client: Client) -> None:
    """CPU time beyond factor times timeout is cpu_limit: threads burn it faster than the clock runs."""
    code = (
        "import hashlib, threading\n"
        "data = bytes(1 << 24)\n"
        "def burn():\n    while True: hashlib.sha256(data)\n"
        "ts = [threading.Thread(target=burn) for _ in range(4)]\n"
        "[t.start() for t in ts]\n[t.join() for t in ts]\n"
    )
    from warmfork import embedded

    with embedded(policy="off", settings={"limits.cpu_factor": 0.1}) as private:
        result = private.execute(code, timeout_s=20)
    assert "cpu_limit" == result.verdict


def test_a_file_over_the_limit_is_disk_limit(client: Client) -> None:
    """A single file beyond its bound ends as disk_limit (EFBIG)."""
    code = "with open('big', 'wb') as f:\n    f.truncate(300 << 20)\n    f.seek(300 << 20)\n    f.write(b'x')"
    assert "disk_limit" == client.execute(code).verdict


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"timeout_s": 100_000.0}, "bad_request|limit_not_allowed"),
        ({"timeout_s": 3_000.0}, "limit_not_allowed"),
        ({"memory_bytes": 1 << 40}, "limit_not_allowed"),
        ({"policy": "lax"}, "policy_not_allowed"),
        ({"template": "nobody"}, "unknown_template"),
    ],
)
def test_what_is_not_allowed_is_refused(client: Client, arguments: dict[str, object], code: str) -> None:
    """A request beyond the daemon's bounds raises RequestRefused (or ValueError at once) and says what is allowed."""
    with pytest.raises((RequestRefused, ValueError)) as caught:
        client.execute("print(1)", **arguments)  # type: ignore[arg-type]  # parametrized
    if isinstance(caught.value, RequestRefused):
        assert caught.value.code in code.split("|")


def test_code_over_its_bound_is_refused(client: Client) -> None:
    """Source beyond 1 MiB is refused with that number."""
    with pytest.raises(RequestRefused, match="1048576 bytes"):
        client.execute("#" * (2 << 20))


def test_values_that_cannot_travel_are_refused_before_anything_is_sent(client: Client) -> None:
    """A variable the protocol cannot carry raises ValueNotCarried and names it."""
    with pytest.raises(ValueNotCarried, match="frame"):
        client.execute("print(frame)", variables={"frame": object()})


def test_bad_rc_is_an_error_of_the_job(client: Client) -> None:
    """A matplotlib setting that does not exist ends the job before its code, and says why."""
    result = client.execute("print('ran')", rc={"no.such.key": 1})
    assert ("error", "") == (result.verdict, result.stdout)
    assert result.error is not None
    assert "no.such.key" in result.error.message
