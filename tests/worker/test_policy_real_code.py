"""Real code of every kind runs under strict (CONTRACT rows 3 and 15)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pytest
from tests.worker.policy_harness import Server, serving

_PROGRAMS = {
    "dataclass": """
        from __future__ import annotations
        from dataclasses import dataclass, field, replace
        @dataclass(frozen=True, order=True, slots=True)
        class P:
            x: int
            y: list[int] = field(default_factory=list)
        print(replace(P(1), x=2))
    """,
    "enum": """
        from enum import Enum, auto, IntFlag
        class C(Enum):
            RED = auto()
            BLUE = auto()
        class F(IntFlag):
            A = 1
            B = 2
        print(C.RED, list(C), F.A | F.B)
    """,
    "namedtuple": """
        from typing import NamedTuple, TypedDict, Generic, TypeVar, Protocol, get_type_hints
        from collections import namedtuple
        T = TypeVar("T")
        class N(NamedTuple):
            a: int = 1
        class G(Generic[T]): ...
        class D(TypedDict):
            k: int
        print(N(), namedtuple("Q", "a b")(1, 2), G[int], get_type_hints(D))
    """,
    "classes": """
        import abc, functools
        class Base(abc.ABC):
            def __init_subclass__(cls, **kw): super().__init_subclass__()
            @abc.abstractmethod
            def f(self): ...
        class Child(Base):
            @property
            def v(self): return self.f()
            def f(self): return super().__init__() or type(self).__name__
            def __repr__(self): return f"<{self.v}>"
        @functools.lru_cache
        def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
        print(Child(), fib(50))
    """,
    "generators": """
        import itertools, contextlib
        def gen():
            got = yield 1
            yield from [got, 3]
        g = gen(); print(next(g), g.send(2), list(g))
        def counter():
            n = 0
            def inc():
                nonlocal n
                n += 1
                return n
            return inc
        c = counter(); c()
        @contextlib.contextmanager
        def ctx():
            yield 5
        with ctx() as v: print(v, c(), list(itertools.islice(itertools.count(), 2)))
    """,
    "match": """
        def f(x):
            match x:
                case {"a": [1, *rest]}: return rest
                case int() | float(): return "num"
                case _: return None
        print(f({"a": [1, 2]}), f(3), f("x"))
        try:
            raise ExceptionGroup("g", [ValueError(1), KeyError(2)])
        except* ValueError as e:
            print(e.exceptions)
        except* KeyError as e:
            print(e.exceptions)
    """,
    "asyncio": """
        import asyncio
        async def work(n):
            await asyncio.sleep(0)
            return n
        async def main():
            async with asyncio.TaskGroup() as tg:
                t = [tg.create_task(work(n)) for n in range(3)]
            return [x.result() for x in t] + [await asyncio.to_thread(sum, [1, 2])]
        print(asyncio.run(main()))
    """,
    "stdlib": """
        import json, re, collections, datetime, random, statistics, logging, csv, math, heapq, bisect, string, copy
        import decimal, fractions, operator, textwrap, pprint, base64, hashlib, calendar, io, struct, difflib, uuid
        import array, time
        random.seed(1)
        logging.basicConfig(level=logging.INFO)
        logging.getLogger(__name__).info("x")
        pprint.pprint({"a": 1})
        with open("a.csv", "w", newline="") as f: csv.writer(f).writerow([1, 2])
        print(json.loads('{"a": 1}'), re.sub("a", "b", "aa"), collections.Counter("aab").most_common(1))
        print(datetime.datetime.strptime("2024-01-02", "%Y-%m-%d"), statistics.mean([1, 2]), copy.deepcopy([[1]]))
    """,
    "unittest": """
        import unittest, io
        class T(unittest.TestCase):
            def test_a(self): self.assertEqual(1, 1)
        if __name__ == "__main__":
            suite = unittest.defaultTestLoader.loadTestsFromTestCase(T)
            result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
            print(result.testsRun, result.wasSuccessful())
    """,
    "sqlite": """
        import sqlite3
        with sqlite3.connect("x.db") as db:
            db.execute("create table t(a, b)")
            db.executemany("insert into t values (?, ?)", [(1, 2), (3, 4)])
            import pandas as pd
            print(pd.read_sql("select sum(a) s from t", db).s[0])
    """,
    "pandas": """
        import pandas as pd, numpy as np, io
        df = pd.DataFrame({"g": list("aab"), "v": [1.0, 2.0, 3.0], "t": pd.date_range("2024", periods=3)})
        df.to_csv("x.csv", index=False); df.to_pickle("x.pkl"); df.to_json("x.json")
        print(pd.read_csv("x.csv").shape, pd.read_pickle("x.pkl").equals(df), pd.read_json("x.json").shape)
        print(df.groupby("g").v.agg(["sum", "mean"]), df.apply(lambda r: r.v * 2, axis=1).sum())
        print(df.set_index("t").v.resample("D").sum().rolling(2).mean().dropna().tolist(), df.pivot_table("v", "g"))
        print(df.merge(df, on="g").describe().shape, df.to_string()[:5])
    """,
    "numpy": """
        import numpy as np
        a = np.arange(6).reshape(2, 3)
        np.save("a.npy", a); np.savez_compressed("a.npz", a=a); np.savetxt("a.txt", a)
        print(np.load("a.npy").sum(), np.load("a.npz")["a"].sum(), np.loadtxt("a.txt").sum())
        print(np.genfromtxt("a.txt").sum())
        print(np.linalg.svd(a)[1].shape, np.vectorize(lambda x: x + 1)(a).sum(), np.random.default_rng(1).normal() != 0)
        np.array([1]).dumps()
    """,
    "plots": """
        import matplotlib.pyplot as plt, numpy as np, seaborn as sns, pandas as pd
        sns.set_theme()
        fig, ax = plt.subplots(1, 2)
        ax[0].plot([1, 2], label="a"); ax[0].legend(); ax[0].set_title(r"$x^2$")
        sns.heatmap(np.eye(3), annot=True, ax=ax[1])
        for end in ("png", "svg", "pdf", "jpg"): plt.savefig("x." + end, bbox_inches="tight")
        plt.show()
        df = pd.DataFrame({"x": [1, 2, 3, 4], "y": [1, 2, 2, 1], "c": list("aabb")})
        sns.pairplot(df, hue="c"); sns.boxplot(df, x="c", y="y"); df.plot(); df.hist()
        fig = plt.figure(); fig.add_subplot(projection="3d").plot_surface(*np.meshgrid([0, 1], [0, 1]), np.eye(2))
        fig.savefig("3d.png")
        print(len(plt.get_fignums()) > 3, plt.imread("x.png").ndim)
    """,
    "animation": """
        import matplotlib.pyplot as plt
        from matplotlib.animation import FuncAnimation, PillowWriter
        fig, ax = plt.subplots()
        line, = ax.plot([0, 1])
        FuncAnimation(fig, lambda i: line.set_ydata([i, 1]), frames=2).save("x.gif", writer=PillowWriter(fps=2))
        print(1)
    """,
    "threads and temporary files inside libraries": """
        from concurrent.futures import ThreadPoolExecutor, as_completed
        import zipfile, gzip, urllib.parse, xml.etree.ElementTree as ET, pandas as pd
        with ThreadPoolExecutor(3) as pool:
            print(sorted(f.result() for f in as_completed([pool.submit(pow, 2, n) for n in range(3)])))
        with zipfile.ZipFile("x.zip", "w") as z: z.writestr("a", "b")
        with gzip.open("x.gz", "wt") as g: g.write("x")
        pd.DataFrame({"a": [1]}).to_csv("x.csv.zip"); print(pd.read_csv("x.csv.zip").shape)
        import matplotlib.cbook, http.client, email.message
    """,
    "text tools": """
        import ast, operator, timeit, warnings, doctest, typing, numbers, types, weakref, contextvars, graphlib
        warnings.warn("careful", stacklevel=1)
        print(ast.literal_eval("[1, 2]"), isinstance(1, numbers.Number), timeit.timeit(lambda: 1, number=1) >= 0)
        def f():
            '''
            >>> f()
            1
            '''
            return 1
        print(doctest.testmod(types.ModuleType("x")))
    """,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One template for this file."""
    with serving(tmp_path_factory.mktemp("real")) as running:
        yield running


@pytest.mark.parametrize("policy", ["strict", "standard"])
@pytest.mark.parametrize("name", sorted(_PROGRAMS))
def test_real_code_runs_as_without_the_guard(server: Server, name: str, policy: str) -> None:
    """A program of this kind ends well under the policy and prints what it prints with the policy off."""
    code = textwrap.dedent(_PROGRAMS[name])
    guarded, free = server.run(code, policy), server.run(code, "off")
    assert ("", "") == (guarded.error, guarded.message)
    assert "" != free.stdout
    assert free.stdout == guarded.stdout
