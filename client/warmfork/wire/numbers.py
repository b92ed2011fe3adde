"""Numbers as they travel: whole ones from 0, and seconds, each within bounds that msgspec sees to."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

_COUNT_MAX: Final = 1 << 62
_SECONDS_MAX: Final = 1e9

Count = Annotated[int, Meta(ge=0, le=_COUNT_MAX)]
Seconds = Annotated[float, Meta(ge=0, le=_SECONDS_MAX)]
