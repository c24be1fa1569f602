"""Parameter values as text: the styles of OpenAPI, which are expansions of RFC 6570.

A value is text, a number, a boolean, an array or an object; what is nested in an array or object is written as JSON, as
documentation pages do, since no style says how. Null is nothing, as in RFC 6570.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ..call import canonical

STYLES: dict[str, tuple[str, ...]] = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}

Escape = Callable[[str], str]
Pairs = list[tuple[str, str]]

_DELIMITERS = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}


def escape(text: str) -> str:
    """Percent-encodes all but the unreserved characters of RFC 3986."""
    return quote(text, safe="")


def escape_reserved(text: str) -> str:
    """As `escape`, for `allowReserved`: reserved characters stay, but for those that would end or divide the query."""
    return quote(text, safe=":/?@!$'()*,;")


def text_of(value: Any) -> str:
    """One value as text: 3.0 is 3, true is true, and arrays and objects are JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(canonical(value), ensure_ascii=False, separators=(",", ":"))


def path_text(name: str, value: Any, style: str, explode: bool) -> str:
    """What replaces `{name}` in a path, percent-encoded; "" when there is nothing to send."""
    return _expanded(name, value, style, explode, escape)


def header_text(value: Any, explode: bool) -> str:
    """The value of a header, not escaped."""
    return _expanded("", value, "simple", explode, str)


def query_pairs(name: str, value: Any, style: str, explode: bool, encode: Escape = escape) -> Pairs:
    """The `name=value` pairs of a query, form or cookie; both sides are encoded already."""
    name = escape(name)
    if isinstance(value, dict):
        items = [(key, item) for key, item in value.items() if item is not None]
        if style == "deepObject":
            return [pair for key, item in items for pair in _deep(f"{name}[{escape(key)}]", item, encode)]
        if explode and style == "form":
            return [(escape(key), encode(text_of(item))) for key, item in items]
        parts = [encode(text) for key, item in items for text in (key, text_of(item))]
    elif isinstance(value, list):
        parts = [encode(text_of(item)) for item in value if item is not None]
        if explode or style == "deepObject":
            return [(name, part) for part in parts]
    else:
        return [] if value is None else [(name, encode(text_of(value)))]
    return [(name, _DELIMITERS[style].join(parts))] if parts else []


def _deep(name: str, value: Any, encode: Escape) -> Pairs:
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in _deep(f"{name}[{escape(key)}]", item, encode)]
    if isinstance(value, list):
        return [(name, encode(text_of(item))) for item in value if item is not None]
    return [] if value is None else [(name, encode(text_of(value)))]


def _expanded(name: str, value: Any, style: str, explode: bool, encode: Escape) -> str:
    prefix, separator = {"simple": ("", ","), "label": (".", "."), "matrix": (";", ";")}[style]
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, dict):
        pairs = [(encode(key), encode(text_of(item))) for key, item in value.items() if item is not None]
        if explode:
            return prefix + separator.join(f"{key}={item}" for key, item in pairs)
        parts = [text for pair in pairs for text in pair]
    elif isinstance(value, list):
        parts = [encode(text_of(item)) for item in value if item is not None]
    else:
        parts = [encode(text_of(value))]
    if style == "matrix":
        named = [f"{escape(name)}={part}" for part in parts] if explode else [f"{escape(name)}={','.join(parts)}"]
        return prefix + separator.join(named)
    return prefix + (separator if explode else ",").join(parts)
