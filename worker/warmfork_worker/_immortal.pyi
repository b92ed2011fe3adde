from types import CodeType

def immortalize(
    objects: list[object], types_left_out: tuple[type, ...], code_type: type[CodeType], /
) -> int | None: ...
