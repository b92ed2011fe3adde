"""``warmfork doctor``: which layers of the guard stand here, and what a worker was answered that tried to get out."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Final

import warmfork
from warmfork.cli.extra import daemon_extra
from warmfork.cli.sizes import parse_address, show_bytes
from warmfork.cli.terminal import harmless
from warmfork.client import Client
from warmfork.embedding import embedded
from warmfork.errors import GuardRefused

DESCRIPTION: Final = """\
Show which layers of the kernel's guard stand on this machine, and the answers that a real worker got when it tried a
score of forbidden acts. Starts a private daemon with the configuration that 'warmfork serve' would use, or asks a running
one (--address) what it found when it started.
"""
EPILOG: Final = """\
examples:
  warmfork doctor
  warmfork doctor --config my.toml
  warmfork doctor --address ipc:///run/warmfork/warmfork.sock
  warmfork doctor --json

exit codes: 0 jobs are guarded, 1 they are not, 2 the configuration is wrong, 69 no daemon answered.
"""

_SETTLE_S: Final = 5.0
_UNSAFE: Final = 1
_MEASURES: Final = {
    "heap": (
        "heap", "moved_bytes", "; out of the page tables, so forks are cheap",
        "stays in the page tables, so forks cost more",
    ),
    "mappings": (
        "joined", "fewer", "; forks copy fewer", "as they are, so forks cost more",
    ),
    "reference counts": ("immortal", "objects", " have none; workers copy less", "kept, so jobs cost more"),
    "free memory": (
        "fresh", "taken_bytes", "; workers allocate in memory of their own", "shared, so jobs cost more",
    ),
    "hot pages": (
        "pages", "known_bytes", " known that jobs write to; workers copy them in one go", "not known, so jobs fault for each",
    ),
}  # fmt: skip
"""What a template does to make workers cheaper: what to call it, its key in the status, its amount there, done, not done."""
# What says where a daemon is, and to whom it talks; the private one has its own.
_NOT_PASSED_ON: Final = ("system", "runtime_dir", "key_file", "socket_group", "endpoints", "tcp.", "log.", "policy.")
_LIMITS_SHOWN: Final = (
    *("timeout_s", "memory_bytes", "cpu_factor", "disk_bytes", "files_max", "file_bytes_max", "threads_max"),
    *("open_files_max", "stdout_bytes", "charts_max"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--address",
        metavar="ADDRESS",
        type=parse_address,
        help="ask the daemon there instead of starting a private one",
    )
    parser.add_argument("--server-key-file", metavar="FILE", help="for tcp://: NAME.key with the daemon's public key")
    parser.add_argument("--client-key-file", metavar="FILE", help="for tcp://: NAME.key_secret with our own keys")
    with daemon_extra():
        from warmfork_daemon.config import add_flags
    add_flags(parser)


def execute(args: argparse.Namespace) -> int:
    """Look, print; 0 when jobs are guarded. Raises ConfigError, DaemonUnreachable, ExtraMissing."""
    found = _look(args)
    if args.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(map(_printable, _lines(found))) + "\n")
    return 0 if found["safe"] else _UNSAFE


def _printable(line: str) -> str:
    """Answers come from a worker: nothing of them may steer the terminal. Blanks stay, they align the columns."""
    return harmless(line).replace("\n", " ")


def _look(args: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {"version": warmfork.__version__, "machine": _machine(), "address": args.address or ""}
    try:
        with ExitStack() as stack:
            client = stack.enter_context(_running(args) if args.address else _private(args))
            hello = client.hello()
            found["limits"] = dict(hello.limits)
            status = _settled(client)
            found["guard"] = status["guard"]
            told = {one["name"]: one for one in status.get("templates", [])}
            found["templates"] = [
                {
                    "name": template.name,
                    "python": template.python,
                    "chinese_font": template.font,
                    **{part: told.get(template.name, {}).get(part, {}) for part, *_ in _MEASURES.values()},
                    "libraries": {item.name: item.version or item.error for item in template.libraries},
                }
                for template in hello.templates
            ]
    except GuardRefused as refusal:
        found.update(limits={}, templates=[], guard=dict(refusal.guard))
    found["problems"] = _problems(found["guard"])
    found["safe"] = not found["problems"]
    return found


def _settled(client: Client) -> Mapping[str, Any]:
    """The status once every template has settled, which is soon after it is ready; as it is where one takes its time."""
    due_s = time.monotonic() + _SETTLE_S
    while True:
        status = client.status()
        if all(one.get("settled", True) for one in status.get("templates", [])) or time.monotonic() > due_s:
            return status
        time.sleep(0.05)


def _running(args: argparse.Namespace) -> Client:
    return Client(args.address, server_key_file=args.server_key_file, client_key_file=args.client_key_file)


def _private(args: argparse.Namespace) -> AbstractContextManager[Client]:
    with daemon_extra():
        from warmfork_daemon.config import load_from_arguments
        from warmfork_daemon.config.settings import value_of
    config = load_from_arguments(args)
    written = [key for key, origin in config.origins.items() if origin != "default"]
    settings = {key: value_of(config, key) for key in written if not key.startswith(_NOT_PASSED_ON)}
    return embedded(settings={"pool.idle_workers": 1, "pool.light": "off", "template.rehearse": False, **settings})


def _machine() -> dict[str, Any]:
    return {
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "uid": os.geteuid(),
    }


def _problems(guard: Mapping[str, Any]) -> list[str]:
    if guard.get("unguarded"):
        return ["guard.unguarded is set: jobs run without the kernel's guard"]
    templates: Mapping[str, Any] = guard.get("templates", {})
    found = [f"template {name}: {problem}" for name, one in templates.items() for problem in one["problems"]]
    found += [f"template {name}: its probes have not run yet" for name, one in templates.items() if not one["proved"]]
    return found or ([] if guard.get("safe") else ["no template has been proved"])


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    machine = found["machine"]
    yield (
        f"warmfork {found['version']} on Linux {machine['kernel']} {machine['architecture']}, Python {machine['python']}, "
        f"{machine['cpus']} CPUs, {show_bytes(machine['memory_bytes'])}, uid {machine['uid']}"
    )
    yield f"asked: {found['address'] or 'a private daemon, started for this'}"
    for name, one in found["guard"].get("templates", {}).items():
        yield ""
        yield f"template {name}: layers of the guard"
        yield from _columns(
            [(x["name"], _state(x), x["detail"]) for x in one["layers"]],
        )
        if one["probes"]:
            yield ""
            yield f"template {name}: what a worker was answered"
            yield from _columns(
                [(x["name"], x["layer"], x["answer"], {True: "held", False: "NOT HELD"}.get(x["held"], "layer not active"))
                 for x in one["probes"]]
            )  # fmt: skip
    for template in found["templates"]:
        libraries = [f"{name} {version}".strip() for name, version in template["libraries"].items() if version]
        yield ""
        yield f"template {template['name']}: Python {template['python']}, Chinese font {template['chinese_font'] or 'none'}"
        yield f"  {', '.join(libraries)}"
        for told, (part, *texts) in _MEASURES.items():
            yield f"  {told}: {_measure(template.get(part, {}), *texts)}"
    if found["limits"]:
        yield ""
        yield "limits of a job"
        yield from _columns(
            [(name, _limit(name, found["limits"][name])) for name in _LIMITS_SHOWN if name in found["limits"]]
        )
    yield ""
    if found["safe"]:
        yield "safe: every required layer stands, and every forbidden act was refused"
    for problem in found["problems"]:
        yield f"NOT SAFE: {problem}"


def _measure(found: Mapping[str, Any], amount: str, done: str, not_done: str) -> str:
    detail = found.get("detail", "")
    if found.get(amount):
        return f"{detail}{done}"
    return f"{not_done}: {detail or 'the template has not settled yet'}"


def _state(layer: Mapping[str, Any]) -> str:
    return ("active" if layer["active"] else "NOT ACTIVE") + (", required" if layer["required"] else "")


def _limit(name: str, value: Any) -> str:
    return show_bytes(value) if name.endswith(("_bytes", "bytes_max")) else f"{value:g}"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))] if rows else []
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
