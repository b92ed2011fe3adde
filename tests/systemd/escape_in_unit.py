"""Every escape attempt against the daemon that a systemd unit runs: ``python -m tests.systemd.escape_in_unit PID``.

Run as root on the machine of the unit; PID is the unit's main process. Prints what was not refused; exit code 1 if any.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.escape.judge import is_refused, run_attempt
from tests.escape.record import every_attempt
from tests.escape.world import World
from tests.support import Served


def main(pid: int) -> int:
    """Run them all; the number of attempts that were not refused, at most 1 as an exit code."""
    served = Served(Path("/run/warmfork"), "unit", ())
    cast(Any, served).process = SimpleNamespace(pid=pid, poll=lambda: None)
    world = World(served)
    attempts = every_attempt()
    bad = killed = 0
    with served.client() as client:
        for attempt in attempts:
            outcome = run_attempt(attempt, client, world, "off")
            problem = is_refused(attempt, outcome)
            if problem and outcome.result.verdict == "crashed" and not outcome.got_through:
                # systemd's own filter kills where ours refuses (SystemCallArchitectures=native, for the x32 numbers).
                killed += 1
                print(f"killed: {attempt.class_} {attempt.id}: {outcome.result.error}")
            elif problem:
                bad += 1
                print(f"NOT REFUSED {attempt.class_} {attempt.id}: {problem}\n{outcome.told()}")
        alive = client.execute("print(1 + 1)").stdout == "2\n"
    world.close()
    print(
        f"{len(attempts)} attempts: {len(attempts) - bad - killed} refused, {killed} killed, {bad} not; daemon answers: {alive}"
    )
    return int(bad > 0 or not alive)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
