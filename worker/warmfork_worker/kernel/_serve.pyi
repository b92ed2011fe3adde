from array import array

Children = list[tuple[int, int, int]]

def run(
    link_fd: int, words: array[int], places: tuple[int, int, int, int], heap_bytes: int, children: Children, /
) -> tuple[list[int], int, int] | tuple[None, bytes, list[int], Children]: ...
