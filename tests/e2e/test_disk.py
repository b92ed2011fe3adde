"""What a job may keep on disk: by the kernel where its directory is a mount of its own, by the daemon's look elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from warmfork import Client, embedded

MIB = 1 << 20
BIG = "with open('big', 'wb') as f:\n    for _ in range(64): f.write(bytes(1 << 20)); f.flush()"
SLOW = "\nimport time\nwhile True: time.sleep(1)"


@pytest.fixture(scope="module", params=["mounted", "on disk"])
def small(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A daemon whose jobs may keep 8 MiB and 20 files (and the spare inodes)."""
    settings: dict[str, Any] = {"limits.disk_bytes": 8 * MIB, "limits.files_max": 20, "limits.input_bytes_max": MIB}
    if request.param == "on disk":
        settings["guard.off"] = ["namespaces", "uid"]
    with embedded(workers=2, settings=settings) as client:
        yield client


@pytest.mark.parametrize(
    "code",
    [
        BIG,
        "import tempfile\n" + BIG.replace("'big'", "tempfile.gettempdir() + '/big'"),
        "for i in range(2000): open(f'f{i}', 'w').close()",
        "for i in range(2000): os.makedirs(f'd{i}/e')",
        "for i in range(64): open(f'f{i}', 'wb').write(bytes(1 << 20))",
    ],
    ids=["one file", "in TMPDIR", "many files", "many directories", "in sum"],
)
def test_more_than_allowed_is_disk_limit(small: Client, code: str) -> None:
    """One big file, many small ones, here or in TMPDIR: the verdict is disk_limit and the next job runs."""
    result = small.execute(code + SLOW, policy="standard", timeout_s=20)
    assert "disk_limit" == result.verdict, result.error
    assert small.execute("open('a', 'w').write('x'); print(1)").ok


def test_a_caught_enospc_is_the_jobs_own_affair(client: Client) -> None:
    """With a mount of its own the job gets ENOSPC, cleans up and goes on."""
    code = (
        "try:\n    with open('big', 'wb') as f:\n        while True: f.write(bytes(1 << 22))\nexcept OSError as e:\n"
        "    print(e.errno in (27, 28))\nos.remove('big'); open('small', 'w').write('x')"
    )
    result = client.execute(code)
    assert ("ok", "True\n", {"small": b"x"}) == (result.verdict, result.stdout, dict(result.files))


def test_holes_cost_nothing(small: Client) -> None:
    """A sparse file takes no space and is no breach; it is not collected where it is too big."""
    code = "with open('hole', 'wb') as f: f.truncate(200 << 20)"
    result = small.execute(code)
    assert ("ok", 1) == (result.verdict, result.dropped.files)


def test_input_files_are_not_counted_against_the_job(small: Client) -> None:
    """What the request brings along has room of its own."""
    assert small.execute("print(os.path.getsize('in'))", files={"in": bytes(MIB - 5000)}).ok
