"""From the arguments of ``warmfork run`` to the arguments of ``Client.execute``."""

from __future__ import annotations

import argparse
import io
import json
import keyword
import os
import sys
import tokenize
from pathlib import Path, PurePosixPath
from typing import Any

from warmfork.cli.exits import UsageError
from warmfork.wire.records import FORMATS


def parse_formats(text: str) -> tuple[str, ...]:
    """``png,svg`` as a tuple without doubles. Raises argparse.ArgumentTypeError."""
    formats = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    unknown = [part for part in formats if part not in FORMATS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not a format; choose among {', '.join(FORMATS)}")
    return formats


def parse_variable(text: str) -> tuple[str, Any]:
    """``name=json`` as name and value. Raises argparse.ArgumentTypeError."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier() or keyword.iskeyword(name):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=JSON with a Python name before the '='")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError) as problem:
        hint = f"a text needs quotes: --var '{name}=\"some text\"'"
        raise argparse.ArgumentTypeError(f"the value of {name!r} is not JSON ({problem}); {hint}") from None


def request_of(args: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments for ``Client.execute``, ``code`` among them. Raises UsageError for what cannot be read."""
    if args.file == "-" and args.stdin == "-":
        raise UsageError("the code and the job's stdin cannot both come from '-'; give one of them a file")
    return {
        "code": _read_code(args.file),
        "variables": dict(args.var) or None,
        "files": _read_files(args.files) or None,
        "stdin": None if args.stdin is None else _read(args.stdin),
        "timeout_s": args.timeout,
        "memory_bytes": args.memory,
        "formats": args.format,
        "policy": args.policy,
        "template": args.template,
        "redact": args.redact,
        "tenant": args.tenant,
        "priority": args.priority,
        "retry_for_s": args.retry_for,
    }


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        raise UsageError(f"cannot read {name!r}: {getattr(problem, 'strerror', None) or problem}") from None


def _read_code(name: str) -> str:
    data = _read(name)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError) as problem:
        raise UsageError(f"{name!r} is not Python source: {problem}") from None


def _read_files(names: list[str]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name in names:
        # The code names the file as it lies beside it, by its relative path; what lies elsewhere has only its name.
        path = PurePosixPath(os.path.normpath(name))
        sent_as = path.name if path.is_absolute() or ".." in path.parts else str(path)
        if sent_as in files:
            raise UsageError(f"two files would be called {sent_as!r} in the job's directory")
        files[sent_as] = _read(name)
    return files
