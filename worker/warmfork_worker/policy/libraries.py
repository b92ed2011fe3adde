"""Functions of matplotlib, pandas and numpy that need judging (CONTRACT row 14), patched where the library is loaded.

Every patch is built in the template and put in place in the worker. A judge looks at its direct caller: a library that
calls the same function passes straight through.
"""

from __future__ import annotations

import _posixsubprocess
import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

from warmfork_worker.policy.refusals import import_refused, refused, restricted_entry
from warmfork_worker.policy.tables import LIBRARY_FUNCTIONS, NON_INTERACTIVE_BACKENDS, Entry, PolicyName

IsUserFrame = Callable[[Any], bool]
_ENTRIES = {entry.name: entry for entry in LIBRARY_FUNCTIONS}
_HIDDEN_SUBMODULES = ("asyncio.subprocess", "http.server", "importlib.util", "numpy.ctypeslib", "urllib.request")


class Patches:
    """Replacements for attributes of loaded libraries, by table entry.

    They are put in place once, in the template, and do what they replace until ``enter`` names a policy: setting an
    attribute of ``pandas.DataFrame`` in every worker would dirty hundreds of pages while a job waits.
    """

    def __init__(self, is_user_frame: IsUserFrame) -> None:
        self._is_user_frame = is_user_frame
        self._policy: PolicyName = "off"
        for owner, attribute, new in list(self._process_patches()):
            setattr(owner, attribute, new)
        for name in _HIDDEN_SUBMODULES:
            self._hide_submodule(name)
        self._patch_libraries()

    def add_libraries(self) -> None:
        """Patch the libraries, none of which was loaded when this was made, now that they are."""
        self._hide_submodule("numpy.ctypeslib")
        self._patch_libraries()

    def _patch_libraries(self) -> None:
        for owner, attribute, new in list(self._build()):
            setattr(owner, attribute, new)

    def enter(self, policy: PolicyName) -> None:
        """Let the replacements do what ``policy`` asks for."""
        self._policy = policy

    def _on(self, entry: Entry) -> bool:
        return self._policy in entry.policies

    def _build(self) -> Iterator[tuple[Any, str, Any]]:
        if matplotlib := sys.modules.get("matplotlib"):
            yield matplotlib, "use", self._backend_judge(matplotlib.use, _ENTRIES["matplotlib.use"])
        for plt in _loaded("matplotlib.pyplot", "matplotlib.pylab", "pylab"):
            judge = self._backend_judge(plt.switch_backend, _ENTRIES["matplotlib.pyplot.switch_backend"])
            yield plt, "switch_backend", judge
            yield plt, "show", self._nothing(plt.show, _ENTRIES["matplotlib.pyplot.show"])
            yield plt, "ion", self._empty_context(plt.ion, _ENTRIES["matplotlib.pyplot.ion"])
            yield plt, "ioff", self._empty_context(plt.ioff, _ENTRIES["matplotlib.pyplot.ioff"])
        if (pandas := sys.modules.get("pandas")) and hasattr(pandas, "DataFrame"):
            frame = pandas.DataFrame
            yield pandas, "eval", self._eval_judge(pandas.eval)
            yield frame, "query", self._parser_judge(frame.query, "query")
            yield frame, "eval", self._parser_judge(frame.eval, "eval")

    def _backend_judge(self, real: Callable[..., Any], entry: Entry) -> Callable[..., Any]:
        @functools.wraps(real)
        def judged(*args: Any, **kwargs: Any) -> Any:
            backend = args[0] if args else kwargs.get("backend", kwargs.get("newbackend"))
            refusable = self._on(entry) and str(backend).lower() not in NON_INTERACTIVE_BACKENDS
            if refusable and self._is_user_frame(sys._getframe(1)):
                allowed = ", ".join(NON_INTERACTIVE_BACKENDS)
                raise refused(f"The matplotlib backend {backend!r}", f"Allowed are {allowed}; plt.savefig works.")
            return real(*args, **kwargs)

        return judged

    def _eval_judge(self, real: Callable[..., Any]) -> Callable[..., Any]:
        entry = _ENTRIES["pandas.eval"]

        @functools.wraps(real)
        def judged(*args: Any, level: int = 0, **kwargs: Any) -> Any:
            if self._on(entry) and self._is_user_frame(sys._getframe(1)):
                raise refused("Calling pandas.eval()", entry.hint)
            return real(*args, level=level + 1, **kwargs)

        return judged

    def _parser_judge(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        entry = _ENTRIES[f"pandas.DataFrame.{name}"]

        @functools.wraps(real)
        def judged(self_: Any, *args: Any, level: int = 0, **kwargs: Any) -> Any:
            refusable = self._on(entry) and kwargs.get("parser", "pandas") != "pandas"
            if refusable and self._is_user_frame(sys._getframe(1)):
                raise refused(f"DataFrame.{name}() with parser={kwargs['parser']!r}", entry.hint)
            # pandas counts frames up to its caller to find @names; this function is one frame more.
            return real(self_, *args, level=level + 1, **kwargs)

        return judged

    def _process_patches(self) -> Iterator[tuple[Any, str, Any]]:
        entry = _ENTRIES["_posixsubprocess.fork_exec"]
        real: Callable[..., Any] = _posixsubprocess.fork_exec

        def fork_exec(*args: Any, **kwargs: Any) -> Any:
            if self._on(entry):
                raise refused("Starting a process", entry.hint)
            return real(*args, **kwargs)

        yield _posixsubprocess, "fork_exec", fork_exec
        # subprocess holds it under a name of its own once it is loaded.
        if hasattr(sys.modules.get("subprocess"), "_fork_exec"):
            yield sys.modules["subprocess"], "_fork_exec", fork_exec

    def _nothing(self, real: Callable[..., Any], entry: Entry) -> Callable[..., Any]:
        @functools.wraps(real)
        def nothing(*args: Any, **kwargs: Any) -> Any:
            return None if self._on(entry) else real(*args, **kwargs)

        return nothing

    def _empty_context(self, real: Callable[..., Any], entry: Entry) -> Callable[..., Any]:
        @functools.wraps(real)
        def empty() -> Any:
            return contextlib.ExitStack() if self._on(entry) else real()

        return empty

    def _hide_submodule(self, name: str) -> None:
        """Make the loaded submodule ``name`` reachable as an attribute of its package for libraries alone.

        The attribute goes; the package's ``__getattr__`` gives it to whoever is no user frame. Importing the name is
        refused by ``imports``; this closes ``urllib.request`` after ``import urllib.parse``.
        """
        package_name, _, attribute = name.rpartition(".")
        package, entry = sys.modules.get(package_name), restricted_entry(name)
        if package is None or entry is None or not (name in sys.modules or hasattr(package, "__getattr__")):
            return
        namespace: dict[str, Any] = package.__dict__
        inner: Callable[[str], Any] | None = namespace.get("__getattr__")

        def __getattr__(asked: str) -> Any:  # PEP 562 gives the name  # noqa: N807
            if asked == attribute:
                if self._on(entry) and self._is_user_frame(sys._getframe(1)):
                    raise AttributeError(str(import_refused(name, entry)), name=asked, obj=package)
                if name in sys.modules:
                    return sys.modules[name]
            if inner is not None:
                value = inner(asked)
                if asked == attribute:
                    # Loading a submodule sets it on its package, for everybody.
                    namespace.pop(attribute, None)
                return value
            raise AttributeError(f"module {package_name!r} has no attribute {asked!r}", name=asked, obj=package)

        namespace.pop(attribute, None)
        namespace["__getattr__"] = __getattr__


def _loaded(*names: str) -> Iterator[Any]:
    return (sys.modules[name] for name in names if name in sys.modules)
