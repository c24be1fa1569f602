"""Mistral's prompt and call syntax (7B v0.3, Nemo, Ministral, Small): tools and results in brackets of their own.

    [AVAILABLE_TOOLS][{…}][/AVAILABLE_TOOLS][INST]SYSTEM⏎⏎QUERY[/INST]
    [TOOL_CALLS][{"name": "…", "arguments": {…}, "id": "call00001"}]</s>
    [TOOL_RESULTS]{"content": …, "call_id": "call00001"}[/TOOL_RESULTS]

An id has 9 letters or digits. What it is means nothing, so the grammar leaves no choice: calls are numbered. The turns are
those of the models' own chat template. Different on purpose: it moves tools and system text to the last thing that the user
says, and forgets the system text once there are calls; here both stay at the beginning, which a cache can keep.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...tools.call import ToolResult
from ...tools.tool import Tool
from .family import JsonDialect, result_value

_ID = re.compile("[A-Za-z0-9]{9}")


class MistralDialect(JsonDialect):
    """Mistral, with calls and results that go by ids."""

    name = "mistral"
    _paired = ("INST", "AVAILABLE_TOOLS", "TOOL_RESULTS", "SYSTEM_PROMPT")
    markers = ("<s>", "</s>", "[TOOL_CALLS]", *(f"[{slash}{name}]" for name in _paired for slash in ("", "/")))
    turn_end = "</s>"
    opening, between, ending = "[TOOL_CALLS][", ", ", "]"

    def closing_of(self, index: int) -> str:
        return f', "id": "{_number(index)}"}}'

    def render_prefix(self, system: str | None, tools: Sequence[Tool]) -> str:
        declared = self._markers.json([{"type": "function", "function": tool.schema()} for tool in tools])
        opening = f"[AVAILABLE_TOOLS]{declared}[/AVAILABLE_TOOLS][INST]" if tools else "[INST]"
        return opening + (f"{self._markers.plain(system)}\n\n" if system else "")

    def render_user(self, query: str, *, first: bool = True) -> str:
        return ("" if first else "[INST]") + f"{self._markers.plain(query)}[/INST]"

    def render_results(self, results: Iterable[ToolResult]) -> str:
        results = list(results)
        ids = [result.call.id for result in results]
        if len(set(ids)) < len(ids) or not all(map(_ID.fullmatch, ids)):
            ids = [_number(index) for index in range(len(ids))]
        written = [self._markers.json({"content": result_value(r), "call_id": number}) for r, number in zip(results, ids)]
        return "".join(f"[TOOL_RESULTS]{text}[/TOOL_RESULTS]" for text in written)


def _number(index: int) -> str:
    return f"call{index + 1:05d}"
