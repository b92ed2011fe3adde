"""Names, modules and files as a script sees them."""
import sys

COUNT = 3


def use_global():
    global COUNT
    COUNT += 1
    return [COUNT + k for k in range(2)]


class Outer:
    level = COUNT

    class Inner:
        pass

    def method(self):
        def inner():
            return __class__.__name__

        return inner()


print(__name__, Outer.__module__, Outer.Inner.__qualname__, Outer().method(), Outer.level)
print(use_global(), COUNT, __doc__.strip()[:5])
print(sys.modules["__main__"].COUNT, sys.version_info >= (3, 11), sys.maxsize > 2**32, sys.argv[1:])
print((lambda *args, key=1, **rest: (args, key, sorted(rest)))(1, 2, key=3, z=4, a=5))
x = [f() for f in [lambda k=k: k * 10 for k in range(3)]]
print(x, any(v > 10 for v in x), [v for v in x if (half := v // 2) > 3], half)
del x
try:
    x
except NameError as error:
    print(error)
