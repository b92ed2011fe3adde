"""Abstract classes, protocols, descriptors, metaclasses, slots, super."""
from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


class Registry(type):
    known: ClassVar[dict[str, type]] = {}

    def __new__(mcs, name, bases, namespace, **kwargs):
        cls = super().__new__(mcs, name, bases, namespace)
        Registry.known[name] = cls
        return cls


class Shape(ABC):
    @property
    @abstractmethod
    def area(self) -> float: ...

    def __lt__(self, other):
        return self.area < other.area


class Square(Shape):
    __slots__ = ("side",)

    def __init__(self, side):
        self.side = side

    @property
    def area(self):
        return self.side**2


class Positive:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner):
        return self if instance is None else getattr(instance, self.name)

    def __set__(self, instance, value):
        if value <= 0:
            raise ValueError(f"{self.name[1:]} must be positive, not {value}")
        setattr(instance, self.name, value)


class Account(metaclass=Registry):
    balance = Positive()

    def __init__(self, balance):
        self.balance = balance

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__()
        print("subclass", cls.__name__, kwargs)


class Savings(Account, rate=3):
    def __init__(self, balance):
        super().__init__(balance * 2)


@runtime_checkable
class HasArea(Protocol):
    area: float


class Stack(Generic[T]):
    def __init__(self) -> None:
        self._items: list[T] = []

    def push(self, item: T) -> "Stack[T]":
        self._items.append(item)
        return self

    def __len__(self) -> int:
        return len(self._items)


try:
    Shape()
except TypeError as error:
    print("abstract:", "abstract" in str(error))
print(min(Square(3), Square(2)).area, isinstance(Square(1), HasArea), len(Stack[int]().push(1).push(2)))
try:
    Account(-5)
except ValueError as error:
    print(error)
print(Savings(4).balance, sorted(Registry.known), Savings.__mro__[1].__name__)
print(type("Made", (Square,), {"extra": 7})(2).area, Savings.__module__, Savings.__qualname__)
