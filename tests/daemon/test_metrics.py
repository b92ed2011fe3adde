"""The exposition: it parses, it says what happened, and dashboard, alerts and manual name only what is in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.support import ROOT

from warmfork.results import PHASES, VERDICTS, Dropped, ErrorInfo, Phases, Usage
from warmfork.wire.replies import ResultReply, SignedChart
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import Job
from warmfork_daemon.metrics import registry_of
from warmfork_daemon.tally import Tally
from warmfork_daemon.worker import KillReason

DASHBOARD = ROOT / "docs" / "grafana" / "warmfork.json"
OPERATIONS = ROOT / "docs" / "operations.md"

STATUS: dict[str, Any] = {
    "version": "9.9",
    "templates": [
        {"name": "science", "state": "ready", "generation": 2, "starts": 3, "wanted_idle": 4, "idle": 2, "busy": 1, "forks": 9},
        {"name": "light", "state": "failed", "generation": 1, "starts": 5, "wanted_idle": 1, "idle": 0, "busy": 0, "forks": 0},
    ],
    "workers": {"running_max": 6, "by_state": {"busy": 1, "idle": 2}, "busy": 1},
    "queue": {"jobs": 7, "jobs_max": 1_000, "bytes": 70, "bytes_max": 700, "owners": 2, "tenants": 5},
    "draining": False,
    "defects": 3,
    "cgroups": {"active": True, "failed": 2},
    "peers": {
        "connections": 8, "connections_refused": 4, "connections_cut": 1,
        "unsent_replies": 6, "unsent_bytes": 600, "dropped_replies": 9,
    },
    "known_jobs": {"recent": 11, "recent_bytes": 1_100, "rejoined": 12, "repeated": 13},
    "clients": {"gone": 14, "abandoned": {"queued": 15, "running": 16}},
    "guard": {
        "unguarded": False,
        "templates": {
            "science": {
                "proved": True,
                "problems": [],
                "layers": [{"name": "seccomp", "active": True}, {"name": "uid", "active": False}],
            }
        },
    },
}  # fmt: skip


def page(tally: Tally, status: dict[str, Any] = STATUS) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples of the exposition, as a parser reads it: by name, then by labels."""
    text = generate_latest(registry_of(lambda: status, tally)).decode()
    samples: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        for sample in family.samples:
            known = samples.setdefault(sample.name, {})
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in known, f"{sample.name}{labels} is there twice"
            known[labels] = sample.value
    return samples


def busy_tally() -> Tally:
    tally = Tally()
    tally.kills["bad report"] = 2
    tally.refused["duplicate_job"] = 4
    tally.undelivered = 5
    for verdict, usage in (
        ("ok", Usage(0.02, 0.01, 3 << 20, 0.3, Phases(0.3, executed_s=0.005, rendered_s=0.015))),
        ("error", Usage(2.0, 1.0, 1, 0.0)),
        ("rejected", Usage()),
    ):
        job = Job(ExecuteRequest(bytes(16), b""), Peer(0, b"r", 7, 9), "strict", 1.0, 1, 1, 0.0, 1.0)
        tally.admit()
        error = None if verdict == "ok" else ErrorInfo("x", "x")
        charts = (SignedChart(b"x", "image/png", 1, 1, b"s"),) if verdict == "ok" else ()
        reply = ResultReply(bytes(16), verdict, error=error, usage=usage, dropped=Dropped(11, 0, 1, 2), charts=charts)  # type: ignore[arg-type] # a word from the list above
        tally.answer(job, reply)
    return tally


