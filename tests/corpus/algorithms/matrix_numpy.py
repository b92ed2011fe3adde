"""Linear algebra, broadcasting, structured arrays, saving and loading."""
import numpy as np

np.set_printoptions(precision=4, suppress=True)
a = np.array([[4, 1, 2], [1, 3, 0], [2, 0, 5]], dtype=float)
print(np.linalg.det(a).round(6), np.linalg.eigvalsh(a))
print(np.linalg.solve(a, [1, 2, 3]))
q, r = np.linalg.qr(a)
assert np.allclose(q @ r, a)
print(np.einsum("ij,ji->", a, a), np.kron([1, 2], [1, 10]))
people = np.array([("Ann", 31), ("Bo", 25)], dtype=[("name", "U8"), ("age", "i4")])
print(np.sort(people, order="age")["name"], people["age"].mean())
np.savez("arrays.npz", a=a, q=q)
with np.load("arrays.npz") as stored:
    print(sorted(stored.files), np.array_equal(stored["a"], a))
np.savetxt("a.txt", a, fmt="%.2f")
print(np.loadtxt("a.txt").shape, np.genfromtxt("a.txt").sum())
rng = np.random.default_rng(12345)
print(rng.integers(0, 10, 5), rng.normal(size=2), np.random.RandomState(0).rand(2))
print(np.convolve([1, 2, 3], [0, 1, 0.5]), np.fft.rfft([1, 0, 0, 0]), np.percentile([1, 2, 3, 4], 40))
