"""String formatting, textwrap, difflib, hashing, base64, struct, secrets of the standard library."""
import base64
import binascii
import difflib
import hashlib
import string
import struct
import textwrap
import unicodedata
import uuid
import zlib

text = "Forks share pages until somebody writes to one of them."
print(textwrap.fill(text, 24))
print(list(difflib.unified_diff(["a", "b"], ["a", "c"], lineterm=""))[-2:], difflib.get_close_matches("appel", ["ape", "apple"]))
print(hashlib.sha256(text.encode()).hexdigest()[:16], hashlib.md5(b"x", usedforsecurity=False).hexdigest()[:8])
print(base64.b64encode(zlib.compress(b"a" * 100))[:12], binascii.crc32(b"abc"), struct.unpack("<HxB", struct.pack("<HxB", 513, 7)))
print(string.Template("$a and ${b}").substitute(a=1, b=2), "{:>{width}}|{!r:^7}".format("x", "y", width=4))
print(unicodedata.normalize("NFD", "é").encode(), unicodedata.name("図"), "ß".casefold(), "ǆ".title())
print(uuid.uuid5(uuid.NAMESPACE_DNS, "example.org"), str.maketrans("ab", "cd"), "banana".translate({98: None}))
print("%-6s|%06.2f|%x" % ("ab", 3.14159, 255), f"{'nested ' + f'{1 + 1}'}", "a\tb".expandtabs(4), r"\n")
