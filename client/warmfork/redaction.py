"""Secrets out of a job's text, in time linear in its length whatever the text is.

What is masked: values behind key-like words (``password``, ``api_key``, ``token`` …), AWS key names and key ids,
database URLs, JWTs, PEM private keys, and environment dumps. It is a seat belt against a job that prints what it should
not, and no boundary: code can always print a secret in a disguise that no pattern knows.

How the patterns stay linear: a pattern either matches wherever its opening matches, so that the scan goes on *behind*
what it looked at, or it looks at a bounded number of characters. Repeats are possessive and never hand characters back.
"""

from __future__ import annotations

import re
from typing import Final

OUTPUT_CHARS_MAX: Final = 2_000
TRUNCATED: Final = "... [OUTPUT TRUNCATED FOR SECURITY]"
MASK: Final = "[REDACTED]"
DUMP_LINES_MAX: Final = 10

EDGE_LINE_CHARS: Final = 512
EDGE_TOKEN_CHARS: Final = 16 * 1024
assert EDGE_LINE_CHARS < EDGE_TOKEN_CHARS

# A quote inside an unquoted value belongs to it unless something follows that ends a literal: secrecy before tidiness.
_INNER_QUOTE: Final = r"""["'`](?![\s,;:)\]}]|\Z)"""

# "tokens" is left out on purpose: in code about text it counts words and hides nothing. Behind the word, a suffix that
# begins a new part (SECRET_KEY, passwordHash) belongs to the name; ordinary letters (secretary) end the match.
# The first letter stands alone: a plain set in front lets the engine skip what cannot match, ordinary text 5 x faster.
_NAME: Final = r"""
    [aApPtTsScC](?i:
        (?<=a)(?:pi[_ -]?key|ccess[_-]?key) | (?<=p)(?:asswords?|asswd|wd)
        | (?<=t)oken(?!s) | (?<=s)ecrets? | (?<=c)redentials?
    )
    (?:[A-Z0-9_-][\w-]{0,40}+)?+
    [\\"'\])]{0,8}+
"""
_SEPARATOR: Final = r"""
    [ \t]*+(?::[ \t]*+(?:str|bytes|Any|Final|Optional\[str\]|str[ ]?\|[ ]?None)[ \t]*+=(?!=)|=>|:=|[=:]{1,2}+)
    (?:\s*+(?=["'])|[ \t]*+)
"""
_VALUE: Final = rf"""
    [bBrRuUfF]{{0,2}}+(?s:\"\"\"(?:(?!\"\"\").)*+(?:\"\"\")?+|'''(?:(?!''').)*+(?:''')?+)
    |[bBrRuUfF]{{0,2}}+(?:"(?:[^"\\\n]|\\.)*+"?+|'(?:[^'\\\n]|\\.)*+'?+)
    |\\++(?:"[^"\n]*+"?+|'[^'\n]*+'?+)
    |[\[{{(][^\])}}]{{0,2000}}+[\])}}]?+
    |(?:(?i:bearer|basic|digest|token)[ \t]++)?(?:[^\s"'`]|{_INNER_QUOTE})++
"""
_KEYED: Final = re.compile(rf"(?P<name>{_NAME}{_SEPARATOR})(?P<value>{_VALUE})", re.VERBOSE)
_OPENING_QUOTE: Final = re.compile(r"""[bBrRuUfF]{0,2}(\\*(?:\"\"\"|'''|"|'))""")

_DATABASE_URL: Final = re.compile(
    rf"""(?P<scheme>[pPmMrR](?i:ostgres(?:ql)?|ysql|ariadb|ongodb|ediss?)(?:\+\w{{1,32}}+)?+://)(?:[^\s"'`<>]|{_INNER_QUOTE})++"""
)
_AWS_KEY_ID: Final = re.compile(r"A(?:KIA|SIA|ROA|IDA)(?<![A-Za-z0-9]A...)[A-Z0-9]{16,}+")

# Matches from every "eyJ" to the end of its run of characters; whether that is a JWT is decided afterwards, because a
# pattern that failed there would be tried again from each further "eyJ" of the same run.
_JWT_RUN: Final = re.compile(r"eyJ[\w-]*+(?P<rest>(?:\.[\w-]*+)*+)", re.ASCII)

_PEM_EDGE: Final = re.compile(
    r"-----(?P<edge>BEGIN|END) (?:(?!PRIVATE )[A-Z0-9]{1,16}+ ){0,4}+PRIVATE KEY(?: BLOCK)?-----"
)

