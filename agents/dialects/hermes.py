"""Hermes' prompt and call syntax, which Qwen 2.5 and Qwen 3 also use: ChatML turns, JSON calls in `<tool_call>`.

    <|im_start|>system⏎SYSTEM⏎⏎# Tools …<tools>⏎{…}⏎</tools> …<|im_end|>⏎<|im_start|>user⏎QUERY<|im_end|>⏎<|im_start|>assistant⏎
    <tool_call>⏎{"name": "…", "arguments": {…}}⏎</tool_call>⏎<tool_call>⏎{…}⏎</tool_call><|im_end|>

The words are those of Qwen's own chat templates. Different on purpose: where there is no system text, that of Qwen 2.5 says
"You are Qwen, …"; here, as in Qwen 3's, nothing stands for it. Qwen 3 may think first, in `<think>…</think>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...tools.call import ToolResult
from ...tools.tool import Tool
from .family import JsonDialect, result_value

_BEFORE_TOOLS = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>"""
_AFTER_TOOLS = """
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>"""


class HermesDialect(JsonDialect):
    """Hermes, Qwen 2.5 and Qwen 3."""

    name = "hermes"
    _paired = ("tool_call", "tool_response", "tools", "think")
    markers = ("<|im_start|>", "<|im_end|>", *(f"<{slash}{name}>" for name in _paired for slash in ("", "/")))
    turn_end = "<|im_end|>"
    opening, between, ending = "<tool_call>\n", "\n</tool_call>\n<tool_call>\n", "\n</tool_call>"
    thinking = ("<think>\n", "\n</think>\n\n")

    def render_prefix(self, system: str | None, tools: Sequence[Tool]) -> str:
        parts = [self._markers.plain(system)] if system else []
        if tools:
            lines = [self._markers.json({"type": "function", "function": tool.schema()}) for tool in tools]
            parts.append("\n".join([_BEFORE_TOOLS, *lines]) + _AFTER_TOOLS)
        text = "\n\n".join(parts)
        return f"<|im_start|>system\n{text}<|im_end|>\n" if parts else ""

    def render_user(self, query: str, *, first: bool = True) -> str:
        return ("" if first else "\n") + self._user(self._markers.plain(query))

    def render_results(self, results: Iterable[ToolResult]) -> str:
        written = [f"<tool_response>\n{self._markers.json(result_value(result))}\n</tool_response>" for result in results]
        return "\n" + self._user("\n".join(written))

    def _user(self, text: str) -> str:
        return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
