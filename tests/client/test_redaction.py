"""CONTRACT row 13, list C: what ``redact`` masks, what it leaves, and that hostile text costs it linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfork.redaction import DUMP_LINES_MAX, MASK, OUTPUT_CHARS_MAX, redact, redact_cut, shorten

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
KEY_BODY = "MIIEowIBAAKCAQEAtheKeyItself0123456789\nQmFzZTY0IG9mIGEga2V5\n"
KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{KEY_BODY}-----END RSA PRIVATE KEY-----"

MASKED = [
    ("PASSWORD=hunter2", "PASSWORD=[REDACTED]"),
    ("db_password = hunter2 next", "db_password = [REDACTED] next"),
    ("token: abc.def", "token: [REDACTED]"),
    ("token: Bearer abc next", "token: [REDACTED] next"),
    ('{"password": "two words", "n": 1}', '{"password": "[REDACTED]", "n": 1}'),
    ("{'api_key': 'x', 'n': 1}", "{'api_key': '[REDACTED]', 'n': 1}"),
    ('"{\\"pwd\\": \\"two words\\", \\"n\\": 1}"', '"{\\"pwd\\": \\"[REDACTED]\\", \\"n\\": 1}"'),
    ('{"password":"a\\"b c","n":1}', '{"password":"[REDACTED]","n":1}'),
    ('{"secret":\n  "x y"}', '{"secret":\n  "[REDACTED]"}'),
    ("apikey:x", "apikey:[REDACTED]"),
    ("Api-Key: x", "Api-Key: [REDACTED]"),
    ("passwd      =      x", "passwd      =      [REDACTED]"),
    ("client_secret=x", "client_secret=[REDACTED]"),
    ("SECRET_KEY = 'x y'", "SECRET_KEY = '[REDACTED]'"),
    ('password = b"x y"', 'password = "[REDACTED]"'),
    ('password: str = "x y"', 'password: str = "[REDACTED]"'),
    ('password = """a\n"b" c"""', 'password = """[REDACTED]"""'),
    ("credentials=['a b', 'c d'] rest", "credentials=[REDACTED] rest"),
    ("os.environ['API_KEY'] = 'x y'", "os.environ['API_KEY'] = '[REDACTED]'"),
    ('PASSWORD=ab"cd rest', "PASSWORD=[REDACTED] rest"),
    ('{"url":"http://h/?token=abc","n":1}', '{"url":"http://h/?token=[REDACTED]","n":1}'),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key = [REDACTED]"),
    ("AWS_ACCESS_KEY_ID: whatever", "AWS_ACCESS_KEY_ID: [REDACTED]"),
    ("the id AKIAIOSFODNN7EXAMPLE here", "the id [REDACTED] here"),
    ("at postgres://u:p@h:5432/db now", "at postgres://[REDACTED] now"),
    ("postgresql+asyncpg://u:p@h/db", "postgresql+asyncpg://[REDACTED]"),
    ("url='mysql://u:p@h/db', n=1", "url='mysql://[REDACTED]', n=1"),
    ("mongodb+srv://u:p@h/db", "mongodb+srv://[REDACTED]"),
    ("REDIS://:p@h/0", "REDIS://[REDACTED]"),
    (f"x {JWT} y", "x [REDACTED] y"),
    (f"prefix_{JWT}", "prefix_[REDACTED]"),
    (f"a {KEY} b", "a [REDACTED] b"),
    (f"a {KEY}\nmiddle\n{KEY} b", "a [REDACTED]\nmiddle\n[REDACTED] b"),
    (KEY.replace("RSA PRIVATE", "PRIVATE"), "[REDACTED]"),
    (KEY.replace("RSA PRIVATE", "OPENSSH PRIVATE"), "[REDACTED]"),
    (f"a\n-----BEGIN RSA PRIVATE KEY-----\n{KEY_BODY}", "a\n[REDACTED]"),
    (f"{KEY_BODY}-----END RSA PRIVATE KEY-----\nrest", "[REDACTED]\nrest"),
    ("A_NAME=1\nB_NAME=two words\n", "A_NAME=[REDACTED]\nB_NAME=[REDACTED]\n"),
    ("export A=1\nhttp_proxy=h\nB=2", "export A=[REDACTED]\nhttp_proxy=[REDACTED]\nB=[REDACTED]"),
]

UNTOUCHED = [
    "",
    "Run completed with no output.",
    "the secretary: Bob",
    "tokens = text.split()",
    "tokenizer = Tokenizer()",
    "a password is needed",
    "KeyError: 'token'",
    "N=5",
    "x=1\ny=2\nz=3",
    "https://example.org/postgres",
    "eyJ is how a JWT begins",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
]

HOSTILE = [
    "eyJ",
    "eyJ.",
    "eyJ-",
    "eyJa.b ",
    "token",
    "token ",
    "token:",
    "token: ",
    "token:\n",
    'password"',
    "secret_",
    "pwd-",
    "pwd:str=",
    "PRIVATE ",
    "-----BEGIN ",
    "-----BEGIN RSA ",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "a=",
    "A=",
    "a=\n",
    "A=\n",
    "A=1\nx\n",
    "export ",
    "postgres://",
    "postgres",
    "mysql+a",
    'redis://"',
    "api_key='",
    'api_key=\\"',
    'api_key="""',
    "api_key=[",
    "api_key\\",
    "AKIA",
    "aB3_-",
    "-",
    " ",
    "\n",
    "\\",
]


