"""``warmfork install-service``: the files of the system service, shown, explained, and written only when told to.

Everything is taken from the installation that runs this command: its interpreter starts the daemon. Nothing is guessed:
where the service could not work with it, the command says why and writes nothing. It runs no other program that changes
the machine; what is left to do is printed, to be read and typed.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from warmfork.cli.exits import UsageError

DESCRIPTION: Final = """\
Install warmfork as a system service: unit, user and runtime directory. By default, and with --dry-run, it only shows
what it would write and why; --yes writes it. Run it with the interpreter that the service is to use.
"""
EPILOG: Final = """\
examples:
  sudo /opt/warmfork/bin/warmfork install-service              shows everything, changes nothing
  sudo /opt/warmfork/bin/warmfork install-service --yes        writes the files
  sudo /opt/warmfork/bin/warmfork install-service --yes --socket   … and a socket unit
  sudo /opt/warmfork/bin/warmfork install-service --yes --instances   … and a unit for several daemons side by side
"""

_UNIT: Final = "warmfork.service"
_HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""What ProtectHome= and PrivateTmp= of the unit hide from the service."""
_INSTANCES: Final = "warmfork@.service"
_NOTIFY_RELOAD_SINCE: Final = 253
_IMPORTS: Final = "import warmfork.cli, warmfork_daemon.main"


@dataclass(frozen=True, slots=True)
class Item:
    """One file to write.

    Attributes:
        source: its name among the files that come with warmfork.
        target: where it goes, from the root on.
        why: one sentence.
    """

    source: str
    target: str
    why: str


