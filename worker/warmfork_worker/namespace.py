"""The namespace in which a job's code runs: a fresh ``__main__`` and the names of CONTRACT row 16."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final

FILE_NAME: Final = "<sandbox>"

_PRESETS: Final = {
    "os": "os",
    "json": "json",
    "math": "math",
    "re": "re",
    "matplotlib": "matplotlib",
    "plt": "matplotlib.pyplot",
    "fm": "matplotlib.font_manager",
    "font_manager": "matplotlib.font_manager",
    "np": "numpy",
    "numpy": "numpy",
    "pd": "pandas",
    "pandas": "pandas",
    "sns": "seaborn",
    "seaborn": "seaborn",
}


_stand_ins: Final[dict[str, ModuleType]] = {}


def stand_in(make: Callable[[str], ModuleType | None]) -> None:
    """Let ``presets`` name modules that are not loaded: what ``make`` gives for them, unless None. For the template."""
    for module in dict.fromkeys(_PRESETS.values()):
        if module not in sys.modules and (made := make(module)) is not None:
            _stand_ins[module] = made


def presets() -> dict[str, object]:
    """Names present without import, as far as their modules loaded or something stands in for them."""
    found = ((name, sys.modules.get(module) or _stand_ins.get(module)) for name, module in _PRESETS.items())
    return {name: module for name, module in found if module is not None}


def make_main(builtins: ModuleType, variables: Mapping[str, Any]) -> dict[str, Any]:
    """A fresh ``__main__`` in ``sys.modules``, so that pickle, dataclasses and typing find the job's classes there.

    Args:
        builtins: what the policy gives user code.
        variables: the request's, set as globals.

    Returns:
        The module's dictionary, for ``exec``.
    """
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    namespace = main.__dict__
    namespace["__builtins__"] = builtins
    namespace["__file__"] = FILE_NAME
    namespace.update(variables)
    return namespace
