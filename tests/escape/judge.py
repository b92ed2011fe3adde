"""Runs an attempt as a job and says what came of it, by its own word and by what the outside shows."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Final

import pytest
from tests.escape.record import NOT_RUN, PRELUDE, SHOWN, Attempt
from tests.escape.world import World
from tests.support import wait_until

from warmfork import Client, Result

_EVIDENCE_S: Final = 5.0
_TEXT_MAX: Final = 512 << 10
_FILES_MAX: Final = 1024
_NAME_BYTES_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt.

    Attributes:
        said: ``reached``, ``refused`` or nothing, in the job's own words.
        word: the errno name (or exception) of a refusal, else the job's verdict.
        changed: parts of the outside that are not as they were.
        leaked: secrets that came out with the result.
        result: of the job.
    """

    said: str
    word: str
    changed: frozenset[str]
    leaked: tuple[str, ...]
    result: Result

    def told(self) -> str:
        """For a failed assertion: the job's words."""
        return f"{self.result.verdict} {self.result.error} {self.result.stdout[-600:]} {self.result.stderr[-1200:]}"

    @property
    def got_through(self) -> bool:
        """The job got what it wanted, by whatever sign."""
        return self.said == "reached" or bool(self.changed) or bool(self.leaked)


def run_attempt(attempt: Attempt, client: Client, world: World, policy: str, *, control: bool = False) -> Outcome:
    """Run it once.

    Args:
        attempt: what to run.
        client: of the daemon whose outside ``world`` is.
        world: the outside.
        policy: of the Python layer.
        control: whether this is the run without guards.
    """
    before = world.state()
    variables: dict[str, Any] = {**world.variables(), "ATTEMPT": attempt.id}
    options: dict[str, Any] = {"timeout_s": 20.0, **attempt.options}
    if control:
        variables |= attempt.control_variables
        options |= attempt.control_options
    result = client.execute(PRELUDE + attempt.code, variables=variables, policy=policy, **options)
    expected = _of_the_world(attempt)
    if control and expected:
        # A child that outlives its job needs a moment to show it.
        with contextlib.suppress(pytest.fail.Exception):
            wait_until(lambda: expected <= _changes(before, world.state()), "the evidence", _EVIDENCE_S)
    said, word = _answer(attempt.id, result)
    changed = _changes(before, world.state()) | _overflow(result)
    return Outcome(said, word, changed, tuple(world.leaked(_text(result))), result)


def _of_the_world(attempt: Attempt) -> set[str]:
    return {part for part in attempt.evidence if part in ("files", "connections", "victim", "daemon")}


def _overflow(result: Result) -> frozenset[str]:
    """``flood`` where more came back than the guarded daemon's bounds allow; ``names`` where a file's name is unsafe."""
    found = set()
    told = 0 if result.error is None else len(result.error.message) + len(result.error.traceback)
    if max(len(result.stdout), len(result.stderr), told) > _TEXT_MAX or len(result.files) > _FILES_MAX:
        found.add("flood")
    for name in result.files:
        unsafe = name.startswith("/") or ".." in name.split("/") or "\\" in name or "\0" in name
        if unsafe or len(name.encode()) > _NAME_BYTES_MAX:
            found.add("names")
    return frozenset(found)


def _changes(before: dict[str, Any], after: dict[str, Any]) -> frozenset[str]:
    return frozenset(part for part in before if before[part] != after[part])


def _answer(id: str, result: Result) -> tuple[str, str]:
    for line in result.stdout.splitlines():
        words = line.split()
        if words[:2] == ["ESCAPE", id] and len(words) > 3:
            return words[2], words[3]
    return "", result.verdict


def _text(result: Result) -> str:
    """Everything that came back, for a look at whether a secret is in it."""
    blobs = [*result.files.values(), *(chart.data for chart in result.charts)]
    return "\n".join(
        [
            result.stdout,
            result.stderr,
            str(result.error),
            *(blob.decode("latin-1") for blob in blobs),
            *(blob.hex() for blob in blobs),
        ]
    )


def is_refused(attempt: Attempt, outcome: Outcome) -> str:
    """Empty where a guarded run with the Python layer off ended as it must, else what is wrong."""
    if outcome.changed or outcome.leaked:
        return f"the outside: {sorted(outcome.changed)} changed, {outcome.leaked} leaked"
    if attempt.verdicts:
        verdict = outcome.result.verdict
        return "" if verdict in attempt.verdicts else f"{verdict}, expected {attempt.verdicts}"
    if not attempt.refusals:
        return "" if outcome.said else "the job did not come to its end"
    if outcome.said == "refused":
        return "" if outcome.word in attempt.refusals else f"refused by {outcome.word}, expected {attempt.refusals}"
    if not outcome.said and outcome.result.verdict in attempt.dies:
        return ""
    return f"{outcome.said or 'no answer'}: {outcome.word}"


def is_kept_out(attempt: Attempt, outcome: Outcome) -> str:
    """Empty where a guarded run with any Python layer got nothing, else what it got."""
    if outcome.changed or outcome.leaked or (outcome.said == "reached" and attempt.refusals and not attempt.verdicts):
        return f"{outcome.said} {outcome.word}: {sorted(outcome.changed)} changed, {outcome.leaked} leaked"
    return ""


def is_shown(attempt: Attempt, outcome: Outcome) -> str:
    """Empty where a run without guards shows that the attempt works, else what is missing."""
    if outcome.said != "reached":
        return f"the control was {outcome.said or 'silent'}: {outcome.word}"
    missing = set(attempt.evidence) - {"secret"} - outcome.changed
    if missing or ("secret" in attempt.evidence and not outcome.leaked):
        return f"the job says reached, but the outside shows nothing of {missing or 'the secret'}"
    return ""


def is_not_run(attempt: Attempt) -> bool:
    """True where the attempt may not even be run without guards."""
    return attempt.control.startswith(NOT_RUN)


def has_control(attempt: Attempt) -> bool:
    """True where a run without guards must show the act."""
    return attempt.control == SHOWN
