"""What a template does once, when nothing in it changes any more, to make every later worker cheaper; and what each gave."""

from __future__ import annotations

import gc
from dataclasses import dataclass

from warmfork.wire import control
from warmfork_worker.fresh import tidy_free_memory, use_up_free_memory
from warmfork_worker.heap import Heap
from warmfork_worker.immortal import make_immortal
from warmfork_worker.mappings import Mappings


@dataclass(frozen=True, slots=True)
class Taken:
    """What was done.

    Attributes:
        heap_bytes: that lie in the memfd; 0: none.
        told: of each measure, for the daemon.
    """

    heap_bytes: int
    told: tuple[control.Measure, ...]


class Measures:
    """Takes them, once. Nothing of it ever raises.

    Made early: what it looks at cannot be opened any more by a process that is not dumpable.

    Args:
        start: says which are wanted.
    """

    def __init__(self, start: control.Start) -> None:
        self._start = start
        self._heap = Heap(wanted=start.heap_memfd)
        self._mappings = Mappings(wanted=start.joined_mappings)

    def take(self) -> Taken:
        """Take them in the order that they need: whatever this process writes after the last is copied by each worker."""
        self._heap.look()
        joined = self._mappings.join()
        immortal = make_immortal(wanted=self._start.immortal_objects)
        gc.freeze()
        tidy_free_memory()
        fresh = use_up_free_memory(wanted=self._start.fresh_memory)
        heap = self._heap.move()
        return Taken(
            heap.moved_bytes,
            (
                control.Measure("heap", heap.moved_bytes, heap.detail),
                control.Measure("joined", joined.joined, joined.detail),
                control.Measure("immortal", immortal.objects, immortal.detail),
                control.Measure("fresh", fresh.taken_bytes, fresh.detail),
            ),
        )
