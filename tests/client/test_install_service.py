"""``warmfork install-service``: shows by default, writes when told to, refuses what could not work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from warmfork import cli
from warmfork.cli import exits, install_service
from warmfork.cli.install_service import problems_of, systemd_version

UNIT = "etc/systemd/system/warmfork.service"


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that a service can use, run by root, on a machine with systemd 252."""
    monkeypatch.setattr(install_service, "problems_of", lambda python, prefix: iter(()))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(install_service, "systemd_version", lambda: 252)


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("works")
@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
def test_it_only_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    """Without --yes every file is shown with its reason, and none is written."""
    assert 0 == cli.main(["install-service", "--root", str(tmp_path), *flags])
    told = capsys.readouterr().out
    assert set() == files(tmp_path)
    assert "nothing was written" in told
    assert "| WatchdogSec=30" in told


@pytest.mark.usefixtures("works")
def test_it_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--yes writes unit, sysusers and tmpfiles; the unit starts this very interpreter, and the rest of it is unchanged."""
    assert 0 == cli.main(["install-service", "--root", str(tmp_path), "--yes"])
    assert {UNIT, "etc/sysusers.d/warmfork.conf", "etc/tmpfiles.d/warmfork.conf"} == files(tmp_path)
    written = (tmp_path / UNIT).read_text().splitlines()
    shipped = (install_service.source_dir() / "warmfork.service").read_text().splitlines()
    expected = [
        f"ExecStart={sys.executable} -m warmfork serve --system" if line.startswith("ExecStart=") else line
        for line in shipped
    ]
    assert expected == written
    assert 0o644 == (tmp_path / UNIT).stat().st_mode & 0o777
    assert f"systemd-sysusers --root={tmp_path}" in capsys.readouterr().out


@pytest.mark.usefixtures("works")
def test_more_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--socket adds the socket unit, and systemd 253 the drop-in for notify-reload."""
    monkeypatch.setattr(install_service, "systemd_version", lambda: 253)
    assert 0 == cli.main(["install-service", "--root", str(tmp_path), "--yes", "--socket"])
    more = {"etc/systemd/system/warmfork.socket", f"{UNIT}.d/notify-reload.conf"}
    assert more == {name for name in files(tmp_path) if "systemd" in name} - {UNIT}


@pytest.mark.usefixtures("works")
def test_a_unit_for_several_daemons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--instances adds the same unit with a directory for each instance; nothing else of it differs."""
    monkeypatch.setattr(install_service, "systemd_version", lambda: 253)
    assert 0 == cli.main(["install-service", "--root", str(tmp_path), "--yes", "--instances"])
    units = tmp_path / "etc/systemd/system"
    single, several = ((units / name).read_text().splitlines() for name in ("warmfork.service", "warmfork@.service"))
    differ = [(one, other) for one, other in zip(single, several, strict=True) if one != other]
    assert [
        (
            "Description=warmfork: runs Python that a language model wrote, guarded and warm",
            "Description=warmfork %i: runs Python that a language model wrote, guarded and warm",
        ),
        (
            f"ExecStart={sys.executable} -m warmfork serve --system",
            f"ExecStart={sys.executable} -m warmfork serve --system --runtime-dir /run/warmfork-%i",
        ),
        ("RuntimeDirectory=warmfork", "RuntimeDirectory=warmfork-%i"),
    ] == differ
    drop_ins = [
        (units / f"{name}.d/notify-reload.conf").read_bytes() for name in ("warmfork.service", "warmfork@.service")
    ]
    assert drop_ins[0] == drop_ins[1]
    told = capsys.readouterr().out
    assert "systemctl enable --now warmfork@1 warmfork@2" in told
    assert "ipc:///run/warmfork-1/warmfork.sock" in told


@pytest.mark.usefixtures("works")
def test_a_file_that_differs_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed unit stays unless --force; the difference is shown. The same file is no obstacle."""
    arguments = ["install-service", "--root", str(tmp_path), "--yes"]
    assert 0 == cli.main(arguments)
    assert 0 == cli.main(arguments)
    unit = tmp_path / UNIT
    unit.write_text(unit.read_text().replace("WatchdogSec=30", "WatchdogSec=99"))
    capsys.readouterr()
    assert exits.USAGE == cli.main(arguments)
    told = capsys.readouterr()
    assert "| -WatchdogSec=99" in told.out
    assert "--force" in told.err
    assert "WatchdogSec=99" in unit.read_text()
    assert 0 == cli.main([*arguments, "--force"])
    assert "WatchdogSec=30" in unit.read_text()


@pytest.mark.usefixtures("works")
def test_only_root_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody else may look, not write."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert exits.USAGE == cli.main(["install-service", "--root", str(tmp_path), "--yes"])
    assert "only root" in capsys.readouterr().err
    assert 0 == cli.main(["install-service", "--root", str(tmp_path)])
    assert set() == files(tmp_path)


@pytest.mark.usefixtures("works")
def test_an_installation_that_cannot_work_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a problem found, --yes writes nothing and names it."""
    monkeypatch.setattr(install_service, "problems_of", lambda python, prefix: iter(["it is hidden"]))
    assert exits.USAGE == cli.main(["install-service", "--root", str(tmp_path), "--yes"])
    assert "PROBLEM: it is hidden" in capsys.readouterr().out
    assert set() == files(tmp_path)


def test_what_the_service_could_not_see() -> None:
    """An interpreter below /home, /root or a temporary directory is hidden from the service."""
    (problem,) = problems_of("/home/someone/venv/bin/python", Path("/home/someone/venv"))
    assert "ProtectHome=" in problem
    assert "/opt/warmfork" in problem


def test_what_others_may_not_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory on the way that only its owner may enter is named."""
    monkeypatch.setattr(install_service, "_HIDDEN", ())
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    python = closed / "python"
    python.write_text("")
    python.chmod(0o755)
    problems = list(problems_of(str(python), closed))
    assert 1 == len(problems)
    assert "cannot be entered" in problems[0]


def test_an_interpreter_without_warmfork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout on PYTHONPATH is no installation: the interpreter alone must be able to start the daemon."""
    monkeypatch.setattr(install_service, "_HIDDEN", ())
    (problem,) = problems_of("/bin/false", Path("/usr"))
    assert "alone cannot start the daemon" in problem


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("/opt/w/bin/python", "/opt/w/bin/python"),
        ("/opt/a b/python", '"/opt/a b/python"'),
        ("/opt/50%$x", "/opt/50%%$$x"),
    ],
)
def test_paths_are_written_as_systemd_reads_them(path: str, quoted: str) -> None:
    """Blanks are quoted, and the signs that systemd expands are doubled."""
    assert quoted == install_service._quoted(path)


@pytest.mark.parametrize(
    ("told", "number"), [("systemd 252 (252.38-1~deb12u1)\n+PAM", 252), ("", 0), ("something else", 0)]
)
def test_the_version_of_systemd(told: str, number: int) -> None:
    """It is read from what systemctl says; 0 where it says nothing of the kind."""
    assert number == systemd_version(lambda *_, **__: subprocess.CompletedProcess([], 0, told, ""))
