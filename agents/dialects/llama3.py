"""Llama 3.1's and 3.2's prompt and call syntax: tools in the first user turn, one JSON object for each call.

    <|start_header_id|>system<|end_header_id|>⏎⏎Environment: ipython⏎…SYSTEM<|eot_id|>
    <|start_header_id|>user<|end_header_id|>⏎⏎…{TOOL}⏎⏎QUERY<|eot_id|><|start_header_id|>assistant<|end_header_id|>⏎⏎
    {"name": "…", "parameters": {…}}<|eot_id|>

The words of the turns are those of the models' own chat template. Different on purpose: it says a date of its own where it is
told none, which would be wrong, so there is no date but one in the system text; it refuses several calls in one turn, which are
written here one behind the other, with a semicolon.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...tools.call import ToolResult
from ...tools.tool import Tool
from .family import JsonDialect, result_value

_TASK = """Given the following functions, please respond with a JSON for a function call with its proper arguments \
that best answers the given prompt.

Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.\
Do not use variables.

"""


class Llama3Dialect(JsonDialect):
    """Llama 3.1 and 3.2."""

    name = "llama3"
    arguments = "parameters"
    markers = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>", "<|begin_of_text|>")
    turn_end = "<|eot_id|>"
    between = "; "

    def render_prefix(self, system: str | None, tools: Sequence[Tool]) -> str:
        environment = ("Environment: ipython\n" if tools else "") + "Cutting Knowledge Date: December 2023\n\n"
        declared = [self._markers.json({"type": "function", "function": tool.schema()}, indent=4) for tool in tools]
        task = _TASK + "".join(f"{text}\n\n" for text in declared) if tools else ""
        opening = _header("system") + environment + self._markers.plain(system or "").strip() + "<|eot_id|>"
        return opening + _header("user") + task

    def render_user(self, query: str, *, first: bool = True) -> str:
        opening = "" if first else _header("user")
        return f"{opening}{self._markers.plain(query).strip()}<|eot_id|>{_header('assistant')}"

    def render_results(self, results: Iterable[ToolResult]) -> str:
        written = [f"{_header('ipython')}{self._markers.json(result_value(result))}<|eot_id|>" for result in results]
        return "".join(written) + _header("assistant")


def _header(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"
