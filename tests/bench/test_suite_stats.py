"""What the benchmark suite makes of its samples: percentiles, ratios, targets, rounds, process trees. No daemon, no clock."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from bench.suite.facts import is_noisy
from bench.suite.findings import Findings
from bench.suite.measure import Rounds, measure_load
from bench.suite.plan import FULL, QUICK
from bench.suite.report import markdown
from bench.suite.resources import Process, parse_stat, tree_of
from bench.suite.systems import Done, WrongAnswer, check
from bench.suite.targets import TARGETS, judge
from bench.suite.workloads import ALL, Workload, chosen
from hypothesis import given
from hypothesis import strategies as st

from warmfork.cli.bench_load import Level
from warmfork.cli.bench_stats import median, percentile, ratio_of, steps, summarize

samples = st.lists(st.floats(0.001, 1_000.0), min_size=1, max_size=60)


@given(samples, st.integers(0, 1_000))
def test_a_percentile_is_a_sample_that_the_share_does_not_exceed(values: list[float], thousandths: int) -> None:
    """At least the share of the samples is at or below it, and of those strictly below there are fewer."""
    share = thousandths / 1_000
    found = percentile(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) * 1_000 >= thousandths * len(values)
    if thousandths:
        assert sum(value < found for value in values) * 1_000 < thousandths * len(values)


def test_percentiles_by_nearest_rank() -> None:
    """Of a hundred samples p99 is the second largest, and p50 the fiftieth."""
    hundred = [float(number) for number in range(1, 101)]
    assert (1.0, 7.0, 50.0, 99.0, 100.0) == tuple(percentile(hundred, share) for share in (0.0, 0.07, 0.5, 0.99, 1.0))


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 1.1), ([1.0], -0.1)])
def test_no_percentile_of_nothing(values: list[float], share: float) -> None:
    """A percentile of no samples, or of no share, is an error and not a number."""
    with pytest.raises(ValueError, match=r"samples|share"):
        percentile(values, share)


def test_one_in_a_thousand_needs_a_thousand() -> None:
    """p99.9 is told from 1,000 samples on; below, the worst one stands for nothing."""
    assert summarize([1.0] * 999).p999 is None
    assert 1.0 == summarize([1.0] * 1_000).p999


@given(samples)
def test_a_summary_is_in_order(values: list[float]) -> None:
    """Percentiles grow with their share, and all lie between the least and the most."""
    found = summarize(values[::-1])
    assert found == summarize(values)
    row = [found.least, found.p25, found.p50, found.p75, found.p90, found.p99, found.most]
    assert sorted(row) == row
    assert found.least <= found.mean * 1.000001
    assert found.mean <= found.most * 1.000001


@given(samples)
def test_steps_reach_one(values: list[float]) -> None:
    """An empirical distribution ends at the largest sample with everything in it."""
    places, shares = steps(values)
    assert sorted(values) == places
    assert 1.0 == shares[-1]


def test_a_ratio_of_paired_rounds_lets_a_slow_round_cancel() -> None:
    """Twice as much in every round is 2 with no doubt, however the rounds differ; unpaired, there is doubt."""
    draw = random.Random(3)
    below = [draw.uniform(1.0, 9.0) for _ in range(99)]
    paired = ratio_of([2 * value for value in below], below)
    assert (2.0, 2.0, 2.0) == (paired.value, paired.low, paired.high)
    unpaired = ratio_of([2 * value for value in below][:98], below)
    assert unpaired.low < unpaired.value < unpaired.high


def test_a_ratio_is_the_same_for_the_same_seed() -> None:
    """Resampling is drawn from the seed alone."""
    above, below = [float(number) for number in range(1, 50)], [3.0, 1.0, 2.0]
    assert ratio_of(above, below, seed=4) == ratio_of(above, below, seed=4)


def test_no_ratio_to_nothing() -> None:
    """A floor of zero is an error of the measurement."""
    with pytest.raises(ValueError, match="nothing"):
        ratio_of([1.0], [0.0])


def level(callers: int, jobs_per_s: float, p99_s: float = 0.01) -> Level:
    """A level at this rate, all of whose round trips took the same."""
    count = 200
    return Level(callers, count / jobs_per_s, (p99_s,) * count, {"ok": count}, {})


def found_so_far() -> Findings:
    """Findings in which every target is met, by little."""
    findings = Findings()
    rivals = {"cold python": 0.71, "forkserver": 0.0151, "ProcessPoolExecutor": 0.0111, "Jupyter kernel": 0.0051}
    findings.paced = {
        "T": {
            "warmfork": [0.001] * 90 + [0.0038] * 10,
            "echo": [0.00026] * 98 + [0.02] * 2,
            **{name: [taken] for name, taken in rivals.items()},
        },
        **{letter: {"warmfork": [0.1] * 5, "in process": [0.1] * 5} for letter in "CSZD"},
    }
    findings.pixels = {letter: {"differing": 0.0, "most": 0.0} for letter in "CSZ"}
    findings.load = {
        "T": {
            "warmfork": [level(1, 500.0), level(4, 1_001.0), level(64, 1_000.0, 0.07)],
            "warmfork, light off": [level(4, 601.0)],
            "ProcessPoolExecutor": [level(4, 160.0)],
        },
        "C": {"warmfork": [level(4, 12.0)], "ProcessPoolExecutor": [level(4, 10.0)]},
    }
    findings.renders_per_s = {"C": [12.5]}
    findings.cpu_s = {"T": {"warmfork": {"job": 0.003, "client": 0.0, "daemon": 0.001, "template and workers": 0.002}}}
    findings.forks = {"bare interpreter, T": {"taken_s": [0.001], "cpu_s": 0.0007, "faults": 100.0}}
    findings.memory = {
        "warmfork, idle worker": {"anon_bytes": 4 << 20},
        "warmfork, running C": {"anon_bytes": 30 << 20},
    }
    findings.fork_by_size = FORK_BY_SIZE
    return findings


def fork_row(how: str, megabytes: int, cpu_ms: float) -> dict[str, object]:
    """A row of ``bench/fork_cost.py --json``, as far as the target needs it."""
    return {"name": how, "how": how, "megabytes": megabytes, "cpu_ms": cpu_ms}


FORK_BY_SIZE = [
    fork_row("bare", 0, 0.5),
    fork_row("plain", 0, 5.0),
    fork_row("memfd", 0, 2.0),
    fork_row("plain", 1024, 50.0),
    fork_row("memfd", 1024, 2.4),
    fork_row("memfd", 1024, 2.1),
    fork_row("memfd", 2048, 9.9),
]


def test_all_targets_met() -> None:
    """A run at the edge of every target meets every one."""
    assert [] == [outcome.what for outcome in judge(found_so_far()) if outcome.met is not True]


def test_all_targets_missed() -> None:
    """The same run with a slower warmfork and a larger worker meets none: no target is blind to what it names."""
    findings = found_so_far()
    for systems in findings.paced.values():
        systems["warmfork"] = [4 * seconds for seconds in systems["warmfork"]]
    for letter in "CSZ":
        findings.pixels[letter]["differing"] = 0.001
    load = findings.load
    load["T"]["warmfork"] = [level(1, 500.0), level(4, 999.0), level(64, 400.0, 0.3)]
    load["T"]["warmfork, light off"] = [level(4, 550.0)]
    load["C"]["warmfork"] = [level(4, 11.0)]
    findings.cpu_s["T"]["warmfork"]["template and workers"] = 0.0022
    findings.fork_by_size = [*FORK_BY_SIZE, fork_row("memfd", 1024, 2.5)]
    for memory in findings.memory.values():
        memory["anon_bytes"] = 31 << 20
    assert [] == [outcome.what for outcome in judge(findings) if outcome.met is not False]


def test_nothing_measured_is_nothing_met() -> None:
    """Without findings no target is met or missed."""
    outcomes = judge(Findings())
    assert len(TARGETS) == len(outcomes)
    assert {None} == {outcome.met for outcome in outcomes}


def test_a_report_has_every_target_and_reason() -> None:
    """The page is made of any findings, says what was left out, and says when it proves nothing."""
    findings = found_so_far()
    findings.skipped = {"bubblewrap": "not installed", "another": "not installed"}
    findings.facts = {
        "when": "now", "commit": "", "taken_s": 1.0, "cpus": 2, "cpu_model": "a", "virtual": True, "memory_bytes": 1 << 30,
        "kernel": "6", "libc": "glibc", "python": "3.11", "versions": {"numpy": "2"}, "load_before": [2.0, 1.0, 1.0],
        "idle_before": 0.5, "noisy": True,
        "daemons": {"warmfork, light off": {"settings": {"pool.light": "off"}, "start_s": 1.5, "settled_s": 2.5}},
    }  # fmt: skip
    told = Level(4, 1.0, (0.01, 0.01), {"ok": 2}, {"executed": (0.003, 0.003)})
    findings.load["T"]["warmfork"].append(told)
    page = markdown(findings, judge(findings), ["load-T.png"], quick=True)
    assert all(target.what in page for target in TARGETS)
    assert "- bubblewrap; another: not installed" in page
    assert "prove nothing" in page
    assert "Others were at work" in page
    assert "![load-T](load-T.png)" in page
    assert "pool.light = off; ready after 1.50 s, at rest after 2.50 s" in page
    assert "## Phases of T with 4 callers" in page
    assert "| warmfork |        3 |" in page


def test_a_tail_is_measured_by_the_typical_echo() -> None:
    """The 99th percentile is held against the echo's median: an echo that stumbles makes nobody look faster."""
    findings = found_so_far()
    [before] = [outcome for outcome in judge(findings) if "p99, to the paced echo" in outcome.what]
    assert before.value is not None
    assert pytest.approx(0.0038 / 0.00026) == before.value.value
    findings.paced["T"]["echo"][-40:] = [1.0] * 40
    [after] = [outcome for outcome in judge(findings) if outcome.what == before.what]
    assert before.value == after.value