_ALWAYS: Final = (
    Item("sysusers.conf", "etc/sysusers.d/warmfork.conf", "the daemon's user; its group is who may use the service"),
    Item("tmpfiles.conf", "etc/tmpfiles.d/warmfork.conf", "the directory of socket and key, closed to everybody else"),
    Item(_UNIT, f"etc/systemd/system/{_UNIT}", "the service, hardened as far as its own sandbox allows"),
)
_SOCKET: Final = Item(
    "warmfork.socket", "etc/systemd/system/warmfork.socket", "the socket outlives the daemon; clients wait at restarts"
)
_RELOAD: Final = Item(
    "notify-reload.conf",
    f"etc/systemd/system/{_UNIT}.d/notify-reload.conf",
    "systemctl reload waits for the daemon's answer (this systemd can)",
)
_INSTANCE: Final = Item(
    _UNIT,
    f"etc/systemd/system/{_INSTANCES}",
    "the same as often as wanted: warmfork@1 serves in /run/warmfork-1, warmfork@2 in /run/warmfork-2, ...",
)
_INSTANCE_RELOAD: Final = replace(_RELOAD, target=f"etc/systemd/system/{_INSTANCES}.d/notify-reload.conf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--dry-run", action="store_true", help="only show what would be written (the default)")
    act.add_argument("--yes", action="store_true", help="write the files")
    parser.add_argument("--socket", action="store_true", help="also install the socket unit")
    parser.add_argument(
        "--instances", action="store_true", help=f"also install {_INSTANCES}, for several daemons on many CPUs"
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there and differ")
    parser.add_argument(
        "--root", metavar="DIR", default="/", help="write below DIR: for the image of a machine (default: /)"
    )


def execute(args: argparse.Namespace) -> int:
    """Show or write. Raises UsageError where the service could not work, or where nothing may be written."""
    root = Path(args.root).absolute()
    if args.yes and os.geteuid() != 0:
        raise UsageError("only root may write these files; without --yes everybody may look at them")
    items = _chosen(args)
    problems = list(problems_of(sys.executable, Path(sys.prefix)))
    texts = {item: text_of(item, sys.executable) for item in items}
    changed = [item for item in items if _present(root / item.target) not in (None, texts[item])]
    _show(items, texts, root)
    for problem in problems:
        sys.stdout.write(f"\nPROBLEM: {problem}\n")
    if problems:
        raise UsageError("the service would not work with this installation; nothing was written")
    if changed and args.yes and not args.force:
        named = ", ".join(f"/{item.target}" for item in changed)
        raise UsageError(f"{named} is there and differs, as shown; --force replaces it. Nothing was written")
    if args.yes:
        for item in items:
            _write(root / item.target, texts[item])
    _show_next(args, root)
    return 0


def _chosen(args: argparse.Namespace) -> list[Item]:
    items = [*_ALWAYS]
    if args.socket:
        items.append(_SOCKET)
    if args.instances:
        items.append(_INSTANCE)
    if systemd_version() >= _NOTIFY_RELOAD_SINCE:
        items += [_RELOAD, _INSTANCE_RELOAD] if args.instances else [_RELOAD]
    return items


def systemd_version(run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run) -> int:
    """Of this machine's systemd; 0 where there is none."""
    try:
        told = run(["systemctl", "--version"], capture_output=True, text=True, check=False, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(r"systemd (\d+)", told)
    return int(found[1]) if found else 0


def source_dir() -> Path:
    """Where the files come from: the checkout, where this runs from one, else what was installed with the daemon.

    Raises UsageError.
    """
    here = Path(__file__).resolve()
    for place in (here.parents[3] / "systemd", here.parents[2] / "warmfork_daemon" / "systemd"):
        if (place / _UNIT).is_file():
            return place
    raise UsageError(
        "this installation came without its service files; install it again: pip install 'warmfork[daemon]'"
    )


def text_of(item: Item, python: str) -> str:
    """The contents of the file; a unit starts ``python``, and that of instances has a directory for each."""
    text = (source_dir() / item.source).read_text(encoding="utf-8")
    if item.source != _UNIT:
        return text
    start = f"{_quoted(python)} -m warmfork serve --system"
    if item != _INSTANCE:
        return _with_settings(text, {"ExecStart": start})
    own = {"ExecStart": f"{start} --runtime-dir /run/warmfork-%i", "RuntimeDirectory": "warmfork-%i"}
    return _with_settings(
        text, own | {"Description": "warmfork %i: runs Python that a language model wrote, guarded and warm"}
    )


def _with_settings(unit: str, settings: Mapping[str, str]) -> str:
    for name, setting in settings.items():
        line = f"{name}={setting}".replace("\\", r"\\")
        unit, count = re.subn(rf"^{name}=.*$", line, unit, flags=re.MULTILINE)
        assert count == 1
    return unit


def _quoted(path: str) -> str:
    # systemd.service(5): % begins a specifier, $ a variable; a path with blanks must be quoted.
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if re.search(r"[\s\"';\\]", path) else escaped


def problems_of(python: str, prefix: Path) -> Iterator[str]:
    """Why a service of its own user could not run ``python`` from ``prefix``; nothing where it can."""
    places = {Path(python), Path(python).resolve(), prefix}
    hidden = [place for place in sorted(places) if str(place).startswith(tuple(f"{one}/" for one in _HIDDEN))]
    if hidden:
        yield (
            f"{', '.join(map(str, hidden))}: hidden from the service by ProtectHome= or PrivateTmp=; install warmfork where "
            "every user can read it, for example: python3 -m venv /opt/warmfork && "
            "/opt/warmfork/bin/pip install 'warmfork[daemon]'"
        )
        return
    for place in sorted(places):
        for part in (place, *place.parents):
            if not part.stat().st_mode & 0o001:
                yield f"{part} cannot be entered or run by other users than its owner's; make it mode 0755"
                return
    # -I: no PYTHONPATH, which the service would not have.
    tried = subprocess.run([python, "-I", "-c", _IMPORTS], capture_output=True, text=True, check=False, cwd="/")
    if tried.returncode:
        last = (tried.stderr.strip().splitlines() or ["it says nothing"])[-1]
        yield f"{python} alone cannot start the daemon ({last}); install it there: {python} -m pip install 'warmfork[daemon]'"


def _present(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _show(items: list[Item], texts: dict[Item, str], root: Path) -> None:
    for number, item in enumerate(items, 1):
        target = root / item.target
        present = _present(target)
        state = "new" if present is None else "there already, the same" if present == texts[item] else "DIFFERS"
        sys.stdout.write(f"\n{number}. {target} ({state})\n   {item.why}\n")
        if present is None:
            sys.stdout.writelines(f"   | {line}\n" for line in texts[item].splitlines())
        elif present != texts[item]:
            diff = difflib.unified_diff(present.splitlines(), texts[item].splitlines(), "there", "new", lineterm="")
            sys.stdout.writelines(f"   | {line}\n" for line in diff)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.chmod(0o644)
    scratch.rename(path)


def _show_next(args: argparse.Namespace, root: Path) -> None:
    units, directory = "warmfork.service", "warmfork"
    if args.instances:
        units, directory = "warmfork@1 warmfork@2", "warmfork-1"
    if args.socket:
        units = f"warmfork.socket {'warmfork.service ' if args.instances else ''}{units}"
    done = "written" if args.yes else "shown only, nothing was written (--yes writes them)"
    below = "" if root == Path("/") else f" --root={root}"
    sys.stdout.write(
        f"\nThe files above are {done}. Then:\n"
        f"  systemd-sysusers{below} warmfork.conf             makes the user and its group\n"
        f"  systemd-tmpfiles{below} --create warmfork.conf    makes /run/warmfork\n"
        "  systemctl daemon-reload                    reads the unit\n"
        f"  systemctl enable --now {units}    starts it, now and at boot\n"
        "  usermod --append --groups warmfork USER    lets USER in, from the next login on\n"
        f"  systemctl status {units}; warmfork doctor --address ipc:///run/{directory}/warmfork.sock\n"
        "Settings go to /etc/warmfork/warmfork.toml ('warmfork config' prints one to start from); none are needed.\n"
    )