def test_series_say_what_the_tally_and_the_status_say() -> None:
    """Each number of the sources is found under its series and labels."""
    samples = page(busy_tally())
    science = (("template", "science"),)
    assert 1 == samples["warmfork_jobs_total"][(*science, ("verdict", "ok"))]
    assert 0 == samples["warmfork_jobs_total"][(*science, ("verdict", "lost"))]
    assert 0 == samples["warmfork_jobs_total"][(("template", "light"), ("verdict", "ok"))]
    assert 3 == samples["warmfork_jobs_submitted_total"][()]
    assert 2 == samples["warmfork_job_run_seconds_count"][science]
    assert pytest.approx(2.02) == samples["warmfork_job_run_seconds_sum"][science]
    assert 1 == samples["warmfork_job_run_seconds_bucket"][(("le", "0.025"), *science)]
    assert 2 == samples["warmfork_job_run_seconds_bucket"][(("le", "+Inf"), *science)]
    assert pytest.approx(0.3) == samples["warmfork_job_queue_seconds_sum"][science]
    assert 1 == samples["warmfork_job_peak_memory_bytes_bucket"][(("le", "1048576.0"), *science)]
    assert pytest.approx(1.01) == samples["warmfork_job_cpu_seconds_total"][science]
    assert 2 == samples["warmfork_kills_total"][(("reason", "bad_report"),)]
    assert 4 == samples["warmfork_refused_requests_total"][(("code", "duplicate_job"),)]
    assert 5 == samples["warmfork_undelivered_replies_total"][()]
    assert 22 == samples["warmfork_dropped_bytes_total"][(("stream", "stdout"),)]
    assert (2, 4) == (samples["warmfork_dropped_charts_total"][()], samples["warmfork_dropped_files_total"][()])
    assert (7, 70) == (samples["warmfork_queue_jobs"][()], samples["warmfork_queue_bytes"][()])
    assert (1, 6) == (samples["warmfork_jobs_running"][()], samples["warmfork_jobs_running_max"][()])
    assert 2 == samples["warmfork_workers"][(("state", "idle"),)]
    assert 0 == samples["warmfork_workers"][(("state", "entering"),)]
    assert (2, 5) == (samples["warmfork_queue_owners"][()], samples["warmfork_queue_tenants"][()])
    assert 9 == samples["warmfork_forks_total"][science]
    assert (3, 2) == (
        samples["warmfork_template_starts_total"][science],
        samples["warmfork_template_generation"][science],
    )
    assert {science: 1, (("template", "light"),): 0} == samples["warmfork_template_up"]
    assert 1 == samples["warmfork_guard_layer_active"][(("layer", "seccomp"), *science)]
    assert 0 == samples["warmfork_guard_layer_active"][(("layer", "uid"), *science)]
    assert {(): 0} == samples["warmfork_unguarded"]
    assert samples["process_open_fds"][()] > 2
    assert samples["process_resident_memory_bytes"][()] > 1 << 20


def test_phases_and_rendering() -> None:
    """Seconds of each phase by its name, none of which is left out, and a histogram of drawing."""
    samples = page(busy_tally())
    science = ("template", "science")
    spent = {
        dict(labels)["phase"]: value
        for labels, value in samples["warmfork_job_phase_seconds_total"].items()
        if science in labels
    }
    assert [name.removesuffix("_s") for name in PHASES] == list(spent)
    assert {"queued": 0.3, "executed": 0.005, "rendered": 0.015} == {
        name: value for name, value in spent.items() if value
    }
    assert 1 == samples["warmfork_job_render_seconds_count"][(science,)]
    assert 0 == samples["warmfork_job_render_seconds_bucket"][(("le", "0.01"), science)]
    assert 1 == samples["warmfork_job_render_seconds_bucket"][(("le", "0.025"), science)]


def test_clients_and_what_is_kept_for_them() -> None:
    """Connections, what waits to be sent, what is remembered, who went: each number of the status under its series."""
    samples = page(Tally())
    alone = {
        "warmfork_draining": 0, "warmfork_defects_total": 3, "warmfork_cgroups_active": 1,
        "warmfork_cgroup_failures_total": 2, "warmfork_connections": 8, "warmfork_unsent_replies": 6,
        "warmfork_unsent_bytes": 600, "warmfork_dropped_replies_total": 9, "warmfork_recent_jobs": 11,
        "warmfork_recent_bytes": 1_100, "warmfork_clients_gone_total": 14,
    }  # fmt: skip
    assert alone == {name: samples[name][()] for name in alone}
    labelled = {
        ("warmfork_connections_closed_total", "reason"): {"too_many": 4, "unfinished": 1},
        ("warmfork_resent_requests_total", "answer"): {"joined": 12, "kept": 13},
        ("warmfork_abandoned_jobs_total", "state"): {"queued": 15, "running": 16},
    }
    for (name, label), expected in labelled.items():
        assert expected == {dict(labels)[label]: value for labels, value in samples[name].items()}


