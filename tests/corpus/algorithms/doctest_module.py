"""Doctests of functions in __main__.

>>> triangle(4)
10
"""
import doctest


def triangle(n):
    """The n-th triangular number.

    >>> [triangle(n) for n in range(5)]
    [0, 1, 3, 6, 10]
    >>> triangle(-1)
    Traceback (most recent call last):
    ValueError: negative
    """
    if n < 0:
        raise ValueError("negative")
    return n * (n + 1) // 2


if __name__ == "__main__":
    print(triangle(100))
