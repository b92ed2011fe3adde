"""Functions of matplotlib, pandas and numpy that need judging (CONTRACT row 14)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.worker.policy_harness import Server, serving

from warmfork_worker.policy.tables import LIBRARY_FUNCTIONS, NON_INTERACTIVE_BACKENDS

_FRAME = "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2, 3], 'b': [3, 2, 1]})\n"
_PLT = "import matplotlib, warnings\nimport matplotlib.pyplot as plt\nwarnings.simplefilter('error')\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One template for this file."""
    with serving(tmp_path_factory.mktemp("libraries")) as running:
        yield running


_REFUSED = {
    "matplotlib.use": (_PLT + "matplotlib.use('TkAgg')", "The matplotlib backend 'TkAgg'"),
    "matplotlib.pyplot.switch_backend": (_PLT + "plt.switch_backend('QtAgg')", "The matplotlib backend 'QtAgg'"),
    "pandas.eval": (_FRAME + "pd.eval('df.a + df.b')", "Calling pandas.eval()"),
    "pandas.DataFrame.query": (_FRAME + "df.query('a > 1', parser='python')", "DataFrame.query() with parser='python'"),
    "pandas.DataFrame.eval": (_FRAME + "df.eval('a + b', parser='python')", "DataFrame.eval() with parser='python'"),
}
_STATE = "print(plt.isinteractive())"
_NOTHING = {
    "matplotlib.pyplot.show": "plt.plot([1]); print(plt.show(), plt.show(block=True))",
    "matplotlib.pyplot.ion": f"with plt.ion():\n    {_STATE}\nplt.ion(); {_STATE}",
    "matplotlib.pyplot.ioff": f"with plt.ioff():\n    {_STATE}\nplt.ioff(); {_STATE}",
}
_ELSEWHERE = {
    "sys.modules",
    "importlib.import_module",
    "importlib.__import__",
    "_posixsubprocess.fork_exec",
    "numpy.ctypeslib",
}


def test_every_library_function_of_the_table_is_tested() -> None:
    """This file and, for imports, acts and ctypeslib, the tests named for them cover exactly the table."""
    assert {entry.name for entry in LIBRARY_FUNCTIONS} == set(_REFUSED) | set(_NOTHING) | _ELSEWHERE


@pytest.mark.parametrize("name", sorted(_REFUSED))
def test_library_function_is_refused_to_user_frames_under_strict_alone(server: Server, name: str) -> None:
    """The call is a PermissionError that names what was asked; elsewhere it is not refused."""
    code, said = _REFUSED[name]
    outcome = server.run(code)
    assert ("PermissionError", True) == (outcome.error, outcome.message.startswith(f"{said} is not allowed"))
    for policy in ("standard", "off"):
        assert "not allowed" not in server.run(code, policy).message


@pytest.mark.parametrize("policy", ["strict", "standard"])
@pytest.mark.parametrize("name", sorted(_NOTHING))
def test_show_ion_and_ioff_do_nothing_and_work_as_contexts(server: Server, policy: str, name: str) -> None:
    """No warning, no change of state, and ``with plt.ioff():`` works."""
    outcome = server.run(_PLT + _NOTHING[name], policy)
    assert "" == outcome.message
    assert {"None", "False"} >= set(outcome.stdout.split())


def test_ion_is_real_under_off(server: Server) -> None:
    """The control: with the policy off, interactive mode can be switched on."""
    assert "True\nTrue\n" == server.run(_PLT + _NOTHING["matplotlib.pyplot.ion"], "off").stdout


@pytest.mark.parametrize("name", [name for name in NON_INTERACTIVE_BACKENDS if name not in ("cairo", "pgf")])
def test_backends_without_a_window_can_be_chosen(server: Server, name: str) -> None:
    """In any case of letters, by both functions, by position and by keyword."""
    code = f"matplotlib.use({name.upper()!r}); plt.switch_backend({name!r}); matplotlib.use(backend={name!r})\nprint(1)"
    assert ("1\n", "") == (server.run(_PLT + code).stdout, server.run(_PLT + code).message)


def test_a_refused_backend_names_the_allowed(server: Server) -> None:
    """The message lists every backend that works."""
    message = server.run(_PLT + "plt.switch_backend(newbackend='webagg')").message
    assert all(name in message for name in NON_INTERACTIVE_BACKENDS)


@pytest.mark.parametrize(
    "code",
    [
        "limit = 1\nprint(len(df.query('a > @limit')))",
        "def f():\n    limit = 1\n    return len(df.query('a > @limit'))\nprint(f())",
        "def f(n):\n    def g():\n        x = n\n        return len(df.query('a > @x'))\n    return g()\nprint(f(1))",
        "limit = 1\nprint((lambda: len(df.query('a > @limit')))())",
        "print([len(df.query('a > @limit')) for limit in [1]][0])",
        "class A:\n    def f(self):\n        limit = 1\n        return len(df.query('a > @limit'))\nprint(A().f())",
        "def f(limit):\n    return int((df.eval('c = a > @limit').c).sum())\nprint(f(1))",
        "limit = 1\nprint(int(df.eval('a > @limit').sum()))",
        "limit = 1\ndf.query('a > @limit', inplace=True)\nprint(len(df))",
        "limit = 1\nprint(len(df.query('a > @limit', engine='python')), end='\\n')",
        "print(len(df.query('a > @limit', local_dict={'limit': 1})))",
        "class F(pd.DataFrame):\n    pass\nlimit = 1\nprint(len(F(df).query('a > @limit', parser='pandas')))",
        "def g():\n    return len(df.query('a > @x', level=1))\ndef f():\n    x = 1\n    return g()\nprint(f())",
    ],
)
@pytest.mark.parametrize("policy", ["strict", "standard", "off"])
def test_query_and_eval_find_names_of_their_caller(server: Server, code: str, policy: str) -> None:
    """@names resolve in module code, functions, nested functions, methods and by level, as without the guard."""
    outcome = server.run(_FRAME + code, policy)
    assert ("2\n", "") == (outcome.stdout, outcome.message)


def test_numpy_ctypeslib_is_there_for_libraries_alone(server: Server) -> None:
    """User code finds no np.ctypeslib, also after a library has used it; a library finds it."""
    code = "import numpy as np, pkgutil\nprint(hasattr(np, 'ctypeslib'))\n"
    code += "print(pkgutil.resolve_name('numpy:ctypeslib').__name__, hasattr(np, 'ctypeslib'))\nnp.nothing_at_all"
    outcome = server.run(code)
    assert "False\nnumpy.ctypeslib False\n" == outcome.stdout
    assert ("AttributeError", True) == (outcome.error, "nothing_at_all" in outcome.message)
    for policy in ("standard", "off"):
        assert server.run(code, policy).stdout.startswith("True\n")
