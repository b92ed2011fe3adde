"""Names of files that travel: relative paths below the job's working directory."""

from __future__ import annotations

from warmfork.errors import ProtocolError
from warmfork.wire import limits


def check_file_name(name: str) -> str:
    """Return ``name`` if it is a relative path without surprises.

    Allowed: components joined by ``/``, at most 16 of them, none empty, ``.`` or ``..``, no NUL and no backslash, at most
    255 bytes each and 1,024 in all, valid UTF-8. Raises ProtocolError otherwise.
    """
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        raise ProtocolError(f"file name {name[:80]!r} is not valid Unicode") from None
    components = name.split("/")
    wrong = (
        len(encoded) > limits.PATH_BYTES_MAX
        or len(components) > limits.NESTING_MAX
        or "\0" in name
        or "\\" in name
        or any(part in ("", ".", "..") or len(part.encode()) > limits.NAME_BYTES_MAX for part in components)
    )
    if wrong:
        raise ProtocolError(
            f"file name {name[:80]!r} is not allowed: use a relative path such as 'data/table.csv', without '..' or backslash"
        )
    return name
