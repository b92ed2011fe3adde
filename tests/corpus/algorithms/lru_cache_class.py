"""An LRU cache with unittest-style tests, as coding problems come."""
import unittest
from collections import OrderedDict


class LRUCache:
    def __init__(self, capacity: int) -> None:
        if capacity <= 0:
            raise ValueError("capacity must be positive")
        self.capacity = capacity
        self._items: OrderedDict[int, int] = OrderedDict()

    def get(self, key: int) -> int:
        if key not in self._items:
            return -1
        self._items.move_to_end(key)
        return self._items[key]

    def put(self, key: int, value: int) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self.capacity:
            self._items.popitem(last=False)


class TestLRUCache(unittest.TestCase):
    def setUp(self) -> None:
        self.cache = LRUCache(2)

    def test_evicts_oldest(self) -> None:
        self.cache.put(1, 1)
        self.cache.put(2, 2)
        self.assertEqual(self.cache.get(1), 1)
        self.cache.put(3, 3)
        self.assertEqual(self.cache.get(2), -1)

    def test_refuses_zero(self) -> None:
        with self.assertRaises(ValueError):
            LRUCache(0)


if __name__ == "__main__":
    program = unittest.main(argv=["tests"], exit=False, verbosity=0)
    print("run:", program.result.testsRun, "successful:", program.result.wasSuccessful())
