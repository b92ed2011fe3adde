"""``warmfork top`` without a daemon and, but for its keys, without a terminal: the model, the drawing, the keys."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console
from tests.support import environment

from warmfork import cli
from warmfork.cli import top as top_command
from warmfork.cli.keyboard import Keyboard, keys_of
from warmfork.cli.terminal import harmless
from warmfork.cli.top_model import BLOCKS, BLOCKS_ASCII, Choice, View, outcome_text, spark, view_of, window
from warmfork.cli.top_poll import Poller
from warmfork.cli.top_screen import draw
from warmfork.errors import DaemonUnreachable

FIRST, SECOND = "aa" * 16, "bb" * 16


def status(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "version": "0.1.0",
        "pid": 12,
        "uptime_s": 3_700.0,
        "addresses": ["ipc:///run/warmfork/warmfork.sock"],
        "guard": {"unguarded": False, "safe": True},
        "process": {"rss_bytes": 32 << 20, "open_files": 41},
        "templates": [{"name": "science", "state": "ready", "generation": 3, "problem": ""}],
        "workers": {
            "running_max": 6,
            "by_state": {"busy": 2, "idle": 1},
            "forks": 90,
            "list": [
                {"pid": 31, "template": "science", "state": "idle", "age_s": 5.0, "job_id": "", "rss_bytes": 129 << 20},
                {"pid": 32, "template": "science", "state": "busy", "age_s": 4.0, "job_id": FIRST, "rss_bytes": 1 << 30},
                {"pid": 33, "template": "science", "state": "busy", "age_s": 3.0, "job_id": SECOND, "rss_bytes": 1 << 20},
            ],
        },
        "running": [
            {"job_id": FIRST, "uid": 1000, "client": "", "running_s": 2.5, "timeout_s": 120.0},
            {"job_id": SECOND, "uid": -1, "client": "agents-7", "running_s": 0.25, "timeout_s": 10.0},
        ],
        "queue": {
            "jobs": 4, "jobs_max": 1_000, "bytes": 2_048, "owners": 2, "tenants": 3,
            "list": [
                {"uid": 1000, "client": "", "tenant": "nightly", "jobs": 3, "queue_share": 0.75, "turn_share": 0.25},
                {"uid": -1, "client": "agents-8", "tenant": "", "jobs": 1, "queue_share": 0.25, "turn_share": 0.5},
            ],
        },
        "jobs": {"by_verdict": {"ok": 80, "timeout": 2}, "kills": {"timeout": 2}},
        "rates": [{"window_s": 1, "submitted": 3.0, "answered": 2.0, "not_ok": 1.0}],
        "latency": {
            "jobs": 82,
            "phases": [{"phase": "run", "p50_s": 0.01, "p90_s": 0.5, "p99_s": 1.5, "max_s": 2.0}],
            "recent_total_s": [0.0, 1.0, 2.0],
            "answered_by_second": [0, 0, 4],
            "mean": {"queued_s": 0.25, "executed_s": 1.5, "signed_s": 0.0001},
        },
        "failures": [
            {"ago_s": 1.5, "job_id": SECOND, "verdict": "rejected", "error": "QueueFull", "uid": 1000, "client": "",
             "template": "science", "times": 7},
        ],
        "requests": {"refused": {"bad_request": 1}, "undelivered_replies": 3},
    }  # fmt: skip
    return {**made, **changes}


def text_of(
    view: View, choice: Choice | None = None, message: str = "", *, live: bool = True, size: tuple[int, int] = (160, 50)
) -> str:
    console = Console(file=io.StringIO(), width=size[0], height=size[1], color_system=None, legacy_windows=False)
    with console.capture() as picture:
        console.print(draw(view, console, choice or Choice(), message, live=live))
    return picture.get()


def test_everything_is_on_the_screen() -> None:
    """Workers with what they run and whose it is, queue, rates, latency, kills and failures are all shown."""
    text = text_of(view_of(status()))
    for words in (
        "warmfork 0.1.0, pid 12, up 1 h 1 min, ipc:///run/warmfork/warmfork.sock", "2 of 6", "4 of 1000, 2.0 KiB",
        "2 busy, 1 idle; 90 forks", "80 ok, 2 timeout", "1 bad_request", "science 3", "32.0 MiB, 41 open files",
        "3 in, 2 out, 1 not ok, a second", "uid 1000", "agents-7", "2.5 of 120 s", "1.0 GiB", FIRST[:12], "1.5 s ago",
        "waiting: 3 of 2 owners", "nightly", "75%", "agents-8", "50%", "queued 250 ms, executed 1.5 s",
        "rejected x7", "QueueFull", "500 ms", BLOCKS[-1],
    ):  # fmt: skip
        assert words in text, words
    assert "!" not in text


def test_busy_workers_come_first() -> None:
    """Rows with a job stand above idle ones, and only they can be selected."""
    view = view_of(status())
    assert (FIRST, SECOND, "") == view.jobs
    assert ["32", "33", "31"] == [row[0] for row in view.workers.rows]


@pytest.mark.parametrize(
    ("changes", "alarm"),
    [
        ({"guard": {"unguarded": True, "safe": False}}, "UNGUARDED"),
        ({"guard": {"unguarded": False, "safe": False}}, "not proved"),
        (
            {"templates": [{"name": "light", "state": "failed", "problem": "no such file"}]},
            "light is failed: no such file",
        ),
        ({"queue": {"jobs": 9, "jobs_max": 9, "bytes": 0}}, "queue is full"),
    ],
)
def test_alarms(changes: Mapping[str, Any], alarm: str) -> None:
    """What an operator must see stands at the top."""
    view = view_of(status(**changes))
    assert alarm in " ".join(view.alarms)
    assert f"! {view.alarms[0]}" in text_of(view)


def hostile(value: Any) -> Any:
    """The same structure with an escape sequence, markup, a bell, newlines and an override in every text."""
    if isinstance(value, dict):
        return {name: hostile(one) for name, one in value.items()}
    if isinstance(value, list):
        return [hostile(one) for one in value]
    return f"{value}\x1b]0;owned\x07\x1b[2J[bold]\r\n\u202e\x9b31m" + "é" * 300 if isinstance(value, str) else value


@pytest.mark.parametrize("live", [True, False])
def test_nothing_steers_the_terminal(live: bool) -> None:
    """Whatever text a status holds, no control character of it reaches the terminal, and markup stays text."""
    text = text_of(view_of(hostile(status())), live=live, size=(600, 50))
    assert harmless(text) == text
    for cell in ("science", "rejected", "QueueFull", "run", "nightly"):
        assert f"{cell}\\x1b]0;owned\\x07\\x1b[2J[bold]" in text
    message = outcome_text("\x1b[2J", "\x1b[2J")
    assert harmless(message) == message


@pytest.mark.parametrize("answer", [{}, {"workers": None, "queue": 3, "latency": [], "templates": {}, "running": "x"}])
def test_a_daemon_that_says_less(answer: dict[str, Any]) -> None:
    """What an older daemon does not say is left out, and nothing fails."""
    assert "warmfork" in text_of(view_of(answer))


@pytest.mark.parametrize(("height", "width"), [(10, 80), (24, 80), (30, 120), (45, 160)])
def test_it_fits_and_shows_the_selected(height: int, width: int) -> None:
    """With more workers than lines, the selected one is among those shown, the rest is counted, and messages are seen."""
    ids = [f"{number:032x}" for number in range(100)]
    listed = [
        {"pid": 1_000 + number, "state": "busy", "template": "science", "age_s": 1.0, "job_id": one, "rss_bytes": 1}
        for number, one in enumerate(ids)
    ]
    running = [{"job_id": one, "uid": 1, "running_s": 1.0, "timeout_s": 2.0} for one in ids]
    view = view_of(status(workers={"by_state": {"busy": 100}, "running_max": 100, "list": listed}, running=running))
    lines = text_of(view, Choice(ids[57]), "told", size=(width, height)).splitlines()
    assert len(lines) <= height
    assert any("1057" in line and ids[57][:12] in line and "1.0 of 2 s" in line for line in lines)
    assert any("more" in line for line in lines)
    assert "told" == lines[1].strip()
    assert any("running" in line and "100 of 100" in line for line in lines)


def test_window() -> None:
    """A window holds the selected row, never more rows than there are, and nothing when there is no room."""
    assert range(3) == window(3, None, 10)
    assert range(4) == window(9, None, 4)
    assert range(3, 7) == window(9, 5, 4)
    assert range(5, 9) == window(9, 8, 4)
    assert [] == list(window(9, 3, 0))
    for selected in range(9):
        assert selected in window(9, selected, 4)


def test_spark() -> None:
    """One character a value, from nothing to the highest, and only the last ones when there is no room."""
    assert "▁▅█" == spark([0, 1, 2], 10)
    assert "▅█" == spark([0, 1, 2], 2)
    assert "___" == spark([0, 0, 0], 5, BLOCKS_ASCII)
    assert "" == spark([], 5)
    assert "▁█" == spark([float("nan"), 3], 5)
    assert BLOCKS == spark(range(8), 8)


def test_choosing() -> None:
    """Keys walk through the jobs and around; c asks, and only y cancels."""
    jobs = (FIRST, SECOND, "")
    none = Choice()
    first, act = none.press("down", jobs)
    assert (FIRST, "") == (first.job_id, act)
    second = first.press("j", jobs)[0]
    assert (SECOND, FIRST) == (second.job_id, second.press("down", jobs)[0].job_id)
    assert (SECOND, FIRST) == (none.press("up", jobs)[0].job_id, second.press("k", jobs)[0].job_id)
    asking, act = first.press("c", jobs)
    assert (True, "") == (asking.asking, act)
    assert (first, "cancel") == asking.press("y", jobs)
    for key in ("n", "c", "down", " ", "\n"):
        assert (first, "") == asking.press(key, jobs)
    assert (none, "") == none.press("c", jobs)
    assert (none, "") == none.press("down", ("", ""))
    for choice in (none, first, asking):
        assert "quit" == choice.press("q", jobs)[1]
    assert none == asking.still((SECOND, ""))
    assert asking == asking.still(jobs)


def test_asking_is_shown() -> None:
    """Before a job is cancelled the screen asks, with its id; afterwards the answer stands there."""
    view = view_of(status())
    assert f"cancel job {FIRST[:12]}?" in text_of(view, Choice(FIRST, asking=True), "old news")
    assert "old news" in text_of(view, message="old news")
    assert "cancelled job aaaaaaaaaaaa (running)" == outcome_text(FIRST, "running")
    assert "somebody else's" in outcome_text(FIRST, "unknown")


def test_keys_of_a_terminal() -> None:
    """Arrows are one key; other sequences, a paste of garbage among them, press nothing by their letters."""
    assert ["up", "down", "up", "q"] == keys_of("\x1b[A\x1b[B\x1bOAq")
    assert [] == keys_of("\x1b[1;5q\x1b[200~\x1bq\x1b")
    assert ["j"] == keys_of("\x1b[3~j")


def test_the_terminal_is_restored() -> None:
    """Keys come without a newline while the block lasts; the terminal is as before after it, also after an error."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "r", closefd=True) as stream:
        before = termios.tcgetattr(slave)
        with contextlib.suppress(ZeroDivisionError), Keyboard(stream) as keyboard:
            os.write(master, b"jq")
            assert ["j", "q"] == keyboard.read(5.0)
            assert [] == keyboard.read(0.0)
            assert before != termios.tcgetattr(slave)
            _ = 1 / 0
        assert before == termios.tcgetattr(slave)
        with Keyboard(stream) as keyboard:
            os.close(master)
            assert ["q"] == keyboard.read(5.0)  # whose terminal is gone wants no picture any more


