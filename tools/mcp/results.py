"""Results of MCP tools as JSON values: structured content and text as they are, everything else described."""

from __future__ import annotations

import json
from typing import Any

from ..errors import RetryCall, one_line

Value = dict[str, Any] | list[Any] | str | int | float | bool | None


def read_result(title: str, name: str, result: Any) -> Value:
    """The value of a `CallToolResult`.

    Structured content is the value; without it the text is: the object or array that it is the JSON text of, or the text
    itself, or a list where there are several. Pictures, sounds, links and resources are objects that say what they are,
    without bytes.

    Raises:
        RetryCall: If the tool says that it failed; its text, on one line.
    """
    blocks = list(result.content)
    if result.is_error:
        said = " ".join(block.text for block in blocks if block.type == "text")
        if not said and result.structured_content is not None:
            said = json.dumps(result.structured_content, ensure_ascii=False)
        raise RetryCall(f"{name}: {one_line(said, 1000) or f'it failed, and {title} did not say why'}")
    if "structured_content" in result.model_fields_set and result.structured_content is not None:
        others = [_described(block) for block in blocks if block.type != "text"]
        return {"result": result.structured_content, "content": others} if others else result.structured_content
    values = [_read_text(block.text) if block.type == "text" else _described(block) for block in blocks]
    return values[0] if len(values) == 1 else (values or None)


def _read_text(text: str) -> Value:
    """Many servers answer with JSON as a text; numbers and words stay text, which is what they were sent as."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _described(block: Any) -> dict[str, Any]:
    """A block of content that is no plain text, in a few fields."""
    kind = block.type
    if kind in ("image", "audio"):
        return {"type": kind, "mime_type": block.mime_type, "bytes": _size(block.data)}
    if kind == "resource_link":
        found = {"type": kind, "uri": str(block.uri), "name": block.name, "description": block.description}
        return {key: value for key, value in {**found, "mime_type": block.mime_type, "bytes": block.size}.items() if value}
    if kind == "resource":
        inner = block.resource
        found = {"type": kind, "uri": str(inner.uri), "mime_type": inner.mime_type}
        text = getattr(inner, "text", None)
        content = {"text": text} if text is not None else {"bytes": _size(getattr(inner, "blob", ""))}
        return {key: value for key, value in found.items() if value} | content
    return {"type": one_line(kind, 40)}


def _size(base64_text: str) -> int:
    """Bytes that a base64 text stands for."""
    return len(base64_text.rstrip("=")) * 3 // 4
