"""Recursion, lru_cache, a raised recursion limit, and closures."""
import sys
from functools import cache, lru_cache, partial, reduce


@lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@cache
def edit_distance(a, b):
    if not a or not b:
        return len(a) + len(b)
    return min(edit_distance(a[1:], b) + 1, edit_distance(a, b[1:]) + 1, edit_distance(a[1:], b[1:]) + (a[0] != b[0]))


def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


def hanoi(n, a="A", b="B", c="C"):
    if n:
        yield from hanoi(n - 1, a, c, b)
        yield a + c
        yield from hanoi(n - 1, b, a, c)


def counter():
    count = 0

    def bump(step=1):
        nonlocal count
        count += step
        return count

    return bump


print(fib(90), fib.cache_info().hits > 0, edit_distance("kitten", "sitting"))
sys.setrecursionlimit(4000)
print(depth(3000), " ".join(hanoi(3)))
bump = counter()
print(bump(), partial(bump, 5)(), reduce(lambda x, y: x * 10 + y, [1, 2, 3]))
try:
    depth(100_000)
except RecursionError as error:
    print("RecursionError:", str(error)[:32])