def test_every_word_is_there_before_it_happens() -> None:
    """A fresh daemon has a series for every verdict and every reason to kill, or the first one would not be a change."""
    samples = page(Tally())
    assert set(VERDICTS) == {dict(labels)["verdict"] for labels in samples["warmfork_jobs_total"]}
    assert len(KillReason) == len(samples["warmfork_kills_total"])


def test_names_follow_the_conventions() -> None:
    """One prefix, base units, ``_total`` on counters alone; labels never hold a user or a job."""
    for family in registry_of(lambda: STATUS, busy_tally()).collect():
        if family.name.startswith("process_"):
            continue
        assert re.fullmatch(r"warmfork_[a-z_]+", family.name)
        assert not re.search(r"_(ms|milliseconds|kb|mb|percent|count|sum|bucket|total)$", family.name), family.name
        for sample in family.samples:
            assert (family.type == "counter") == sample.name.endswith("_total"), sample.name
            assert set(sample.labels) <= {
                "template",
                "verdict",
                "reason",
                "code",
                "stream",
                "state",
                "layer",
                "phase",
                "answer",
                "le",
                "version",
            }


def test_a_template_that_was_taken_away_keeps_its_counts() -> None:
    """A reload that removes a template does not make its counters vanish."""
    status = {**STATUS, "templates": STATUS["templates"][1:]}
    samples = page(busy_tally(), status)
    assert 1 == samples["warmfork_jobs_total"][(("template", "science"), ("verdict", "ok"))]


def known_names() -> set[str]:
    return set(page(busy_tally()))


def names_in(text: str) -> set[str]:
    """Metric names of queries: words with our prefix or that of process metrics, outside quotes."""
    return set(re.findall(r"\b(?:warmfork|process)_[a-z_]+\b", re.sub(r'"[^"]*"', '""', text)))


def queries_of(dashboard: dict[str, Any]) -> list[str]:
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    found += [note["expr"] for note in dashboard["annotations"]["list"]]
    return found + [
        variable["definition"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"
    ]


def test_the_dashboard_asks_for_what_is_there() -> None:
    """Every panel has queries, each query names a series, and every name it uses is in the exposition."""
    dashboard = json.loads(DASHBOARD.read_text())
    queries = queries_of(dashboard)
    assert len(queries) > 30
    assert set() == {name for query in queries for name in names_in(query)} - known_names()
    assert [] == [query for query in queries if not names_in(query)]
    for panel in dashboard["panels"]:
        assert panel["type"] == "row" or panel["targets"], panel["title"]


def test_the_dashboard_shows_everything() -> None:
    """No series of ours is left out of the dashboard."""
    shown = {name for query in queries_of(json.loads(DASHBOARD.read_text())) for name in names_in(query)}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known_names() if name.startswith("warmfork_")}
    assert set() == families - {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}


def test_panels_do_not_overlap() -> None:
    """Each panel has a place of its own within the 24 columns."""
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_alerts_and_manual_name_what_is_there() -> None:
    """The rules to alert by use series that exist, and the manual's table has every series, once."""
    text = OPERATIONS.read_text()
    rules = "\n".join(re.findall(r"^ *expr: (.+)$", text, re.MULTILINE))
    assert len(rules.splitlines()) >= 8
    assert set() == names_in(rules) - known_names()
    listed = re.findall(r"^\| `((?:warmfork|process)_[a-z_]+)", text, re.MULTILINE)
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known_names()}
    assert sorted(families) == sorted(listed)


def test_a_group_that_is_not_there_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    """An unknown ``metrics.socket_group`` is a ConfigError, and nothing listens afterwards."""
    from warmfork.errors import ConfigError
    from warmfork_daemon.config import load
    from warmfork_daemon.metrics import serve_metrics
    from warmfork_daemon.reactor import Reactor

    path = tmp_path / "m.sock"
    config = load(environ={}, overrides={"metrics.socket": str(path), "metrics.socket_group": "no-such-group"})
    with pytest.raises(ConfigError, match="no-such-group"):
        serve_metrics(Reactor(), config, lambda: STATUS, Tally())
    assert not path.exists()
