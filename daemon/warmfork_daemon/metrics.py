"""The daemon's numbers as Prometheus series, made from ``status`` and the tally at the moment somebody asks.

Nothing is counted here, so a scrape can neither disagree with ``warmfork status`` nor cost a job anything. No label ever
holds a job id, a user, or anything a job wrote: values come from the configuration and from fixed sets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from warmfork.results import PHASES, VERDICTS
from warmfork_daemon.config import Config
from warmfork_daemon.frontend import group_id_of
from warmfork_daemon.lifecycle import WorkerState
from warmfork_daemon.metrics_http import PageServer
from warmfork_daemon.reactor import Reactor
from warmfork_daemon.tally import Histogram, Tally, TemplateTally
from warmfork_daemon.worker import KillReason

_STATES: Final = tuple(state.value for state in WorkerState if state is not WorkerState.GONE)
_REFUSALS: Final = (
    *("bad_request", "unsupported_version", "unknown_type", "duplicate_job"),
    *("policy_not_allowed", "limit_not_allowed", "unknown_template"),
)
"""Codes that are there from the start, so that the first refusal is a change of a series and not a new one."""
_STREAMS: Final = ("stdout", "stderr")
_NOTHING: Final = TemplateTally()


class DaemonCollector(Collector):
    """Makes the series.

    Args:
        status: what ``status`` answers, as ``docs/protocol.md`` describes it.
        tally: the same account in more detail.
    """

    def __init__(self, status: Callable[[], Mapping[str, Any]], tally: Tally) -> None:
        self._status = status
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """Every family, in a fixed order."""
        status = self._status()
        yield from self._daemon(status)
        yield from self._jobs(status)
        yield from self._load(status)
        yield from _clients(status)
        yield from self._templates(status)
        yield from _guard(status["guard"])

    def _daemon(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        yield _gauge("warmfork_build_info", "Always 1; the label tells the version.", version=status["version"])
        started = GaugeMetricFamily("warmfork_start_time_seconds", "When the daemon started, in seconds since 1970.")
        started.add_metric([], self._tally.started_at)
        yield started
        yield _gauge("warmfork_draining", "1 once the daemon stops and takes nothing new.", status["draining"])
        yield _count("warmfork_defects", "Mistakes of the daemon that it went on after.", status["defects"])
        cgroups = status["cgroups"]
        yield _gauge("warmfork_cgroups_active", "1 where each job has a cgroup of its own.", cgroups["active"])
        yield _count("warmfork_cgroup_failures", "Workers that got no cgroup where they should.", cgroups["failed"])

    def _jobs(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        tally = self._tally
        templates = {row["name"]: tally.by_template.get(row["name"], _NOTHING) for row in status["templates"]}
        templates |= tally.by_template  # also those that a reload took away: a counter does not vanish
        yield _count("warmfork_jobs_submitted", "Jobs that were admitted.", tally.submitted)
        answered = CounterMetricFamily("warmfork_jobs", "Jobs that got their reply.", labels=["template", "verdict"])
        cpu = CounterMetricFamily("warmfork_job_cpu_seconds", "CPU time of jobs.", labels=["template"])
        charts = CounterMetricFamily("warmfork_charts", "Charts that came back from jobs.", labels=["template"])
        for name, one in templates.items():
            for verdict in VERDICTS:
                answered.add_metric([name, verdict], one.by_verdict[verdict])
            cpu.add_metric([name], one.cpu_s)
            charts.add_metric([name], one.charts)
        yield from (answered, cpu, charts)
        yield _histogram(
            "warmfork_job_queue_seconds",
            "Time that jobs which ran had waited in the queue.",
            {name: one.queue_s for name, one in templates.items()},
        )
        yield _histogram(
            "warmfork_job_run_seconds",
            "Time from dispatch to the worker's report, running and rendering together.",
            {name: one.run_s for name, one in templates.items()},
        )
        yield _histogram(
            "warmfork_job_render_seconds",
            "Time that drawing took, of jobs whose figures were drawn after their code had ended.",
            {name: one.render_s for name, one in templates.items()},
        )
        phases = CounterMetricFamily(
            "warmfork_job_phase_seconds", "Time that jobs which ran spent in each phase.", labels=["template", "phase"]
        )
        for name, one in templates.items():
            for phase, seconds in zip(PHASES, one.phases_s, strict=True):
                phases.add_metric([name, phase.removesuffix("_s")], seconds)
        yield phases
        yield _histogram(
            "warmfork_job_peak_memory_bytes",
            "Highest resident memory of jobs, above what their idle worker had.",
            {name: one.peak_memory_bytes for name, one in templates.items()},
        )
        kills = {reason.value.replace(" ", "_"): tally.kills[reason.value] for reason in KillReason}
        yield _counts("warmfork_kills", "Jobs that the daemon killed, by reason.", "reason", kills)
        dropped = {name: tally.dropped[name] for name in _STREAMS}
        yield _counts("warmfork_dropped_bytes", "Bytes of output cut out of the middle.", "stream", dropped)
        yield _count("warmfork_dropped_charts", "Charts over the number or size allowed.", tally.dropped["charts"])
        yield _count("warmfork_dropped_files", "Files over the number or size allowed.", tally.dropped["files"])
        yield _count("warmfork_undelivered_replies", "Replies whose client was gone.", tally.undelivered)
        refused = dict.fromkeys(_REFUSALS, 0) | dict(tally.refused)
        yield _counts("warmfork_refused_requests", "Requests answered with a typed error.", "code", refused)

    def _load(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        queue, workers = status["queue"], status["workers"]
        yield _gauge("warmfork_queue_jobs", "Jobs that wait.", queue["jobs"])
        yield _gauge("warmfork_queue_jobs_max", "Jobs that may wait.", queue["jobs_max"])
        yield _gauge("warmfork_queue_bytes", "Bytes that waiting jobs hold.", queue["bytes"])
        yield _gauge("warmfork_queue_bytes_max", "Bytes that waiting jobs may hold.", queue["bytes_max"])
        yield _gauge("warmfork_queue_owners", "Users and keys that have jobs in the queue.", queue["owners"])
        yield _gauge("warmfork_queue_tenants", "Tenants of theirs that have.", queue["tenants"])
        yield _gauge("warmfork_jobs_running", "Jobs that run.", workers["busy"])
        yield _gauge("warmfork_jobs_running_max", "Jobs that may run at the same time.", workers["running_max"])
        by_state = GaugeMetricFamily("warmfork_workers", "Workers by what they are at.", labels=["state"])
        for state in _STATES:
            by_state.add_metric([state], workers["by_state"].get(state, 0))
        yield by_state

    def _templates(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        rows = status["templates"]
        for family, help, field in (
            ("warmfork_forks", "Workers that were forked.", "forks"),
            ("warmfork_template_starts", "Times that a process of the template was started.", "starts"),
        ):
            yield _counts(family, help, "template", {row["name"]: row[field] for row in rows})
        for family, help, field in (
            ("warmfork_template_generation", "Generation that serves, counted from 1.", "generation"),
            ("warmfork_template_workers_idle", "Workers that wait for a job.", "idle"),
            ("warmfork_template_workers_idle_wanted", "Workers that are to wait.", "wanted_idle"),
            ("warmfork_template_workers_busy", "Workers that run a job.", "busy"),
        ):
            gauge = GaugeMetricFamily(family, help, labels=["template"])
            for row in rows:
                gauge.add_metric([row["name"]], row[field])
            yield gauge
        up = GaugeMetricFamily("warmfork_template_up", "1 where the template is ready.", labels=["template"])
        for row in rows:
            up.add_metric([row["name"]], row["state"] == "ready")
        yield up


def _clients(status: Mapping[str, Any]) -> Iterator[Metric]:
    peers, known, clients = status["peers"], status["known_jobs"], status["clients"]
    yield _gauge("warmfork_connections", "Connections of clients.", peers["connections"])
    yield _counts(
        "warmfork_connections_closed",
        "Connections that the daemon closed: too many, or memory filled by unfinished messages.",
        "reason",
        {"too_many": peers["connections_refused"], "unfinished": peers["connections_cut"]},
    )
    yield _gauge(
        "warmfork_unsent_replies", "Replies that wait for their clients to take them.", peers["unsent_replies"]
    )
    yield _gauge("warmfork_unsent_bytes", "Bytes that they hold.", peers["unsent_bytes"])
    yield _count("warmfork_dropped_replies", "Replies that waited and were dropped.", peers["dropped_replies"])
    yield _gauge("warmfork_recent_jobs", "Ended jobs that are known still.", known["recent"])
    yield _gauge("warmfork_recent_bytes", "Bytes that they and their kept results hold.", known["recent_bytes"])
    yield _counts(
        "warmfork_resent_requests",
        "Requests for a job that was known: it was waited for again, or had ended and was answered from memory.",
        "answer",
        {"joined": known["rejoined"], "kept": known["repeated"]},
    )
    yield _count("warmfork_clients_gone", "Clients that went while they waited for a job.", clients["gone"])
    yield _counts(
        "warmfork_abandoned_jobs", "Jobs ended because nobody waited for them any more.", "state", clients["abandoned"]
    )


def _guard(guard: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge(
        "warmfork_unguarded", "1 where the kernel's guard is switched off by guard.unguarded.", guard["unguarded"]
    )
    layers = GaugeMetricFamily(
        "warmfork_guard_layer_active", "1 where the layer of the guard stands.", labels=["template", "layer"]
    )
    proved = GaugeMetricFamily(
        "warmfork_guard_proved", "1 where the template's guard was tried and held.", labels=["template"]
    )
    for name, one in guard["templates"].items():
        proved.add_metric([name], one["proved"] and not one["problems"])
        for layer in one["layers"]:
            layers.add_metric([name, layer["name"]], layer["active"])
    yield from (layers, proved)


def _gauge(name: str, help: str, value: float = 1, **labels: str) -> Metric:
    gauge = GaugeMetricFamily(name, help, labels=list(labels))
    gauge.add_metric(list(labels.values()), float(value))
    return gauge


def _count(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(name, help, value=value)


def _counts(name: str, help: str, label: str, values: Mapping[str, float]) -> Metric:
    counter = CounterMetricFamily(name, help, labels=[label])
    for key, value in values.items():
        counter.add_metric([key], value)
    return counter


def _histogram(name: str, help: str, by_template: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, help, labels=["template"])
    for template, histogram in by_template.items():
        buckets = [
            ("+Inf" if math.isinf(bound) else repr(bound), float(count)) for bound, count in histogram.cumulative()
        ]
        family.add_metric([template], buckets=buckets, sum_value=histogram.sum)
    return family


def registry_of(status: Callable[[], Mapping[str, Any]], tally: Tally) -> CollectorRegistry:
    """A registry of our own with the daemon's series and those of its process (descriptors, memory, CPU)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(DaemonCollector(status, tally))
    ProcessCollector(registry=registry)
    return registry


def serve_metrics(
    reactor: Reactor, config: Config, status: Callable[[], Mapping[str, Any]], tally: Tally
) -> PageServer:
    """Listen where the section ``metrics`` says. Raises ConfigError when that cannot be had."""
    registry = registry_of(status, tally)
    server = PageServer(reactor, lambda: (CONTENT_TYPE_LATEST, generate_latest(registry)))
    settings = config.metrics
    try:
        if settings.socket:
            server.listen_unix(settings.socket, group_id_of(settings.socket_group))
        if settings.listen:
            server.listen_tcp(settings.listen)
    except BaseException:
        server.close()
        raise
    return server
