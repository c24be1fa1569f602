"""FunctionGemma's prompt and call syntax.

    <start_of_turn>developer⏎SYSTEM⏎You are a model that can do function calling …<start_function_declaration>declaration:…
    <end_function_declaration><end_of_turn>⏎<start_of_turn>user⏎QUERY<end_of_turn>⏎<start_of_turn>model⏎
    <start_function_call>call:NAME{text:<escape>…<escape>,number:1}<end_function_call><start_function_response>
    response:NAME{…}<end_function_response>ANSWER<end_of_turn>

The words are those of the model's chat template and its guide, "FunctionGemma formatting and best practices". The template has
the sentence about function calling only where there is no system text; it is what makes the model call functions, so here it
follows any system text, as in the data that the guide fine-tunes on. See `marked` for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...tools.tool import Tool
from .marked import MarkedDialect

_TASK = "You are a model that can do function calling with the following functions"


class FunctionGemmaDialect(MarkedDialect):
    """FunctionGemma."""

    name = "functiongemma"
    quote = "<escape>"
    _paired = ("function_declaration", "function_call", "function_response")
    markers = (
        *("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<start_of_image>", quote),
        *(f"<{side}_{name}>" for name in _paired for side in ("start", "end")),
    )
    tool = ("<start_function_declaration>", "<end_function_declaration>")
    response = ("<start_function_response>", "<end_function_response>")
    turn_end, calls_end = "<end_of_turn>", "<start_function_response>"
    opening, ending = "<start_function_call>", "<end_function_call>"
    between = ending + opening

    def render_prefix(self, system: str | None, tools: Sequence[Tool]) -> str:
        texts = [self._markers.plain(system).strip() if system else "", _TASK if tools else ""]
        text = "\n".join(filter(None, texts)) + self.declarations(tools)
        return f"<start_of_turn>developer\n{text}<end_of_turn>\n" if text else ""

    def render_user(self, query: str, *, first: bool = True) -> str:
        text = self._markers.plain(query).strip()
        return ("" if first else "\n") + f"<start_of_turn>user\n{text}<end_of_turn>\n<start_of_turn>model\n"

    def details(self, schema: Mapping[str, Any]) -> list[str]:
        described = [f"description:{self.shown(schema.get('description', ''))}"]
        about = {"string": self.values, "object": self.contents, "array": self.items}
        kind = schema.get("type", "")
        return described + (about[kind](schema) if isinstance(kind, str) and kind in about else [])
