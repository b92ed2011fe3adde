"""Work in a thread pool through concurrent.futures."""
from concurrent.futures import ThreadPoolExecutor, as_completed


def collatz(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


with ThreadPoolExecutor(max_workers=4) as pool:
    print(list(pool.map(collatz, [6, 7, 27, 97])))
    futures = {pool.submit(collatz, n): n for n in (9, 19)}
    print(sorted((futures[future], future.result()) for future in as_completed(futures)))