class FakeClient:
    """Has the shape of Client; what it answers is set by the test."""

    problem = ""
    outcome = "unknown"

    def __init__(self, address: str | None = None, **keys: Any) -> None:
        self.cancelled: list[str] = []

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def status(self) -> Mapping[str, Any]:
        if self.problem:
            raise DaemonUnreachable(self.problem)
        return status()

    def cancel(self, job_id: str) -> str:
        self.cancelled.append(job_id)
        return self.outcome


def test_the_poller_keeps_what_it_knew() -> None:
    """When the daemon goes, the last answer stays with the reason beside it; when it is back, the reason goes."""
    client = FakeClient()
    poller = Poller(client, 1.0, {"version": "old"})  # type: ignore[arg-type] # it has the methods that are used
    client.problem = "nobody there"
    poller.turn()
    assert ({"version": "old"}, "nobody there") == (poller.polled.status, poller.polled.problem)
    client.problem = ""
    poller.turn()
    assert (status(), "") == (poller.polled.status, poller.polled.problem)


def test_the_poller_cancels() -> None:
    """A job to be cancelled is cancelled once, and what came of it stays to be read."""
    client = FakeClient()
    poller = Poller(client, 1.0, {})  # type: ignore[arg-type] # it has the methods that are used
    poller.cancel(FIRST)
    poller.turn()
    poller.turn()
    assert [FIRST] == client.cancelled
    assert "only the user" in poller.polled.message.lower()


