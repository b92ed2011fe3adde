"""How the daemon is, in one line, for people who look at the service manager."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from warmfork_daemon.pool import WorkerPool


def summary_of(pools: Iterable[WorkerPool], queued: int, running: int, by_verdict: Counter[str]) -> str:
    """``2 running, 0 queued, 4 idle; 12 answered (1 timeout)``, and templates that are not ready by name.

    Without the companion of the default one: where that is not ready, its jobs run all the same.
    """
    serving = list(pools)
    idle = sum(pool.roster.idle_count for pool in serving)
    line = f"{running} running, {queued} queued, {idle} idle; {by_verdict.total()} answered"
    failed = [f"{by_verdict[name]} {name}" for name in sorted(by_verdict) if name != "ok"]
    down = [pool.spec.name for pool in serving if pool.keeper.state != "ready" and not pool.spec.is_light]
    line += f" ({', '.join(failed)})" if failed else ""
    return line + (f"; NOT READY: {', '.join(down)}" if down else "")
