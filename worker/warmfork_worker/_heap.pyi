from typing import TypedDict

class Moved(TypedDict):
    bytes: int
    left_huge_bytes: int
    huge_bytes: int
    split_bytes: int
    errno: int
    ranges: list[tuple[int, int]]
    digests: tuple[int, int]

def move(
    smaps_fd: int, pagemap_fd: int, task_fd: int, mappings_max: int, gap_pages: int, compare: bool = False, /
) -> Moved: ...
def brings_jemalloc(smaps_fd: int, /) -> bool: ...
