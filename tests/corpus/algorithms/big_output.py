"""More lines than a pipe holds, within the output bound."""
for number in range(4000):
    print(f"{number:05d} " + "#" * (number % 40))
