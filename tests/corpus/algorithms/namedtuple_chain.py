"""Collections: namedtuple, ChainMap, deque, Counter arithmetic, UserDict."""
from collections import ChainMap, Counter, UserDict, deque, namedtuple
from types import MappingProxyType, SimpleNamespace

Point = namedtuple("Point", "x y", defaults=[0])


class Lower(UserDict):
    def __setitem__(self, key, value):
        super().__setitem__(key.lower(), value)


p = Point(3)._replace(y=4)
print(p, p._asdict(), Point._fields, p == (3, 4))
settings = ChainMap({"a": 1}, {"a": 2, "b": 3})
settings["c"] = 4
print(dict(sorted(settings.items())), settings.parents["a"])
queue = deque([1, 2, 3, 4], maxlen=4)
queue.rotate(1)
queue.append(9)
print(list(queue), Counter("hello") - Counter("lo"), (Counter(a=2) & Counter(a=1, b=1)))
print(Lower(A=1, B=2).data, MappingProxyType({"k": 1})["k"], SimpleNamespace(u=1, v=2))
words = {"a", "b"} | {"c"}
print(sorted(words ^ {"a", "z"}), frozenset({1, 2}) <= {1, 2, 3}, [*range(3), *"ab"], {**{"x": 1}, "y": 2})
