"""The jobs: what each kind runs, how it ends when nothing is done to it, and whether a result is its own and whole.

Each prints first, and wherever it writes anything, its mark: its own id and a token that each run draws anew. By the id
another job's output is seen in a result; by the token that a job ran twice.
"""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.plan import JobPlan

from warmfork import Result

MARK: Final = re.compile(r"<<([0-9a-f]{32}):([0-9a-f]{8})>>")
_FLOOD_LINES: Final = 12_000
_INPUT_BYTES: Final = 2 << 20
_PATIENT_S: Final = 30.0
_SHORT_S: Final = 0.6

_HEAD: Final = "mark = '<<{id}:' + os.urandom(4).hex() + '>>'\nprint(mark, flush=True)\n"
_BODIES: Final[dict[str, str]] = {
    "good": "print(sum(range(1000)))",
    "chart": "plt.plot([1, 2, 3]); plt.title(mark)",
    "error": "raise ValueError(mark)",
    "spin": "while True: pass",
    "sleep": "import time\nwhile True: time.sleep(0.01)",
    "bomb": "keep = []\nwhile True: keep.append(bytearray(8 << 20))",
    "flood": f"for _ in range({_FLOOD_LINES}): print(mark)",
    "files": "open('out.txt', 'w').write(mark + open('in.txt').read())",
    "exit": "raise SystemExit(3)",
    "input": "import hashlib\nprint(hashlib.sha256(open('blob', 'rb').read()).hexdigest())",
    "die": "os._exit(5)",
    "cancelled": "import time\nwhile True: time.sleep(0.01)",
}
VERDICT: Final[dict[str, str]] = {
    "good": "ok", "chart": "ok", "error": "error", "spin": "timeout", "sleep": "timeout", "bomb": "memory_limit",
    "flood": "ok", "files": "ok", "exit": "error", "input": "ok", "die": "crashed", "cancelled": "cancelled",
}  # fmt: skip
"""How each kind ends when nothing is done to it."""


@dataclass(slots=True)
class Outcome:
    """What one call came to, plain enough for JSON.

    Attributes:
        job_id, kind, client: whose.
        began_s, ended_s: of the call, by the machine's monotonic clock.
        verdict: of the result, or ``raised:`` and the exception's name.
        retry_safe: as in the result; True for DaemonUnreachable.
        cancel: what the daemon said to a cancellation; empty where it was not asked or did not say.
        tokens: of the runs that were seen, in streamed output and in the result.
        problems: what was wrong with it, whatever was done to it.
        detail: the error's text, for reading.
    """

    job_id: str
    kind: str
    client: str
    began_s: float
    ended_s: float = 0.0
    verdict: str = ""
    retry_safe: bool | None = None
    cancel: str = ""
    tokens: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    detail: str = ""


def arguments_of(job: JobPlan) -> dict[str, Any]:
    """The arguments of ``execute`` for this job."""
    arguments: dict[str, Any] = {
        "code": _HEAD.format(id=job.job_id) + _BODIES[job.kind],
        "job_id": job.job_id,
        "timeout_s": _SHORT_S if job.kind in ("spin", "sleep") else _PATIENT_S,
        "policy": "off" if job.kind == "die" else None,
    }
    if job.kind == "bomb":
        arguments["memory_bytes"] = 64 << 20
    if job.kind == "files":
        arguments["files"] = {"in.txt": job.job_id.encode()}
    if job.kind == "input":
        arguments["files"] = {"blob": _blob_of(job)}
    return arguments


def _blob_of(job: JobPlan) -> bytes:
    return random.Random(job.job_id).randbytes(_INPUT_BYTES)


def note_text(outcome: Outcome, text: str, where: str) -> None:
    """Look at text that came for this job: every mark in it must be its own."""
    for owner, token in MARK.findall(text):
        if owner != outcome.job_id:
            outcome.problems.append(f"foreign output in {where}: of job {owner}")
        elif token not in outcome.tokens:
            outcome.tokens.append(token)


def note_result(outcome: Outcome, job: JobPlan, result: Result, streamed: dict[str, str] | None) -> None:
    """Take a result into the outcome, and look whether it is this job's own and whole."""
    outcome.verdict, outcome.retry_safe = result.verdict, result.retry_safe
    outcome.detail = "" if result.error is None else f"{result.error.type}: {result.error.message[:300]}"
    texts = {
        "stdout": result.stdout,
        "stderr": result.stderr,
        "error": "" if result.error is None else result.error.message,
    }
    texts |= {f"title {chart.index}": chart.title for chart in result.charts}
    texts |= {f"file {name}": data[:4096].decode("latin-1") for name, data in result.files.items() if name != "blob"}
    for where, text in texts.items():
        note_text(outcome, text, where)
    if result.job_id != job.job_id:
        outcome.problems.append(f"the result is of job {result.job_id}")
    if (result.retry_safe is None) == (result.verdict in ("rejected", "lost")):
        outcome.problems.append(f"retry_safe is {result.retry_safe} with {result.verdict}")
    if result.verdict == "rejected" and not (result.retry_after_s and result.retry_safe):
        outcome.problems.append(f"rejected with retry_after_s {result.retry_after_s}, retry_safe {result.retry_safe}")
    if streamed is not None and (streamed["stdout"], streamed["stderr"]) != (result.stdout, result.stderr):
        outcome.problems.append("what was streamed is not what the result has")
    if result.verdict == VERDICT[job.kind]:
        outcome.problems += _what_is_missing(outcome, job, result)


def _what_is_missing(outcome: Outcome, job: JobPlan, result: Result) -> list[str]:
    """Of a job that ended as it should: what its result lacks."""
    if job.kind in ("spin", "sleep", "cancelled", "die"):
        return []  # a busy machine may not have let it print before its end
    if not outcome.tokens and job.kind != "bomb":
        return ["its own mark is missing"]
    mark = f"<<{job.job_id}:{outcome.tokens[0]}>>" if outcome.tokens else ""
    missing = {
        "good": lambda: result.stdout != f"{mark}\n499500\n",
        "chart": lambda: [chart.title for chart in result.charts] != [mark] or result.charts[0].data[:4] != b"\x89PNG",
        "error": lambda: result.error is None or (result.error.type, result.error.message) != ("ValueError", mark),
        "flood": lambda: len(mark) * _FLOOD_LINES + _FLOOD_LINES + len(mark) + 1 != _written(result),
        "files": lambda: dict(result.files) != {"out.txt": (mark + job.job_id).encode()},
        "exit": lambda: result.exit_code != 3,
        "input": lambda: hashlib.sha256(_blob_of(job)).hexdigest() not in result.stdout,
    }.get(job.kind)
    return ["its result is not whole"] if missing is not None and missing() else []


def _written(result: Result) -> int:
    """Bytes that the job wrote to stdout: those kept and those dropped, without the line that says so."""
    said = f"\n... [{result.dropped.stdout_bytes} bytes dropped] ...\n" if result.dropped.stdout_bytes else ""
    return len(result.stdout) - len(said) + result.dropped.stdout_bytes
