"""Shortest paths with heapq and typing."""
from __future__ import annotations

import heapq
from collections import defaultdict
from typing import NamedTuple


class Edge(NamedTuple):
    to: str
    cost: float


def build(pairs: list[tuple[str, str, float]]) -> dict[str, list[Edge]]:
    graph: dict[str, list[Edge]] = defaultdict(list)
    for a, b, cost in pairs:
        graph[a].append(Edge(b, cost))
        graph[b].append(Edge(a, cost))
    return graph


def dijkstra(graph: dict[str, list[Edge]], start: str) -> dict[str, float]:
    best = {start: 0.0}
    queue = [(0.0, start)]
    while queue:
        distance, node = heapq.heappop(queue)
        if distance > best.get(node, float("inf")):
            continue
        for edge in graph[node]:
            candidate = distance + edge.cost
            if candidate < best.get(edge.to, float("inf")):
                best[edge.to] = candidate
                heapq.heappush(queue, (candidate, edge.to))
    return best


graph = build([("a", "b", 7), ("a", "c", 9), ("a", "f", 14), ("b", "c", 10), ("b", "d", 15), ("c", "d", 11), ("c", "f", 2), ("d", "e", 6), ("e", "f", 9)])
result = dijkstra(graph, "a")
assert result == {"a": 0, "b": 7, "c": 9, "f": 11, "d": 20, "e": 20}
for node in sorted(result):
    print(node, result[node])
