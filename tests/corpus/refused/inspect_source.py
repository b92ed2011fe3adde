"""Introspection of a signature."""
import inspect


def f(a, b=2, *args, c, **kwargs):
    pass


print(inspect.signature(f))