@pytest.mark.parametrize(("text", "expected"), MASKED)
def test_row_13_secrets_are_masked_and_the_text_around_them_stays(text: str, expected: str) -> None:
    """Each kind of secret of list C is replaced, and only the secret."""
    assert expected == redact(text)


@pytest.mark.parametrize("text", UNTOUCHED)
def test_row_13_ordinary_text_stays_as_it_is(text: str) -> None:
    """Text that resembles a rule without being a secret is not changed."""
    assert text == redact(text)


def test_row_13_an_environment_dump_is_cut_after_ten_lines() -> None:
    """Of 25 NAME=value lines in a row 10 remain, masked, and a line says how many were cut."""
    lines = redact("before\n" + "".join(f"NAME_{i}=value {i}\n" for i in range(25)) + "after").split("\n")
    masked = [f"NAME_{i}={MASK}" for i in range(DUMP_LINES_MAX)]
    assert ["before", *masked, "[ENVIRONMENT DUMP CUT: 15 more lines]", "after"] == lines


@pytest.mark.parametrize("text", [text for text, _ in MASKED])
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    """What ``redact`` gives back is a text that it leaves as it is."""
    once = redact(text)
    assert once == redact(once)


@given(st.text())
def test_any_text_is_accepted(text: str) -> None:
    """No text makes redaction raise, lone surrogates and control characters included."""
    redact(text)
    redact_cut(text, text, 7)


def _cpu_s(piece: str, chars: int) -> float:
    text = (piece * (chars // len(piece) + 1))[:chars]
    began = time.process_time()
    redact(text)
    return time.process_time() - began


@pytest.mark.parametrize("piece", HOSTILE)
def test_row_13_hostile_text_costs_linear_time(piece: str) -> None:
    """Ten times as much of any hostile repetition, up to 1 MB, costs about ten times the CPU time, not a hundred."""
    # By way of 100 KB, so that a pattern that became quadratic fails here within seconds.
    cost_s = max(_cpu_s(piece, 10_000), 0.005)
    for chars in (100_000, 1_000_000):
        larger_cost_s = min(_cpu_s(piece, chars) for _ in range(2))
        assert larger_cost_s < 40 * cost_s
        cost_s = max(larger_cost_s, 0.005)


@pytest.mark.parametrize("piece", ["token" + " " * 999_999, "token:" + " \n" * 500_000, "password='" + "x" * 999_999])
def test_row_13_one_long_run_costs_linear_time(piece: str) -> None:
    """One opening before a very long run is looked at a bounded number of times."""
    small = max(_cpu_s(piece[:100_000], 100_000), 0.005)
    assert _cpu_s(piece, len(piece)) < 40 * small


def test_shortened_text_has_2000_characters_and_says_so() -> None:
    """Text of 2,000 characters stays; longer text keeps 2,000 and ends with the notice."""
    whole = "x" * OUTPUT_CHARS_MAX
    assert whole == shorten(whole)
    cut = whole + "... [OUTPUT TRUNCATED FOR SECURITY]"
    assert cut == shorten(whole + "x")


SECRETS = [
    f"token {JWT} end",
    "url postgres://user:pass-word@host/db end",
    "PASSWORD=correct-horse-battery end",
    'config {"password": "correct horse battery staple"} end',
    f"key:\n{KEY}\nend",
    "\nDATABASE_HOST=db.internal host\nCACHE_HOST=cache.internal host\nQUEUE_HOST=queue.internal host\nend",
]
LEAKS = ["hbGci", "J9.eyJ", "sdWIi", "dBjft", "OEjXk", "pass-", "word@", "@host", "corr", "horse", "battery", "staple"]
LEAKS += ["MIIE", "theKey", "QmFz", "internal"]


@pytest.mark.parametrize("dropped", [1, 5, 30])
@pytest.mark.parametrize("secret", SECRETS)
def test_row_13_a_secret_across_the_cut_does_not_come_through_in_part(secret: str, dropped: int) -> None:
    """Wherever the middle is cut out, no piece of a secret that touches the edge is shown."""
    text = "first line of plain text\nsecond line " + secret + "\nlast line\n"
    for cut in range(1, len(text) - dropped):
        head, tail = redact_cut(text[:cut], text[cut + dropped :], dropped)
        assert not [leak for leak in LEAKS if leak in head or leak in tail], (head, tail)


def test_a_cut_keeps_whole_words_of_the_head_and_whole_lines_of_the_tail() -> None:
    """Only the token and the line at the edge are given up."""
    expected = ("one two [REDACTED]", "[REDACTED]\nnext line")
    assert expected == redact_cut("one two thr", "ur five\nnext line", 4)
    expected = ("one two ", "[REDACTED]\nnext")
    assert expected == redact_cut("one two ", "three\nnext", 4)


def test_text_that_was_not_cut_is_redacted_as_one() -> None:
    """With nothing dropped, a secret across head and tail is recognised as a whole."""
    expected = ("PASSWORD=[REDACTED] x", "")
    assert expected == redact_cut("PASSWORD=hun", "ter2 x", 0)


@pytest.mark.parametrize("secret", SECRETS)
def test_row_13_shortening_after_redaction_shows_no_part_of_a_secret(secret: str) -> None:
    """A secret that lies across character 2,000 is masked before the cut."""
    for before in range(OUTPUT_CHARS_MAX - len(secret), OUTPUT_CHARS_MAX):
        shown = shorten(redact("." * (before - 1) + "\n" + secret + "." * 100))
        assert not [leak for leak in LEAKS if leak in shown]