_DUMP_LINE: Final = r"(?:[ \t]*+(?:export[ ]|declare[ ]-x[ ]|set[ ])?[A-Za-z_]\w*+=[^\n]*+|\[REDACTED\])"
_DUMP: Final = re.compile(rf"^(?:{_DUMP_LINE}(?:\n|\Z)){{2,}}+", re.MULTILINE)
_DUMP_SIGN: Final = re.compile(
    r"^(?:[ \t]*+(?:export[ ]|declare[ ]-x[ ]|set[ ])?[A-Z_][A-Z0-9_]*+=|\[REDACTED\]$)", re.MULTILINE
)

_LEADING_PIECE: Final = re.compile(rf"[^\n]{{0,{EDGE_LINE_CHARS}}}+\S{{0,{EDGE_TOKEN_CHARS}}}+")


def redact(text: str) -> str:
    """Return ``text`` with every secret that a rule knows replaced by ``[REDACTED]``.

    Names and separators stay (``password=[REDACTED]``). Two or more lines ``NAME=value`` in a row, at least two of them
    in capitals, are an environment dump: values masked, cut after 10 lines, with a line that says how many were cut.
    Redacting twice gives the same as redacting once.
    """
    text = _mask_private_keys(text)
    text = _DATABASE_URL.sub(rf"\g<scheme>{MASK}", text)
    text = _JWT_RUN.sub(_mask_jwt, text)
    text = _KEYED.sub(_mask_value, text)
    text = _AWS_KEY_ID.sub(MASK, text)
    return _DUMP.sub(_mask_dump, text)


def redact_cut(head: str, tail: str, dropped: int) -> tuple[str, str]:
    """Redact what a bounded stream kept: its first and its last characters, ``dropped`` bytes missing between them.

    A secret that lies across the edge would show a part that no rule recognises. So the last token of the head, and the
    rest of the line that the tail begins in (at most 512 characters of it and the token there), are masked unseen, and
    a private key that begins in the head, or ends in the tail, is masked to the edge. Tokens over 16 KiB are taken for
    data, not for secrets, and masked for that length only.

    Args:
        head, tail: the kept text, not redacted yet.
        dropped: number of bytes cut out; with 0 the two are one text, returned whole as the first of the pair.

    Returns:
        Head and tail, redacted. Redact before joining them with a note of your own.
    """
    if dropped == 0:
        return redact(head + tail), ""
    if tail:
        tail = _LEADING_PIECE.sub(MASK, tail, count=1)
    return redact(_mask_last_piece(head)), redact(tail)


def _mask_last_piece(head: str) -> str:
    line_start = head.rstrip("\n").rfind("\n") + 1
    if _DUMP_SIGN.match(head, line_start):  # one line of a dump whose other lines may be what was dropped
        return head[: head.index("=", line_start) + 1] + MASK if "=" in head[line_start:] else head
    if not head or head[-1].isspace():
        return head
    return head[: -len(head[-EDGE_TOKEN_CHARS:].split()[-1])] + MASK


def shorten(text: str) -> str:
    """Cut text over 2,000 characters, and say so. Redact first: a secret cut in half is not recognised any more."""
    if len(text) <= OUTPUT_CHARS_MAX:
        return text
    return text[:OUTPUT_CHARS_MAX] + TRUNCATED


def _mask_private_keys(text: str) -> str:
    kept: list[str] = []
    shown_to = 0
    inside = False
    for edge in _PEM_EDGE.finditer(text):
        if edge["edge"] == "BEGIN":
            if not inside:
                kept += (text[shown_to : edge.start()], MASK)
            inside = True
            continue
        if not inside:  # its beginning was cut away: all since the last key, or since the start, may be key
            kept.append(MASK)
        inside = False
        shown_to = edge.end()
    if not inside:
        kept.append(text[shown_to:])
    return "".join(kept)


def _mask_jwt(match: re.Match[str]) -> str:
    rest = match["rest"]
    return MASK if rest.count(".") >= 2 or rest.startswith(".eyJ") else match[0]


def _mask_value(match: re.Match[str]) -> str:
    quote = _OPENING_QUOTE.match(match["value"])
    return f"{match['name']}{quote[1]}{MASK}{quote[1]}" if quote else match["name"] + MASK


def _mask_dump(match: re.Match[str]) -> str:
    dump = match[0]
    if len(_DUMP_SIGN.findall(dump)) < 2:
        return dump
    end = "\n" if dump.endswith("\n") else ""
    lines = dump.removesuffix("\n").split("\n")
    masked = [line.partition("=")[0] + f"={MASK}" if "=" in line else line for line in lines[:DUMP_LINES_MAX]]
    if len(lines) > DUMP_LINES_MAX:
        masked.append(f"[ENVIRONMENT DUMP CUT: {len(lines) - DUMP_LINES_MAX} more lines]")
    return "\n".join(masked) + end
