"""Gemma 3 prompted for calls as Python writes them: it has no tokens for tools, so everything stands in its ordinary turns.

    <start_of_turn>user⏎SYSTEM⏎⏎…[{TOOL}]⏎⏎QUERY<end_of_turn>⏎<start_of_turn>model⏎[name(text="…", number=1)]<end_of_turn>

The format is the one of Google's guide to function calling with Gemma. Values are literals: `True`, `None`, strings, numbers,
lists and dictionaries. What Python has no name for is written as Python passes it: an argument such as `from` or `x-y` as
`**{"from": 1}`; a function whose name is no dotted identifier, by its name in quotes. Calls are read, never evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...tools.call import ToolCall
from ...tools.tool import Tool
from ..grammar import call_rules
from ..lark import literal
from ..notation import PythonNotation
from ..reading import PythonReader
from .family import Read, Spelt
from .gemma3 import Gemma3Dialect

_PYTHON = PythonNotation()


class Gemma3PythonDialect(Gemma3Dialect):
    """Gemma 3, asked for Python in words."""

    name = "gemma3_python"
    task = """You can call functions. To call some, write nothing but a Python list of the calls, with keyword arguments and \
literal values: [function_name(argument_name=value, other_name=value), other_function()]. \
Where no function helps, answer in words.
"""
    opening, between, ending = "[", ", ", "]"

    def rules(self, tools: Sequence[Tool]) -> str:
        return call_rules(tools, {tool.name: literal(_PYTHON.function(tool.name)) for tool in tools}, _PYTHON)

    def write_call(self, call: ToolCall, spelt: Spelt) -> str:
        return _PYTHON.function(call.name) + _PYTHON.arguments(call.arguments)

    def read_call(self, text: str, at: int, spelt: Spelt) -> Read:
        reader = PythonReader(text, at)
        return ToolCall(reader.function(), reader.arguments()), reader.at
