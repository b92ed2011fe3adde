"""How the benchmark suite runs: when a daemon may be measured, whose memory is looked at, what becomes of a stage that fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.suite.__main__ import STAGES, Suite, words_of, write
from bench.suite.ours import why_unsettled
from bench.suite.plan import QUICK
from bench.suite.systems import child_environment
from bench.suite.usage import idle_workers

from warmfork_daemon.template_link import template_environment


def template_row(name: str, **differing: object) -> dict[str, object]:
    """A template at rest, as the daemon's status has it."""
    light = name.endswith(".light")
    return {"name": name, "light": light, "settled": True, "idle": 4, "wanted_idle": 4, "problem": "", **differing}


def test_a_daemon_at_rest() -> None:
    """A daemon is measured when all its templates, the light one too, have settled and have their idle workers."""
    science, light = template_row("science"), template_row("science.light")
    assert "" == why_unsettled({"templates": [science, light]})
    late = template_row("science.light", settled=False, idle=0)
    assert "template science.light has not settled" == why_unsettled({"templates": [science, late]})
    few = template_row("science", idle=3)
    assert "template science has 3 of 4 idle workers" == why_unsettled({"templates": [few, light]})


def test_an_idle_worker_is_of_the_template_that_is_named() -> None:
    """The memory of a light worker is not taken for that of one with the libraries, nor that of a busy one for either."""
    workers = [
        {"pid": 1, "template": "science.light", "state": "idle"},
        {"pid": 2, "template": "science", "state": "busy"},
        {"pid": 3, "template": "science", "state": "idle"},
        {"pid": 4, "template": "other", "state": "idle"},
    ]
    status = {
        "templates": [template_row("science"), template_row("other"), template_row("science.light")],
        "workers": {"list": workers},
    }
    assert [3] == idle_workers(status, light=False)
    assert [1] == idle_workers(status, light=True)


def test_an_unknown_name_is_refused() -> None:
    """A stage or system that is not there is named, and not passed over."""
    assert ["cpu", "load"] == words_of("cpu, load,cpu", STAGES, "stage")
    with pytest.raises(ValueError, match=r"'laod' is no stage; there are floors, "):
        words_of("cpu,laod", STAGES, "stage")


class Suiting(Suite):
    """A suite of which nothing is started."""

    def __init__(self) -> None:
        super().__init__(QUICK, [], 1)
        self.tried: list[str] = []

    def run_two(self) -> None:
        """Two stages, of which the first fails."""
        self._try("one", self._fail)
        self._try("two", lambda: self.tried.append("two"))

    def _fail(self) -> None:
        raise RuntimeError("as asked")


def test_a_stage_that_fails_leaves_the_others() -> None:
    """What a stage raises is noted under its name, and the next one runs."""
    suite = Suiting()
    suite.run_two()
    assert ["two"] == suite.tried
    assert {"one": "RuntimeError: as asked"} == suite.findings.skipped


def test_results_are_written_though_nothing_was_measured(tmp_path: Path) -> None:
    """A run that came to nothing leaves a page that says why, and its facts."""
    suite = Suiting()
    suite.run_two()
    suite.findings.facts.update(when="now", taken_s=1.0, idle_before=1.0, noisy=False)
    write(suite.findings, tmp_path, quick=True)
    assert "- one: RuntimeError: as asked" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert {"one": "RuntimeError: as asked"} == json.loads((tmp_path / "results.json").read_text())["skipped"]


def test_children_are_kept_from_having_threads() -> None:
    """What keeps the libraries of a template from starting one keeps those of the compared processes from it, too."""
    name = "JE_ARROW_MALLOC_CONF"
    assert template_environment({}, scratch_dir="/", instance="x")[name] == child_environment()[name]
