"""What is signed about a chart, and how.

HMAC-SHA256 (RFC 2104) over a domain tag, the job id, the chart's index, its media type, its length and its exact
bytes, each of fixed or prefixed length so that no two different inputs give the same message. It means: "the bytes
that job N produced, unchanged since the daemon took them". It does not mean that the chart tells the truth.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Final

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 32
_DOMAIN_TAG: Final = b"warmfork chart v1\0"


def sign_chart(key: bytes, job_id: bytes, index: int, media_type: str, data: bytes | memoryview) -> bytes:
    """The 32-byte signature of one chart.

    Args:
        key: 32 random bytes, known to daemon and client only.
        job_id: the 16 bytes the client chose.
        index: place of the chart in the result's flat list.
        media_type: as reported with the chart.
        data: the chart's exact bytes.
    """
    kind = media_type.encode()
    mac = hmac.new(key, _DOMAIN_TAG, hashlib.sha256)
    mac.update(struct.pack(">H", len(job_id)) + job_id)
    mac.update(struct.pack(">IH", index, len(kind)) + kind)
    mac.update(struct.pack(">Q", len(data)))
    mac.update(data)
    return mac.digest()


def chart_is_authentic(
    key: bytes, job_id: bytes, index: int, media_type: str, data: bytes | memoryview, signature: bytes
) -> bool:
    """True when ``signature`` is the one ``sign_chart`` gives; compared in constant time."""
    return hmac.compare_digest(sign_chart(key, job_id, index, media_type, data), signature)
