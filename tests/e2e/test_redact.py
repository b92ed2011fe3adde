"""The switch for redaction, per daemon and per request, through a real daemon."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs
from tests.support import Served

from warmfork import AsyncClient, Client, RequestRefused, Result, cli, embedded
from warmfork.wire.replies import HelloReply

CODE = "import sys\nprint('password=hunter2')\nprint('token: hunter2', file=sys.stderr)\nraise ValueError('secret=hunter2')"


def texts(result: Result) -> list[str]:
    assert result.error is not None
    return [result.stdout, result.stderr, result.error.message, result.error.traceback]


def shown(result: Result) -> list[bool]:
    return ["hunter2" in text for text in texts(result)]


@pytest.fixture(scope="module")
def redacting() -> Iterator[Client]:
    with embedded(workers=2, settings={"results.redact": True, "limits.stdout_bytes": 4_096}) as private:
        yield private


def test_row_13_a_request_can_ask_for_it(client: Client) -> None:
    """Where the daemon does not redact, a request that asks is redacted in every text, and others are not."""
    assert not client.status()["results"]["redact"]
    assert [True] * 4 == shown(client.execute(CODE))
    masked = client.execute(CODE, redact=True)
    assert [False] * 4 == shown(masked)
    assert [True] * 4 == ["[REDACTED]" in text for text in texts(masked)]
    assert ("error", "ValueError") == (masked.verdict, masked.error.type if masked.error else "")


@pytest.mark.parametrize("wish", [False, True])
def test_row_13_a_request_cannot_switch_it_off(redacting: Client, wish: bool) -> None:
    """Where the daemon redacts, it redacts everything."""
    assert redacting.status()["results"]["redact"]
    assert [False] * 4 == shown(redacting.execute(CODE, redact=wish))


def test_row_13_output_of_a_killed_job_and_a_cut_stream(redacting: Client) -> None:
    """What a job wrote before it was killed is redacted, and so is a secret at the edge of what was cut out."""
    killed = redacting.execute("print('password=hunter2', flush=True)\nwhile True: pass", timeout_s=0.5)
    assert ("timeout", "password=[REDACTED]\n") == (killed.verdict, killed.stdout)
    for before in range(2_030, 2_048):
        code = f"print('.' * {before - 1} + '\\neyJhbGciOiJI.eyJzdWIi.hunter2hunter2' + '.' * 9_000)"
        cut = redacting.execute(code)
        assert cut.dropped.stdout_bytes
        assert "eyJ" not in cut.stdout


def test_asynchronous(client: Client) -> None:
    """``AsyncClient`` asks the same way."""
    where = client._where

    async def ask() -> Result:
        async with AsyncClient(where.address, key=where.key) as asking:
            return await asking.execute(CODE, redact=True)

    assert [False] * 4 == shown(asyncio.run(ask()))


def test_the_command(serve: Callable[..., Served], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """``warmfork run --redact`` shows no secret; ``--results-redact`` makes the daemon do so for every run."""
    (tmp_path / "job.py").write_text(CODE)
    arguments = ["run", str(tmp_path / "job.py"), "--out", str(tmp_path), "--json"]
    served = serve()
    for options, expected in ([], True), (["--redact"], False):
        capfd.readouterr()
        assert 1 == cli.main([*arguments, "--address", served.address, *options])
        out = capfd.readouterr().out
        assert "ValueError" == json.loads(out)["error"]["type"]
        assert expected == ("hunter2" in out)
    redacting = serve("--results-redact")
    assert 1 == cli.main([*arguments, "--address", redacting.address])
    assert "hunter2" not in capfd.readouterr().out


def test_a_daemon_that_cannot_is_not_asked(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older daemon would ignore the wish: the call is refused before anything is submitted."""
    where = client._where
    real = Client._greet

    def greet(self: Client, link: object) -> HelloReply | None:
        hello = real(self, link)  # type: ignore[arg-type]  # it is a Link, passed on
        return None if hello is None else structs.replace(hello, features=("cancel",))

    monkeypatch.setattr(Client, "_greet", greet)
    before = client.status()["jobs"]["by_verdict"]
    with Client(where.address, key=where.key) as asking:
        asking._known_hello()
        monkeypatch.setattr(Client, "hello", lambda self: pytest.fail("the hello is known"))
        assert asking.execute("print(1)").ok
        with pytest.raises(RequestRefused, match="redact"):
            asking.execute(CODE, redact=True)
    assert sum(before.values()) + 1 == sum(client.status()["jobs"]["by_verdict"].values())
