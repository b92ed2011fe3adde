"""What a hostile job prints, names and reports cannot steer the terminal, nor lead the command out of its directory."""

from __future__ import annotations

import io
import json
import os
import pty
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfork import Chart, ErrorInfo, Result, cli
from warmfork.cli import run as run_command
from warmfork.cli import status as status_command
from warmfork.cli.saving import Saver
from warmfork.cli.terminal import harmless, harmless_name, one_line

JOB = "00" * 16
STEERING = {
    "colour": "\x1b[31m",
    "clear": "\x1b[2J\x1b[H",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://host/\x1b\\text\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "device control": "\x1bP$q\x1b\\",
    "answerback": "\x1b[c\x1b[6n\x05",
    "C1 sequences": "\x9b31m\x9d0;t\x9c\x90q\x9c\x85",
    "overwriting": "secret\rpublic\b\b\x7f",
    "null, bell, feeds": "\x00\x07\x0b\x0c\x1c\x1f",
    "bidi": "\u202e\u2066\u2067\u2068\u2069\u202a\u202b\u202c\u202d\u200e\u200f\u061c",
    "separators": "a\u2028b\u2029c",
    "tags": "\U000e0001\U000e0041\U000e007f",
    "invisible": "\ufeff\u2060\u2064\u206f\ufff9\ufffa\ufffb\u180e",
}
HARMFUL = {chr(code) for code in (*range(32), *range(0x7F, 0xA0))} - {"\n", "\t"} | {
    character for text in STEERING.values() for character in text if ord(character) > 0x9F
}
TAMED = "".join(f"{name}: {text}\n" for name, text in STEERING.items())


class FakeClient:
    """A client whose daemon is this test."""

    answer: Result
    told: Mapping[str, Any]

    def __init__(self, *addresses: object, **options: object) -> None:
        pass

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def execute(self, **request: Any) -> Result:
        return self.answer

    def status(self, **options: object) -> Mapping[str, Any]:
        return self.told


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[FakeClient]:
    monkeypatch.setattr(run_command, "Client", FakeClient)
    monkeypatch.setattr(status_command, "Client", FakeClient)
    monkeypatch.chdir(tmp_path)
    Path("job.py").write_text("pass\n")
    return FakeClient


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Runs the command with stdout and stderr on a terminal, and returns all that the terminal was sent."""
    master, slave = pty.openpty()
    os.set_blocking(master, False)

    def run(*arguments: str) -> str:
        with io.TextIOWrapper(io.FileIO(slave, "w", closefd=False), "utf-8", newline="") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            monkeypatch.setattr(sys, "stderr", stream)
            cli.main(list(arguments))
            stream.flush()
            monkeypatch.undo()
        sent = b""
        while True:
            try:
                sent += os.read(master, 1 << 16)
            except BlockingIOError:
                return sent.decode().replace("\r\n", "\n")  # the line discipline makes the one out of the other

    yield run
    os.close(master)
    os.close(slave)


def harm_in(text: str) -> set[str]:
    return set(text) & HARMFUL


def hostile_result(verdict: Any = "error") -> Result:
    return Result(
        JOB,
        verdict,
        stdout=TAMED,
        stderr=TAMED,
        error=ErrorInfo(TAMED, TAMED + "!"),
        charts=(Chart(b"png", "image/png", 1, 1, 0, None, TAMED, "\x1b]0;\u202e\x07\x9b1m.png"),),
        files={"a\x1b[2J\n\u2028/\x9b\u202egnp.exe": b"1"},
    )


@pytest.mark.parametrize("name", STEERING)
def test_what_steers_is_written_out(name: str) -> None:
    """Every kind of control is shown as an escape in plain characters, and the text around it is kept."""
    shown = harmless(f"before {STEERING[name]} after")
    assert set() == harm_in(shown)
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert "\\" in shown


@given(st.text())
def test_no_text_whatever_keeps_a_control(text: str) -> None:
    """Invariant: harmless text holds no control but newline and tab, a single line none at all, a name no separator."""
    assert set() == harm_in(harmless(text))
    assert set() == (harm_in(one_line(text)) | set(one_line(text)) & {"\n", "\t"})
    name = harmless_name(text)
    assert set() == (harm_in(name) | set(name) & set("\n\t/\\"))
    assert not name.startswith(".")


@given(st.text(st.characters(exclude_categories=["C"])))
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Letters, marks, symbols and emoji of every script come out as they went in."""
    ordinary = "".join(character for character in text if character not in HARMFUL)
    assert ordinary == harmless(ordinary)


@pytest.mark.parametrize(
    "text", ["图表\t一\n二", "葛\U000e0100", "👩‍👩‍👧", "עברית ו-English", "e\u0301 ☀\ufe0f", "a\u00adb\u00a0c"]
)
def test_joiners_and_variants_stay(text: str) -> None:
    """Ideographic variants, joined emoji, accents and scripts from right to left need their own invisible characters."""
    assert text == harmless(text)


@pytest.mark.parametrize("verdict", ["error", "timeout", "crashed", "ok"])
def test_a_terminal_gets_no_control_of_a_job(
    client: type[FakeClient], on_terminal: Callable[..., str], verdict: str
) -> None:
    """stdout, stderr, error type and message, names of saved charts and files: all of it hostile, none of it harmful."""
    client.answer = hostile_result(verdict)
    sent = on_terminal("run", "job.py", "--out", "o", "--save-files")
    assert set() == harm_in(sent)
    assert "\\x1b[31m" in sent
    assert 2 == sent.count("warmfork: saved")


