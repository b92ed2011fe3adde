"""An exception class of the script's own, with an odd text."""


class DataError(ValueError):
    def __str__(self):
        return "bad data: «naïve»\nsecond line"


def load():
    yield 1
    raise DataError


for item in load():
    print(item)
