"""asyncio: gather, queues, timeouts, cancellation, task groups."""
import asyncio


async def worker(name, queue, done):
    while True:
        item = await queue.get()
        await asyncio.sleep(0)
        done.append((name, item * item))
        queue.task_done()


async def slow():
    await asyncio.sleep(30)


async def main():
    queue, done = asyncio.Queue(), []
    for item in range(6):
        queue.put_nowait(item)
    tasks = [asyncio.create_task(worker(f"w{k}", queue, done)) for k in range(2)]
    await queue.join()
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    print(sorted(value for _, value in done), [type(result).__name__ for result in results])
    try:
        await asyncio.wait_for(slow(), timeout=0.02)
    except asyncio.TimeoutError:
        print("timed out")
    async with asyncio.TaskGroup() as group:
        first = group.create_task(asyncio.sleep(0, result="a"))
        second = group.create_task(asyncio.sleep(0, result="b"))
    lock = asyncio.Lock()
    async with lock:
        print(first.result() + second.result(), lock.locked())
    return [value async for value in ticks(3)]


async def ticks(count):
    for k in range(count):
        yield k
        await asyncio.sleep(0)


print(asyncio.run(main()))
