"""Many jobs in flight on one AsyncClient, and one that is cancelled. A running daemon is used, else a private one."""

import asyncio
import contextlib
import time

from warmfork import AsyncClient, DaemonUnreachable
from warmfork.embedding import EmbeddedDaemon


async def count_primes(client: AsyncClient, below: int) -> int:
    code = "print(sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, below)))"
    result = await client.execute(code, variables={"below": below}, timeout_s=30)
    return int(result.stdout)


async def work(client: AsyncClient) -> None:
    started = time.perf_counter()
    counts = await asyncio.gather(*(count_primes(client, 1_000 * n) for n in range(1, 21)))
    print("primes below 1000, 2000, … 20000:", counts)
    print(f"{len(counts)} jobs in {time.perf_counter() - started:.2f} s")

    with contextlib.suppress(TimeoutError):
        # The wait ends here after half a second; cancelling the task cancels the job.
        await asyncio.wait_for(client.execute("while True: pass"), 0.5)
    await asyncio.sleep(0.1)
    print("jobs by verdict:", (await client.status())["jobs"]["by_verdict"])


async def main() -> None:
    try:
        async with AsyncClient() as client:
            await client.hello()
            await work(client)
    except DaemonUnreachable:
        daemon = EmbeddedDaemon()
        await asyncio.to_thread(daemon.start)
        try:
            async with AsyncClient(daemon.address, key=daemon.key) as client:
                await work(client)
        finally:
            await asyncio.to_thread(daemon.stop)


asyncio.run(main())
