"""Gemma 4's prompt and call syntax.

    <|turn>system⏎SYSTEM<|tool>declaration:…<tool|><turn|>⏎<|turn>user⏎QUERY<turn|>⏎<|turn>model⏎
    <|channel>thought⏎…<channel|><|tool_call>call:NAME{text:<|"|>…<|"|>,number:1}<tool_call|><|tool_response>
    response:NAME{…}<tool_response|>ANSWER<turn|>

The words are those of the models' chat template. Thinking is not asked for (`<|think|>` in the system turn), but possible: the
larger models open a thought where they have none, and their template writes an empty one at the end of the prompt. Here the
prompt ends as that of the smaller models, and the model may write one itself. See `marked` for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...tools.tool import Tool
from .marked import MarkedDialect


class Gemma4Dialect(MarkedDialect):
    """Gemma 4."""

    name = "gemma4"
    quote = '<|"|>'
    _paired = ("turn", "tool", "tool_call", "tool_response", "channel", "image", "audio")
    markers = (
        *("<bos>", "<eos>", "<|think|>", "<|image|>", "<|audio|>", "<|video|>", quote),
        *(marker for name in _paired for marker in (f"<|{name}>", f"<{name}|>")),
    )
    tool = ("<|tool>", "<tool|>")
    response = ("<|tool_response>", "<tool_response|>")
    turn_end, calls_end = "<turn|>", "<|tool_response>"
    opening, between, ending = "<|tool_call>", "<tool_call|><|tool_call>", "<tool_call|>"
    thinking = ("<|channel>thought\n", "<channel|>")

    def render_prefix(self, system: str | None, tools: Sequence[Tool]) -> str:
        text = (self._markers.plain(system).strip() if system else "") + self.declarations(tools)
        return f"<|turn>system\n{text}<turn|>\n" if text else ""

    def render_user(self, query: str, *, first: bool = True) -> str:
        text = self._markers.plain(query).strip()
        return ("" if first else "\n") + f"<|turn>user\n{text}<turn|>\n<|turn>model\n"

    def details(self, schema: Mapping[str, Any]) -> list[str]:
        parts = [f"description:{self.shown(schema['description'])}"] if schema.get("description") else []
        kind = schema.get("type", "")
        if kind in ("string", "array"):
            parts += self.values(schema) if kind == "string" else self.items(schema)
        if schema.get("nullable"):
            parts.append("nullable:true")
        return parts + (self.contents(schema) if kind == "object" else [])
