"""What is told of a template, as plain data and back. Both the daemon and a template of any interpreter import this."""

from __future__ import annotations

from typing import Any, Final

from warmfork.wire.fields import items, number, read, text, word
from warmfork.wire.records import TEMPLATE_STATES, LibraryInfo, TemplateInfo

_TEMPLATE: Final = (
    text("name", chars_max=64),
    text("python", chars_max=200, default=""),
    text("font", chars_max=200, default=""),
    word("state", TEMPLATE_STATES, default="ready"),
    items("libraries", count_max=1_000),
)
_LIBRARY: Final = (
    text("name", chars_max=200),
    text("version", chars_max=200, default=""),
    number("import_s", 0, 1e9, default=0.0),
    text("error", chars_max=2_000, default=""),
)


def encode_template(template: TemplateInfo) -> dict[str, Any]:
    """A template's description as plain data."""
    return {
        "name": template.name,
        "python": template.python,
        "font": template.font,
        "state": template.state,
        "libraries": [
            {"name": item.name, "version": item.version, "import_s": item.import_s, "error": item.error}
            for item in template.libraries
        ],
    }


def decode_template(data: Any) -> TemplateInfo:
    """The inverse of ``encode_template``, or ProtocolError."""
    name, python, font, state, found = read("template", data, _TEMPLATE)
    libraries = tuple(LibraryInfo(*read("library", item, _LIBRARY)) for item in found)
    return TemplateInfo(name, python, libraries, font, state)
