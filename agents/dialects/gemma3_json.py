"""Gemma 3 prompted for JSON calls: it has no tokens for tools, so everything stands in its ordinary turns.

    <start_of_turn>user⏎SYSTEM⏎⏎…[{TOOL}]⏎⏎QUERY<end_of_turn>⏎<start_of_turn>model⏎{"name": "…", "parameters": {…}}<end_of_turn>

The format is the one of Google's guide to function calling with Gemma; several calls are written one on a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...tools.call import ToolResult
from ...tools.tool import Tool
from .family import JsonDialect, result_value

_TASK = """You can call functions. To call one, write nothing but {"name": function name, "parameters": its arguments}; \
to call several, write one such object on each line. Where no function helps, answer in words.
"""


class Gemma3JsonDialect(JsonDialect):
    """Gemma 3, asked for JSON in words."""

    name = "gemma3_json"
    arguments = "parameters"
    markers = ("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<start_of_image>")
    turn_end = "<end_of_turn>"
    between = "\n"

    def render_prefix(self, system: str | None, tools: Sequence[Tool]) -> str:
        instructions = f"{self._markers.plain(system)}\n\n" if system else ""
        declared = self._markers.json([tool.schema() for tool in tools])
        task = f"{_TASK}{declared}\n\n" if tools else ""
        return f"<start_of_turn>user\n{instructions}{task}"

    def render_user(self, query: str, *, first: bool = True) -> str:
        opening = "" if first else "\n<start_of_turn>user\n"
        return f"{opening}{self._markers.plain(query).strip()}<end_of_turn>\n<start_of_turn>model\n"

    def render_results(self, results: Iterable[ToolResult]) -> str:
        written = self._markers.json([result_value(result) for result in results])
        return f"\n<start_of_turn>user\nThe functions returned: {written}<end_of_turn>\n<start_of_turn>model\n"
