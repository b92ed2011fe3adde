"""Fresh randomness after the fork: idle siblings of one template must never agree.

``os.urandom``, ``secrets``, ``uuid4`` and ``numpy.random.default_rng()`` ask the kernel each time and need nothing.
What the template's memory carries over is the state of numpy's global generator, uuid1's memory and temporary names; and
that of ``random``, which CPython reseeds after a fork by a hook of its own that is not part of its documentation.
"""

from __future__ import annotations

import ctypes
import os
import random
import sys
import tempfile
import uuid
from typing import Any, Final

_MT19937_WORDS: Final = 624
_WORD_BYTES: Final = 4
_KEY_BYTES: Final = _MT19937_WORDS * _WORD_BYTES

_numpys: Any = None
"""The generator whose key that is: it must not be freed."""
_numpys_key: memoryview | None = None


def prepare() -> None:
    """In the template: find the state of numpy's global generator, so that a worker seeds it without numpy.

    ``numpy.random.seed`` runs through four megabytes of code that most jobs have no other use for. The address of the state
    is documented (``numpy.random.BitGenerator``, ``ctypes.state_address``), and that its key comes first, then the position
    in it, is looked at here: where memory and numpy do not say the same, nothing is prepared.
    """
    global _numpys, _numpys_key
    _numpys_key = None
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return
    _reseed_numpy(numpy)  # a pair of normals of which one was drawn is forgotten
    try:
        generator = numpy.random.get_bit_generator()
        state = generator.state
        key, position = state["state"]["key"].tobytes(), int(state["state"]["pos"])
        address = int(generator.ctypes.state_address)
    except (AttributeError, KeyError, TypeError):  # another kind of generator, or a numpy that tells it otherwise
        return
    told = key + position.to_bytes(_WORD_BYTES, sys.byteorder)
    if state["bit_generator"] == "MT19937" and len(key) == _KEY_BYTES and ctypes.string_at(address, len(told)) == told:
        _numpys = generator
        _numpys_key = memoryview((ctypes.c_ubyte * _KEY_BYTES).from_address(address)).cast("B")


def reseed() -> None:
    """Give this process generators of its own, seeded by the kernel."""
    random.seed()
    if _numpys_key is not None:
        _numpys_key[:] = os.urandom(_KEY_BYTES)
    elif (numpy := sys.modules.get("numpy")) is not None:
        _reseed_numpy(numpy)
    # Private to their modules and without a public way to reset them; setattr because the type stubs leave them out.
    setattr(uuid, "_last_timestamp", None)  # noqa: B010
    setattr(tempfile, "_name_sequence", None)  # noqa: B010


def _reseed_numpy(numpy: Any) -> None:
    try:
        numpy.random.seed()
    except TypeError:  # what is preloaded chose a generator of another kind, which has no such way
        numpy.random.set_bit_generator(type(numpy.random.get_bit_generator())())
