"""A failed assertion with a message."""
total = sum([0.1] * 3)
print(f"{total:.17f}")
assert total == 0.3, f"got {total!r}"
