"""What a fork of the template costs against its size, by hand: ``python bench/fork_cost.py [--rounds N] [--json]``.

For each size and kind of preloaded data there are two processes that have loaded and rehearsed what the science template
has: one as it is (plain), one with its heap moved (memfd). They fork in turn, round by round, so that a busy machine is
busy for all. A fork's cost is fork, ``_exit`` in the child, and wait: CPU of both sides, wall time, page faults of the
child, anonymous memory that the child starts with. Medians; ratios are of the same run. Bare: an interpreter that has
loaded nothing. Accepted: memfd with 1 GB more costs at most 1.2 x memfd with nothing more.

Kinds: ``small`` bytes objects of 200 bytes; ``blocks`` numpy arrays of 400 kB (small pages); ``arrays`` of 16 MB, for which
numpy asks for huge pages; these move, too, where the kernel makes pages of the file huge again (MADV_COLLAPSE, Linux 6.1).

Without ``--megabytes``, small ones are measured with 256, 1024 and 2048 MB and the others with 1024. One kind is measured after
the other, beside the processes with nothing more, so that 7 GB at most are in use at a time.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run by its path, this finds bench/ alone

from bench.suite.fork_program import fork_once
from bench.suite.resources import memory_of

KINDS = {"small": (256, 1024, 2048), "blocks": (1024,), "arrays": (1024,)}
"""Of each kind of data, how many megabytes are measured."""
BURST = 10
"""Forks of one process in a row; a template under load forks its replacements so, too."""


@dataclass(slots=True)
class Subject:
    """One process that forks at our word, and what its forks cost."""

    how: str
    megabytes: int
    kind: str
    process: subprocess.Popen[str]
    about: dict[str, Any]
    costs: list[dict[str, float]]

    @property
    def name(self) -> str:
        """As it stands in tables."""
        return f"{self.how} +{self.megabytes} MB {self.kind}" if self.megabytes else self.how

    def median(self, key: str) -> float:
        """Of all its forks."""
        return statistics.median(cost[key] for cost in self.costs)


def load(kind: str, megabytes: int) -> object:
    """The data that a template would have preloaded besides its libraries."""
    if kind == "small":
        return [b"%0167d" % number for number in range(megabytes * 5_000)]  # 200 bytes each, with its header
    if not megabytes:
        return None
    import numpy as np

    array_bytes = 400_000 if kind == "blocks" else 16_000_000
    return [np.ones(array_bytes // 8) for _ in range(megabytes * 1_000_000 // array_bytes)]


def fork_in_ms() -> dict[str, float]:
    """What one fork costs, in milliseconds, and the page faults of the child."""
    found = fork_once()
    names = {"cpu_ms": "cpu_s", "wall_ms": "taken_s", "fork_ms": "fork_s"}
    return {**{name: found[key] * 1000 for name, key in names.items()}, "faults": found["faults"]}


def be_template(kind: str, megabytes: int, move: bool, bare: bool) -> None:
    """In a process of its own: load, move, then a burst of forks for each line that comes."""
    if not bare:
        from warmfork_worker.fonts import install_fonts
        from warmfork_worker.preload import modules_for, preload
        from warmfork_worker.rehearsal import rehearse

        preload(modules_for("science", ()))
        install_fonts(())
        rehearse()
    kept = load(kind, megabytes) if megabytes else None
    gc.collect()
    gc.freeze()
    about: dict[str, Any] = {"detail": "", "moved_ms": 0.0}
    if move:
        from warmfork_worker.heap import Heap

        started = time.perf_counter()
        about["detail"] = Heap(wanted=True).move().detail
        about["moved_ms"] = (time.perf_counter() - started) * 1000
    for _ in range(BURST):
        fork_once()
    about["anonymous_bytes"] = memory_of(os.getpid()).anon_bytes or 0
    with open("/proc/self/maps") as maps:
        about["mappings"] = len(maps.readlines())
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        print(json.dumps([fork_in_ms() for _ in range(BURST)]), flush=True)
    del kept


def start(how: str, megabytes: int = 0, kind: str = "small") -> Subject:
    """A subject that has said that it is ready."""
    environment = {
        **os.environ, "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg", "JE_ARROW_MALLOC_CONF": "background_thread:false"
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, __file__, "--template", how, str(megabytes), kind],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    return Subject(how, megabytes, kind, process, json.loads(process.stdout.readline()), [])


def measure(subjects: list[Subject], rounds: int) -> None:
    """A burst of each in turn."""
    for _ in range(rounds):
        for subject in subjects:
            assert subject.process.stdin is not None
            assert subject.process.stdout is not None
            subject.process.stdin.write("\n")
            subject.process.stdin.flush()
            subject.costs += json.loads(subject.process.stdout.readline())


def row(subject: Subject, base: Subject) -> str:
    """Medians of one subject, and its CPU against another's."""
    about = subject.about
    took = f" in {about['moved_ms']:.0f} ms" if about["moved_ms"] else ""
    return (
        f"{subject.name:22} cpu {subject.median('cpu_ms'):6.2f} ms ({subject.median('cpu_ms') / base.median('cpu_ms'):5.2f} x)"
        f"  wall {subject.median('wall_ms'):6.2f}  fork {subject.median('fork_ms'):6.2f}  faults {subject.median('faults'):4.0f}"
        f"  RssAnon {about['anonymous_bytes'] / 1e6:7.1f} MB  mappings {about['mappings']:4}"
        f"  {about['detail']}{took}"
    )


def as_data(subject: Subject) -> dict[str, object]:
    """Medians of one subject, as the suite takes them."""
    medians = {key: subject.median(key) for key in ("cpu_ms", "wall_ms", "fork_ms", "faults")}
    what = {"name": subject.name, "how": subject.how, "megabytes": subject.megabytes, "kind": subject.kind}
    return {**what, **medians, "moved_ms": subject.about["moved_ms"], "detail": subject.about["detail"]}


def stop(subjects: list[Subject]) -> None:
    """End them."""
    for subject in subjects:
        assert subject.process.stdin is not None
        subject.process.stdin.close()
        subject.process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--megabytes", type=int, nargs="+", help="of each kind; 0 alone for nothing more")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--json", action="store_true", help="the medians as a list, for bench/suite")
    parser.add_argument("--template", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.template:
        how, megabytes, kind = args.template
        be_template(kind, int(megabytes), how == "memfd", how == "bare")
        return
    bases = [start(how) for how in ("bare", "plain", "memfd")]
    subjects = list(bases)
    for kind in args.kinds:
        sizes = [megabytes for megabytes in args.megabytes or KINDS[kind] if megabytes]
        more = [start(how, megabytes, kind) for megabytes in sizes for how in ("plain", "memfd")]
        measure([*bases, *more], args.rounds)
        stop(more)
        subjects += more
    stop(bases)
    if args.json:
        print(json.dumps([as_data(subject) for subject in subjects]))
        return
    for subject in subjects:
        print(row(subject, bases[-1]))


if __name__ == "__main__":
    main()