def test_a_busy_machine_is_noticed() -> None:
    """A load average of more than a quarter of the CPUs is somebody else's work."""
    assert is_noisy({"cpus": 2, "load_before": [0.6, 0.0, 0.0]})
    assert not is_noisy({"cpus": 2, "load_before": [0.4, 9.0, 9.0]})


class Fake:
    """A system that answers from a list of times, or fails at the end of it."""

    callers_max = 1
    costly = False

    def __init__(self, name: str, log: list[str], times: int = 1_000) -> None:
        self.name = name
        self._log = log
        self._left = times

    def start(self) -> None:
        """Nothing to do."""

    def call(self, workload: Workload) -> Done:
        """The next answer."""
        self._log.append(self.name)
        self._left -= 1
        if self._left < 0:
            raise WrongAnswer("out of answers")
        return Done(float(self._left), "2\n", phases_s={"run": 1.0})

    def stop(self) -> None:
        """Nothing to do."""


def test_rounds_are_interleaved_and_their_order_changes() -> None:
    """Every system has one turn in each round, in an order that is drawn anew; a rare one has its turn where it is due."""
    log: list[str] = []
    systems = [Fake("warmfork", log), Fake("in process", log), Fake("rare", log)]
    rounds = Rounds(ALL["T"], systems, {"rare": 5}, random.Random(1))
    rounds.run(20, 60.0, 0.0)
    assert {"warmfork": 20, "in process": 20, "rare": 4} == {name: len(row) for name, row in rounds.samples.items()}
    timed = [name for name in log[12:] if name != "rare"]
    pairs = {tuple(timed[place : place + 2]) for place in range(0, 40, 2)}
    assert {("warmfork", "in process"), ("in process", "warmfork")} == pairs
    assert [1.0] * 20 == rounds.phases["run"]
    assert [seconds - 1.0 for seconds in rounds.samples["warmfork"]] == rounds.phases["client and way"]


