"""Gemma 3 prompted for calls as Python writes them: it has no tokens for tools, so everything stands in its ordinary turns.

    <start_of_turn>user⏎SYSTEM⏎⏎…[{TOOL}]⏎⏎QUERY<end_of_turn>⏎<start_of_turn>model⏎[name(text="…", number=1)]<end_of_turn>

The format is the one of Google's guide to function calling with Gemma. Values are literals: `True`, `None`, strings, numbers,
lists and dictionaries. What Python has no name for is written as Python passes it: an argument such as `from` or `x-y` as
`**{"from": 1}`; a function whose name is no dotted identifier, by its name in quotes. Calls are read, never evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...tools.call import ToolCall, ToolResult
from ...tools.tool import Tool
from ..grammar import call_rules
from ..lark import literal
from ..notation import PythonNotation
from ..reading import PythonReader
from .family import FamilyDialect, Read, Spelt, result_value

_TASK = """You can call functions. To call some, write nothing but a Python list of the calls, with keyword arguments and \
literal values: [function_name(argument_name=value, other_name=value), other_function()]. \
Where no function helps, answer in words.
"""
_PYTHON = PythonNotation()


class Gemma3PythonDialect(FamilyDialect):
    """Gemma 3, asked for Python in words."""

    name = "gemma3_python"
    markers = ("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<start_of_image>")
    turn_end = "<end_of_turn>"
    opening, between, ending = "[", ", ", "]"

    def render_prefix(self, system: str | None, tools: Sequence[Tool]) -> str:
        instructions = f"{self._markers.plain(system)}\n\n" if system else ""
        task = f"{_TASK}{self._markers.json([tool.schema() for tool in tools])}\n\n" if tools else ""
        return f"<start_of_turn>user\n{instructions}{task}"

    def render_user(self, query: str, *, first: bool = True) -> str:
        opening = "" if first else "\n<start_of_turn>user\n"
        return f"{opening}{self._markers.plain(query).strip()}<end_of_turn>\n<start_of_turn>model\n"

    def render_results(self, results: Iterable[ToolResult]) -> str:
        written = self._markers.json([result_value(result) for result in results])
        return f"\n<start_of_turn>user\nThe functions returned: {written}<end_of_turn>\n<start_of_turn>model\n"

    def rules(self, tools: Sequence[Tool]) -> str:
        return call_rules(tools, {tool.name: literal(_PYTHON.function(tool.name)) for tool in tools}, _PYTHON)

    def write_call(self, call: ToolCall, spelt: Spelt) -> str:
        return _PYTHON.function(call.name) + _PYTHON.arguments(call.arguments)

    def read_call(self, text: str, at: int, spelt: Spelt) -> Read:
        reader = PythonReader(text, at)
        return ToolCall(reader.function(), reader.arguments()), reader.at
