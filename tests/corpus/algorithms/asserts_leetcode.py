"""Classic problems in a Solution class, checked by plain asserts."""
from collections import Counter, deque
from typing import List, Optional


class TreeNode:
    def __init__(self, val: int = 0, left: "Optional[TreeNode]" = None, right: "Optional[TreeNode]" = None):
        self.val, self.left, self.right = val, left, right


class Solution:
    def two_sum(self, nums: List[int], target: int) -> List[int]:
        seen = {}
        for i, n in enumerate(nums):
            if target - n in seen:
                return [seen[target - n], i]
            seen[n] = i
        return []

    def level_order(self, root: Optional[TreeNode]) -> List[List[int]]:
        levels, queue = [], deque([root] if root else [])
        while queue:
            levels.append([node.val for node in queue])
            queue = deque(child for node in queue for child in (node.left, node.right) if child)
        return levels

    def longest_unique(self, s: str) -> int:
        last, start, best = {}, 0, 0
        for i, ch in enumerate(s):
            if (at := last.get(ch, -1)) >= start:
                start = at + 1
            last[ch] = i
            best = max(best, i - start + 1)
        return best

    def n_queens(self, n: int) -> int:
        def place(row, columns, left, right):
            if row == n:
                return 1
            return sum(
                place(row + 1, columns | {c}, left | {row - c}, right | {row + c})
                for c in range(n)
                if c not in columns and row - c not in left and row + c not in right
            )

        return place(0, frozenset(), frozenset(), frozenset())

    def top_k(self, words: List[str], k: int) -> List[str]:
        return [w for w, _ in sorted(Counter(words).items(), key=lambda p: (-p[1], p[0]))[:k]]


if __name__ == "__main__":
    s = Solution()
    assert s.two_sum([2, 7, 11, 15], 9) == [0, 1]
    assert s.level_order(TreeNode(3, TreeNode(9), TreeNode(20, TreeNode(15), TreeNode(7)))) == [[3], [9, 20], [15, 7]]
    assert s.longest_unique("abcabcbb") == 3
    assert [s.n_queens(n) for n in range(1, 7)] == [1, 0, 0, 2, 10, 4]
    assert s.top_k("the day is sunny the the sunny is is".split(), 2) == ["is", "the"]
    print("All tests passed!")