def test_who_is_loaded_by_how_many() -> None:
    """Ours has every level, with the light workers and without; an alternative has 1, 4 and 16; a costly one 1 and 4."""
    plan = replace(FULL, load_s={"T": 0.0, "C": 0.0}, repeats=1)
    systems = [Fake(name, []) for name in ("warmfork", "warmfork, light off", "forkserver", "cold python")]
    for system in systems:
        system.callers_max = 64
    systems[-1].costly = True
    findings = Findings()
    measure_load(findings, plan, ALL["T"], systems, {}, random.Random(1), lambda _what: True)
    every = [1, 2, 4, 8, 16, 64]
    expected = {"warmfork": every, "warmfork, light off": every, "forkserver": [1, 4, 16], "cold python": [1, 4]}
    assert expected == {system.name: findings.callers("T", system.name) for system in systems}


def test_a_system_that_fails_once_is_left_out() -> None:
    """Its samples go, the reason stays, and the others are measured on."""
    log: list[str] = []
    rounds = Rounds(ALL["T"], [Fake("warmfork", log), Fake("broken", log, times=6)], {}, random.Random(1))
    rounds.run(10, 60.0, 0.0)
    assert {"warmfork"} == set(rounds.samples)
    assert 10 == len(rounds.samples["warmfork"])
    assert {"broken": "WrongAnswer: out of answers"} == rounds.failed