def test_the_poller_ends() -> None:
    """It ends at once, however long its interval is."""
    poller = Poller(FakeClient(), 3_600.0, {})  # type: ignore[arg-type] # it has the methods that are used
    poller.start()
    poller.end(10.0)
    assert not poller.is_alive()


def test_one_picture_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Into a pipe goes one picture, without escape sequences, keys or blanks at the ends of lines."""
    monkeypatch.setattr(top_command, "Client", FakeClient)
    assert 0 == cli.main(["top"])
    out = capsys.readouterr().out
    assert "80 ok, 2 timeout" in out
    assert "\x1b" not in out
    assert "q quit" not in out
    assert [line.rstrip() for line in out.splitlines()] == out.splitlines()


def test_no_daemon(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a daemon it says so in one line and leaves with 69."""
    monkeypatch.setattr(FakeClient, "problem", "no warmfork daemon answered")
    monkeypatch.setattr(top_command, "Client", FakeClient)
    assert 69 == cli.main(["top"])
    assert "warmfork: no warmfork daemon answered\n" == capsys.readouterr().err


def test_a_missing_extra_says_what_to_type() -> None:
    """Without rich the command ends in one line with what to type, and its help works."""
    code = (
        "import sys; sys.modules['rich'] = None\nfrom warmfork.cli import main\n"
        "assert main(['top', '--help']) == 0\nsys.exit(main(['top', '--address', 'ipc:///nowhere']))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert 2 == done.returncode
    assert "pip install 'warmfork[top]'" in done.stderr
    assert 1 == len(done.stderr.splitlines())
