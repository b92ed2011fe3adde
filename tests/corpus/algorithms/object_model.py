"""Dunder methods, properties, class creation, introspection that scripts use."""
import copy
import operator
import weakref
from functools import singledispatchmethod, total_ordering


@total_ordering
class Money:
    def __init__(self, cents):
        self.cents = cents

    def __eq__(self, other):
        return self.cents == other.cents

    def __lt__(self, other):
        return self.cents < other.cents

    def __hash__(self):
        return hash(self.cents)

    def __add__(self, other):
        return Money(self.cents + other.cents)

    def __radd__(self, other):
        return self if other == 0 else NotImplemented

    def __format__(self, spec):
        return f"{self.cents / 100:.2f}{spec or '€'}"

    def __repr__(self):
        return f"Money({self.cents})"

    def __bool__(self):
        return self.cents != 0

    @singledispatchmethod
    def times(self, factor):
        raise TypeError(f"no {type(factor).__name__}")

    @times.register
    def _(self, factor: int):
        return Money(self.cents * factor)

    @staticmethod
    def free():
        return Money(0)

    @classmethod
    def of(cls, text):
        return cls(round(float(text) * 100))


wallet = [Money(250), Money.of("1.99"), Money.free()]
print(sum(wallet), max(wallet), sorted(wallet), [bool(m) for m in wallet], f"{wallet[0]} {wallet[1]:$}")
print(Money(5) >= Money(4), len({Money(1), Money(1)}), wallet[0].times(2))
try:
    wallet[0].times("2")
except TypeError as error:
    print(error)
deep = copy.deepcopy({"a": [Money(1)]})
reference = weakref.ref(deep["a"][0])
print(reference() is deep["a"][0], operator.attrgetter("cents")(Money(9)), id(deep) == id(deep))
print(getattr(Money, "of").__name__, hasattr(Money, "nothing"), vars(Money(3)), issubclass(Money, object))
print([name for name in dir(Money(1)) if not name.startswith("_")], object().__class__.__name__, type(Money).__name__)
setattr(Money, "currency", property(lambda self: "EUR"))
print(Money(1).currency, isinstance(Money(1), Money), callable(Money), memoryview(b"ab")[1], bytearray(b"xy"))
