"""``python -m tests.faults.caller ADDRESS SEED SECONDS INDEX UNTIL``: one client of a plan, as a process of its own.

Prints each outcome as a line of JSON. It draws the plan again from the seed, so that nothing need be sent to it.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import threading

from tests.faults import load
from tests.faults.plan import draw
from tests.faults.programs import Outcome


def main(address: str, seed: str, seconds: str, index: str, until_s: str) -> None:
    """Run the client with this index."""
    plan = draw(int(seed), float(seconds), ())
    lock = threading.Lock()

    def report(outcome: Outcome) -> None:
        with lock:
            print(json.dumps(dataclasses.asdict(outcome)), flush=True)

    load.run_threads(address, plan.clients[int(index)], float(until_s), f"process {index}", report)


if __name__ == "__main__":
    main(*sys.argv[1:])
