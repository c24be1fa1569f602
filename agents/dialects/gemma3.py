"""Gemma 3's turns: it has no tokens for tools, so what it is told of them stands in its ordinary ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from ...tools.call import ToolResult
from ...tools.tool import Tool
from .family import FamilyDialect, result_value


class Gemma3Dialect(FamilyDialect):
    """What the ways of asking Gemma 3 for calls share.

    Attributes:
        task: how it is asked.
    """

    markers = ("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<start_of_image>")
    turn_end = "<end_of_turn>"
    task: ClassVar[str]

    def render_prefix(self, system: str | None, tools: Sequence[Tool]) -> str:
        instructions = f"{self._markers.plain(system)}\n\n" if system else ""
        task = f"{self.task}{self._markers.json([tool.schema() for tool in tools])}\n\n" if tools else ""
        return f"<start_of_turn>user\n{instructions}{task}"

    def render_user(self, query: str, *, first: bool = True) -> str:
        opening = "" if first else "\n<start_of_turn>user\n"
        return f"{opening}{self._markers.plain(query).strip()}<end_of_turn>\n<start_of_turn>model\n"

    def render_results(self, results: Iterable[ToolResult]) -> str:
        written = self._markers.json([result_value(result) for result in results])
        return f"\n<start_of_turn>user\nThe functions returned: {written}<end_of_turn>\n<start_of_turn>model\n"
