"""Output details: end, sep, flush, writing to sys.stdout, long lines, print to stderr."""
import sys

print("a", "b", sep="-", end="!\n")
print("progress", end="", flush=True)
for k in range(3):
    print(".", end="", flush=True)
print()
sys.stdout.write("written\n")
print("to stderr", file=sys.stderr)
print("x" * 5000)
print(*range(10), sep=",")
print(None, True, [1, (2,)], {"k": {"n": [1.0, 2e10]}})
print("no newline at the end", end="")
