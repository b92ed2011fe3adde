"""A test suite with one failure and one skip; the script itself ends well."""
import io
import unittest


class TestMath(unittest.TestCase):
    def test_add(self):
        self.assertEqual(1 + 1, 2)

    def test_wrong(self):
        self.assertEqual(2 * 2, 5, "arithmetics")

    @unittest.skip("later")
    def test_skipped(self):
        pass

    def test_subtests(self):
        for n in range(3):
            with self.subTest(n=n):
                self.assertLess(n, 3)


suite = unittest.defaultTestLoader.loadTestsFromTestCase(TestMath)
stream = io.StringIO()
result = unittest.TextTestRunner(stream=stream, verbosity=2).run(suite)
print(result.testsRun, len(result.failures), len(result.skipped))
print("AssertionError: 4 != 5 : arithmetics" in stream.getvalue(), "test_wrong" in stream.getvalue())
