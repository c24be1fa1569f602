"""What FunctionGemma and Gemma 4 have in common: a syntax of their own for tools, calls and results, and one turn for them all.

    declaration:NAME{description:<escape>…<escape>,parameters:{properties:{…},required:[…],type:<escape>OBJECT<escape>}}
    call:NAME{text:<escape>…<escape>,number:1,list:[true,{a:null}]}        response:NAME{…}

A turn with calls ends where results begin, with the marker that opens the first of them; the model goes on behind the last one.

The words are those of the models' chat templates. Different on purpose, where the templates lose something:
- A parameter called `description`, `type`, `properties`, `required` or `nullable` is declared like any other.
- A type that is a list is shown by its members, or by the only one beside "null"; references and combinations are written out.
- An object without declared properties is shown without any, instead of its schema's keywords in their place.
- null is `null`, as in the templates' own declarations, not Python's `None`.
- A name that could not be told from what follows it stands in quotes (see `notation.MarkedNotation`).
- Markers in text from outside are broken by a space.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ...tools.call import ToolCall, ToolResult
from ...tools.tool import Tool
from ..errors import ParseError, SchemaError
from ..grammar import call_rules
from ..notation import MarkedNotation
from ..reading import MarkedReader
from ..shapes import Shapes
from .family import FamilyDialect, Read, Spelt, result_value
from .flat_schema import flattened


class MarkedDialect(FamilyDialect):
    """Everything but the words of the turns.

    Attributes:
        tool, response: markers around a declaration and a result.
    """

    tool: ClassVar[tuple[str, str]]
    response: ClassVar[tuple[str, str]]

    # -- prompts ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def details(self, schema: Mapping[str, Any]) -> list[str]:
        """What a declaration says of a parameter, in order, but its type."""

    def declarations(self, tools: Sequence[Tool]) -> str:
        """The tools, one behind the other."""
        return "".join(f"{self.tool[0]}{self._declaration(tool)}{self.tool[1]}" for tool in tools)

    def _declaration(self, tool: Tool) -> str:
        schema = flattened(tool.parameters, Shapes(tool.parameters, f"tool {tool.name!r}"))
        parts = []
        if schema.get("properties"):
            parts.append(f"properties:{{{self.properties(schema)}}}")
        if schema.get("required"):
            parts.append(f"required:{self.shown(schema['required'])}")
        parts.append(f"type:{self._type(schema)}")
        head = f"declaration:{self._name(tool.name)}{{description:{self.shown(tool.description)}"
        return f"{head},parameters:{{{','.join(parts)}}}}}"

    def properties(self, schema: Mapping[str, Any]) -> str:
        """The parameters of an object."""
        return ",".join(
            f"{self._name(name)}:{{{','.join([*self.details(member), f'type:{self._type(member)}'])}}}"
            for name, member in _sorted(schema.get("properties", {}))
        )

    def contents(self, schema: Mapping[str, Any]) -> list[str]:
        """What a declaration says of an object's properties."""
        required = schema.get("required")
        return [f"properties:{{{self.properties(schema)}}}", *([f"required:{self.shown(required)}"] if required else [])]

    def items(self, schema: Mapping[str, Any]) -> list[str]:
        """What a declaration says of an array's items: everything, as it stands in the schema."""
        items = schema.get("items")
        if not items:
            return []
        parts = []
        for key, value in _sorted(items):
            if key == "properties":
                parts.append(f"properties:{{{self.properties(items)}}}")
            elif key == "type":
                parts.append(f"type:{self._type(items)}")
            elif value is not None:
                parts.append(f"{self._name(key)}:{self.shown(value, quoted=True)}")
        return [f"items:{{{','.join(parts)}}}"]

    def values(self, schema: Mapping[str, Any]) -> list[str]:
        """What a declaration says of the values to choose from."""
        return [f"enum:{self.shown(schema['enum'], quoted=True)}"] if schema.get("enum") else []

    def _type(self, schema: Mapping[str, Any]) -> str:
        kinds = schema.get("type", "")
        return self.shown(kinds.upper() if isinstance(kinds, str) else [kind.upper() for kind in kinds])

    def shown(self, value: Any, *, quoted: bool = False) -> str:
        """A value from outside, objects sorted by name; `quoted` are the names in lists of values."""
        if isinstance(value, str):
            return f"{self.quote}{self._markers.plain(value)}{self.quote}"
        if isinstance(value, Mapping):
            names = {name: self.shown(name) if quoted else self._name(name) for name in value}
            return "{" + ",".join(f"{names[name]}:{self.shown(v, quoted=quoted)}" for name, v in _sorted(value)) + "}"
        if isinstance(value, list | tuple):
            return "[" + ",".join(self.shown(item, quoted=quoted) for item in value) + "]"
        return self._notation(self._markers.spelt).write(value)

    def _name(self, name: str) -> str:
        return MarkedNotation(quote=self.quote).key(self._markers.plain(name))

    def render_results(self, results: Iterable[ToolResult]) -> str:
        written = [f"{self.response[0]}{self._response(result)}{self.response[1]}" for result in results]
        # The marker that opens the first one ended the turn.
        return "".join(written).removeprefix(self.calls_end)

    def _response(self, result: ToolResult) -> str:
        value = result_value(result)
        return f"response:{self._name(result.call.name)}{self.shown(value if isinstance(value, dict) else {'value': value})}"

    # -- calls --------------------------------------------------------------------------------------------------------

    def _notation(self, spelt: Spelt) -> MarkedNotation:
        return MarkedNotation(quote=spelt(self.quote))

    def rules(self, tools: Sequence[Tool]) -> str:
        token = "" if self._markers.id(self.quote) is None else self._markers.lark(self.quote)
        notation = MarkedNotation(quote=self._markers.spelt(self.quote), token=token)
        for tool in tools:
            if notation.unwritable(tool.name):
                raise SchemaError(f"tool {tool.name!r}: the name holds what ends a string in the model's own syntax; rename it")
        return call_rules(tools, {tool.name: notation.lark("call:" + notation.key(tool.name)) for tool in tools}, notation)

    def write_call(self, call: ToolCall, spelt: Spelt) -> str:
        notation = self._notation(spelt)
        return f"call:{notation.key(call.name)}{notation.arguments(call.arguments)}"

    def read_call(self, text: str, at: int, spelt: Spelt) -> Read:
        reader = MarkedReader(text, at, spelt(self.quote))
        reader.expect("call:")
        name = reader.key()
        arguments = reader.value()
        if not isinstance(arguments, dict):
            raise ParseError("a call needs its arguments in {…}")
        return ToolCall(name, arguments), reader.at


def _sorted(members: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """As Jinja's `dictsort` has them."""
    return sorted(members.items(), key=lambda member: member[0].lower())
