"""Hard limits of protocol version 1: every length, count and depth that may cross a socket.

They bound what a decoder will look at before it refuses; the daemon's configuration may set smaller limits,
never larger ones. Sizes are in bytes, counts are numbers of items.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

PROTOCOL_VERSION: Final = 1

JOB_ID_BYTES: Final = 16
HEADER_BYTES_MAX: Final = 1 * MIB
PARTS_MAX: Final = 2_304
PART_BYTES_MAX: Final = 256 * MIB
MESSAGE_BYTES_MAX: Final = 320 * MIB
NESTING_MAX: Final = 16
CONTAINER_ITEMS_MAX: Final = 8_192
STRING_BYTES_MAX: Final = 256 * KIB
NAME_BYTES_MAX: Final = 255
PATH_BYTES_MAX: Final = 1_024
TITLE_CHARS_MAX: Final = 500
TENANT_CHARS_MAX: Final = 64
INSTANCE_CHARS_MAX: Final = 64

INLINE_BYTES_MAX: Final = 4 * KIB
"""Code and output of at most so much stand in the header: a frame of its own costs both ends more than these bytes do."""

CODE_BYTES_MAX: Final = 16 * MIB
TIMEOUT_S_MAX: Final = 86_400.0
MEMORY_BYTES_MAX: Final = 1 << 46
FORMATS_MAX: Final = 8
FILES_MAX: Final = 1_024
CHARTS_MAX: Final = 1_024
IMAGE_PX_MAX: Final = 65_535

VALUES_BYTES_MAX: Final = 64 * MIB
VALUES_NESTING_MAX: Final = 64

assert CODE_BYTES_MAX < PART_BYTES_MAX < MESSAGE_BYTES_MAX
assert PARTS_MAX > FILES_MAX + CHARTS_MAX + 4, "code, values, stdin and spare beside all files and charts"
assert STRING_BYTES_MAX < HEADER_BYTES_MAX
assert VALUES_BYTES_MAX < PART_BYTES_MAX
