"""Safe evaluation with ast.literal_eval and operator tables; dynamic import of an allowed module."""
import ast
import importlib
import operator

print(ast.literal_eval("{'a': [1, 2.5, None], 'b': (True, 'x')}"))
tree = ast.parse("a = 1 + 2 * b")
print([type(node).__name__ for node in ast.walk(tree)][:6], ast.unparse(tree))
OPS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
stack = []
for token in "3 4 + 2 *".split():
    stack.append(OPS[token](stack.pop(-2), stack.pop()) if token in OPS else int(token))
print(stack)
print(importlib.import_module("math").tau == 2 * importlib.import_module("math").pi)
from urllib.parse import parse_qs, urlencode, urlparse  # noqa: E402

print(urlparse("https://example.org:8080/p?q=1#f").port, urlencode({"a": "x y"}), parse_qs("a=1&a=2"))
from html import escape  # noqa: E402
from xml.etree import ElementTree  # noqa: E402

root = ElementTree.fromstring("<r><i n='1'>one</i><i n='2'/></r>")
print([(i.get("n"), i.text) for i in root], escape("<a&b>"))
