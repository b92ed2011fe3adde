"""The Python-level policy: clear errors for what user code may not do.

It is no boundary. In-process guards lose against code that means to break them; the kernel guard holds with this
package switched off. What it gives is a sentence that names what was refused and the way that works, and library code
that never notices. ``tables`` holds the policy as data; ``docs/policy.md`` is printed from it.
"""

from __future__ import annotations

from warmfork_worker.policy.files import default_readable_roots
from warmfork_worker.policy.guard import Guard
from warmfork_worker.policy.tables import PolicyName

__all__ = ["Guard", "PolicyName", "default_readable_roots"]
