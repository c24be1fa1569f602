"""Calls as a plain JSON list, for any model: no markers, nothing that a tokenizer must know.

    SYSTEM⏎⏎Functions: [{TOOL}]⏎⏎…⏎⏎User: QUERY⏎⏎Assistant: [{"name": "…", "arguments": {…}}]

Without markers, text from outside is kept apart by being JSON: the query and the results are JSON strings and lists, in which
a line never begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...tools.call import ToolResult
from ...tools.tool import Tool
from .family import JsonDialect, result_value

_TASK = """Answer with a JSON list of function calls, [{"name": function name, "arguments": its arguments}], \
with the empty list where no function helps, and in words once the functions have returned what you need."""


class PlainDialect(JsonDialect):
    """Any model, asked for JSON in words."""

    name = "plain"
    opening, between, ending, empty = "[", ", ", "]", "[]"

    def render_prefix(self, system: str | None, tools: Sequence[Tool]) -> str:
        instructions = f"{self._markers.plain(system)}\n\n" if system else ""
        declared = self._markers.json([tool.schema() for tool in tools])
        return f"{instructions}Functions: {declared}\n\n{_TASK}"

    def render_user(self, query: str, *, first: bool = True) -> str:
        return f"\n\nUser: {self._markers.json(query)}\n\nAssistant: "

    def render_results(self, results: Iterable[ToolResult]) -> str:
        return f"\n\nResults: {self._markers.json([result_value(result) for result in results])}\n\nAssistant: "
