"""Sorting algorithms checked against sorted() on seeded data."""
import bisect
import random


def quick(items):
    if len(items) < 2:
        return items
    pivot, *rest = items
    return quick([x for x in rest if x < pivot]) + [pivot] + quick([x for x in rest if x >= pivot])


def merge(items):
    if len(items) < 2:
        return items
    middle = len(items) // 2
    left, right, merged = merge(items[:middle]), merge(items[middle:]), []
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]


def insertion(items):
    ordered = []
    for item in items:
        bisect.insort(ordered, item)
    return ordered


def heap(items):
    import heapq

    queue = list(items)
    heapq.heapify(queue)
    return [heapq.heappop(queue) for _ in range(len(queue))]


random.seed(99)
for sort in (quick, merge, insertion, heap):
    for size in (0, 1, 2, 17, 200):
        data = [random.randint(-50, 50) for _ in range(size)]
        assert sort(data) == sorted(data), (sort.__name__, data)
    print(sort.__name__, "ok")
print(random.random(), random.sample(range(100), 5), random.choice("abc"))
