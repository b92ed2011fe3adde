"""unittest.main that exits with 1 because a test fails."""
import unittest


class T(unittest.TestCase):
    def test_fails(self):
        self.assertTrue(False)


if __name__ == "__main__":
    print("testing")
    unittest.main(argv=["x"])