def test_a_pipe_gets_the_exact_bytes(client: type[FakeClient], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """stdout and stderr of the job are data: into a pipe they go unchanged; the command's own lines are harmless there too."""
    client.answer = hostile_result()
    assert 1 == cli.main(["run", "job.py", "--out", "o", "--save-files"])
    captured = capfdbinary.readouterr()
    assert TAMED.encode() == captured.out
    assert captured.err.startswith(TAMED.encode())
    assert set() == harm_in(captured.err.removeprefix(TAMED.encode()).decode())


def test_json_is_plain_ascii(client: type[FakeClient], capfd: pytest.CaptureFixture[str]) -> None:
    """The JSON carries every character of output, title and names, and no byte of it steers anything."""
    client.answer = hostile_result()
    assert 1 == cli.main(["run", "job.py", "--out", "o", "--json"])
    out = capfd.readouterr().out
    told = json.loads(out)
    assert (TAMED, TAMED) == (told["stdout"], told["charts"][0]["title"])
    assert (True, set()) == (out.isascii(), harm_in(out))


def test_an_endless_message_is_one_bounded_line(client: type[FakeClient], capfd: pytest.CaptureFixture[str]) -> None:
    """A message of 64 KiB does not fill the screen; how much is missing is said."""
    client.answer = Result(JOB, "error", error=ErrorInfo("E", "m" * 60_000))
    assert 1 == cli.main(["run", "job.py"])
    err = capfd.readouterr().err
    assert len(err) < 4_200
    assert "more characters" in err


def test_the_status_is_harmless(client: type[FakeClient], capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever words a status holds, as names, values, lists and tables, none steers the terminal."""
    client.told = {TAMED: TAMED, "list": [TAMED], "map": {TAMED: [TAMED]}, "rows": [{TAMED: TAMED, "b": {"c": TAMED}}]}
    assert 0 == cli.main(["status"])
    assert set() == harm_in(capfd.readouterr().out)


hostile_part = st.sampled_from(
    [
        "a",
        ".a",
        "..a",
        ".git",
        "-rf",
        "...",
        " ",
        "~",
        "$HOME",
        "a\nb",
        "\x1b[2J",
        "n" * 255,
        "é" * 127,
        "CON",
        "*",
        "a.tar.gz",
    ]
)


@given(names=st.sets(st.lists(hostile_part, min_size=1, max_size=4).map("/".join), max_size=8))
def test_files_stay_below_the_directory(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    """Invariant: every file of a job is saved once, whole, visible, and below --out, whatever the names are."""
    place = tmp_path_factory.mktemp("place")
    files = {name: name.encode() for name in sorted(names)}
    paths = Saver(str(place / "out")).save_files(files)
    assert list(files) == list(paths)
    assert list(files.values()) == [path.read_bytes() for path in paths.values()]
    written = [path for path in place.rglob("*") if path.is_file()]
    assert sorted(paths.values()) == sorted(written)
    for path in paths.values():
        inside = path.resolve().relative_to((place / "out").resolve())
        assert not any(part.startswith(".") for part in inside.parts)
        assert set() == harm_in(str(inside))


def test_files_for_other_programs_are_not_planted(tmp_path: Path) -> None:
    """A job cannot leave what git, a shell helper or an editor would believe: hidden names are saved visibly."""
    (tmp_path / ".git").mkdir()
    files = {".git/commondir": b"x", ".envrc": b"x", ".vscode/tasks.json": b"x", "..": b"x"}
    paths = Saver(str(tmp_path)).save_files(files)
    assert ["git/commondir", "envrc", "vscode/tasks.json", "_"] == [
        str(path.relative_to(tmp_path)) for path in paths.values()
    ]
    assert [] == list((tmp_path / ".git").iterdir())


def test_what_is_in_the_way_fails_no_other_file(tmp_path: Path) -> None:
    """A file where a directory is wanted, a directory where a file is, a name too long to be numbered: all are saved."""
    (tmp_path / "sub").write_bytes(b"mine")
    (tmp_path / "t.csv").mkdir()
    (tmp_path / ("n" * 255)).write_bytes(b"mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    files = {"sub/a": b"1", "t.csv": b"2", "n" * 255: b"3", "dangling/b": b"4", "dangling": b"5"}
    paths = Saver(str(tmp_path)).save_files(files)
    assert list(files.values()) == [path.read_bytes() for path in paths.values()]
    assert ["sub-2/a", "t-2.csv", "n" * 253 + "-2", "dangling-2/b", "dangling-3"] == [
        str(path.relative_to(tmp_path)) for path in paths.values()
    ]
    assert (b"mine", True) == ((tmp_path / "sub").read_bytes(), (tmp_path / "dangling").is_symlink())


@pytest.mark.parametrize("name", ["sub/t.csv", "sub/deeper/t.csv"])
def test_no_directory_is_made_through_a_link(tmp_path: Path, name: str) -> None:
    """A link in --out that leads away is not written through, and no empty directory appears behind it either."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="link leads out"):
        Saver(str(tmp_path / "out")).save_files({name: b"1"})
    assert [] == list((tmp_path / "elsewhere").iterdir())
