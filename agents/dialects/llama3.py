"""Llama 3.1's and 3.2's prompt and call syntax: tools in the first user turn, one JSON object for each call.

    <|start_header_id|>system<|end_header_id|>⏎⏎Environment: ipython⏎…<|eot_id|>
    <|start_header_id|>user<|end_header_id|>⏎⏎…{TOOL}⏎⏎QUERY<|eot_id|><|start_header_id|>assistant<|end_header_id|>⏎⏎
    {"name": "…", "parameters": {…}}<|eot_id|>

The words of the turns are those of the models' own chat template, without its dates. Results come in the role `ipython`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...tools.call import ToolResult
from ...tools.tool import Tool
from .family import JsonDialect, result_value

_TASK = """Given the following functions, please respond with a JSON for a function call with its proper arguments \
that best answers the given prompt.

Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}. \
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
        environment = "Environment: ipython\n\n" if tools else ""
        lines = [self._markers.json({"type": "function", "function": tool.schema()}, spaced=True) for tool in tools]
        task = _TASK + "".join(f"{line}\n\n" for line in lines) if tools else ""
        opening = _header("system") + environment + self._markers.plain(system or "") + "<|eot_id|>"
        return opening + _header("user") + task

    def render_user(self, query: str, *, first: bool = True) -> str:
        opening = "" if first else _header("user")
        return f"{opening}{self._markers.plain(query)}<|eot_id|>{_header('assistant')}"

    def render_results(self, results: Iterable[ToolResult]) -> str:
        written = [f"{_header('ipython')}{self._markers.json(result_value(result))}<|eot_id|>" for result in results]
        return "".join(written) + _header("assistant")


def _header(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"