def test_a_budget_ends_the_rounds() -> None:
    """However slow the machine: three rounds, and no further one begins after the budget."""
    rounds = Rounds(ALL["T"], [Fake("warmfork", [])], {}, random.Random(1))
    rounds.run(1_000_000, 0.0, 0.0)
    assert 3 == len(rounds.samples["warmfork"])


def test_a_wrong_answer_is_not_timed() -> None:
    """Another output, a missing chart or an empty one is an error."""
    check(ALL["T"], Done(1.0, "2\n"), "x")
    check(ALL["C"], Done(1.0, "", (b"png",)), "x")
    for workload, done in (
        (ALL["T"], Done(1.0, "3\n")),
        (ALL["C"], Done(1.0)),
        (ALL["P"], Done(1.0, "", (b"pdf", b""))),
    ):
        with pytest.raises(WrongAnswer):
            check(workload, done, "x")


def test_workloads_by_letter() -> None:
    """Letters are found in any case, once each; one that is not there is named."""
    assert ["C", "T"] == [workload.letter for workload in chosen("c, T,C")]
    with pytest.raises(ValueError, match="'X'"):
        chosen("T,X")


def test_a_line_of_proc_stat_whatever_the_name() -> None:
    """A process may call itself anything; CPU and parent are read all the same."""
    fields = "S 7 1 1 0 -1 4194304 1 2 3 4 250 50 30 20 20 0 1 0 99"
    for name in ("python", "a) S 9 (b", "x (y) z"):
        assert Process(12, 7, 3.0, 0.5) == parse_stat(f"12 ({name}) {fields}")


def test_a_tree_of_processes() -> None:
    """Everything below the root belongs to it, at any depth, and nothing else."""
    parents = {2: 1, 3: 2, 4: 3, 5: 1}
    table = {pid: Process(pid, parent, 1.0, 0.0) for pid, parent in parents.items()}
    assert {2, 3, 4} == {process.pid for process in tree_of(2, table)}
    assert [] == tree_of(9, table)


def test_a_quick_run_is_smaller_everywhere() -> None:
    """No part of a quick plan is larger than that of a full one, and its time is bounded by three minutes."""
    for name in ("rounds", "budget_s", "load_s", "cpu_jobs"):
        quick, full = getattr(QUICK, name), getattr(FULL, name)
        assert all(quick[letter] <= full[letter] for letter in full), name
    assert QUICK.limit_s < 180.0
    assert FULL.limit_s < 1_200.0
    assert (True, False) == (QUICK.quick, FULL.quick)


@given(samples)
def test_the_median_is_a_sample(values: list[float]) -> None:
    """Of an even number the lower of the two in the middle."""
    assert sorted(values)[(len(values) - 1) // 2] == median(values)
