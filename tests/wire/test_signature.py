"""Signatures: what was not signed for this job, place and type does not verify."""

from __future__ import annotations

import pytest

from warmfork.wire.signature import chart_is_authentic, sign_chart

KEY, JOB, DATA = b"k" * 32, b"j" * 16, b"\x89PNG" + bytes(100)
SIGNATURE = sign_chart(KEY, JOB, 0, "image/png", DATA)


def test_the_signed_chart_verifies() -> None:
    """The same key, job, index, type and bytes verify."""
    assert chart_is_authentic(KEY, JOB, 0, "image/png", DATA, SIGNATURE)


@pytest.mark.parametrize(
    ("key", "job", "index", "media_type", "data", "signature"),
    [
        (b"x" * 32, JOB, 0, "image/png", DATA, SIGNATURE),
        (KEY, b"x" * 16, 0, "image/png", DATA, SIGNATURE),
        (KEY, JOB, 1, "image/png", DATA, SIGNATURE),
        (KEY, JOB, 0, "image/jpeg", DATA, SIGNATURE),
        (KEY, JOB, 0, "image/png", DATA[:-1] + b"\x01", SIGNATURE),
        (KEY, JOB, 0, "image/png", DATA + b"\0", SIGNATURE),
        (KEY, JOB, 0, "image/png", DATA, SIGNATURE[:-1] + b"\0"),
        (KEY, JOB, 0, "image/png", DATA, b""),
    ],
    ids=["key", "job", "index", "type", "byte", "length", "signature", "none"],
)
def test_any_difference_fails(
    key: bytes, job: bytes, index: int, media_type: str, data: bytes, signature: bytes
) -> None:
    """A wrong key, a replayed job id, a swapped index, another type, an altered byte: none verifies."""
    assert not chart_is_authentic(key, job, index, media_type, data, signature)
