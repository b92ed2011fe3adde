"""exec of source text."""
namespace = {}
exec("def double(n):\n    return n * 2", namespace)
print(namespace["double"](21))
