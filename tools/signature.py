"""A function's signature and docstring as a tool's parameters."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any

from .codec import Codecs, Decode
from .constraints import description_in
from .docstring import parse_docstring
from .errors import ToolDefinitionError
from .records import MISSING, Slot, decode_slots, object_schema, type_hints
from .schema import Schema, check

_EMPTY = inspect.Parameter.empty


def read_signature(
    function: Callable[..., Any], name: str, localns: dict[str, Any] | None = None
) -> tuple[str, Schema, Decode]:
    """Description, parameter schema and decoder (JSON object to keyword arguments) of a function.

    Args:
        function: A function or bound method, plain or async.
        name: The tool's name, for messages.
        localns: Names that annotations may use besides the function's globals.

    Raises:
        ToolDefinitionError: If a parameter is untyped, cannot be passed by name, or has a type without a JSON form.
    """
    where = f"tool {name!r}"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise ToolDefinitionError(f"{where}: it has no signature to read ({error}); wrap it in a typed function") from None
    hints = type_hints(function, {**_closure(function), **(localns or {})}, where)
    doc = parse_docstring(inspect.getdoc(function))
    codecs = Codecs({**_closure(function), **(localns or {})})
    slots: list[Slot] = []
    fills: dict[str, Callable[[], Any]] = {}
    for parameter in signature.parameters.values():
        _check_kind(parameter, where)
        if parameter.name not in hints:
            raise ToolDefinitionError(
                f"{where}: parameter {parameter.name!r} has no type annotation (write {parameter.name}: str, for example)"
            )
        at = f"{where}: parameter {parameter.name!r}"
        hint, default = hints[parameter.name], parameter.default
        if _is_pydantic_field(default):
            # `minutes: int = Field(5, ge=1)` is metadata and default in one, which Python alone would pass as is.
            field, default = default, _EMPTY
            hint = Annotated[hint, field]
            if not field.is_required():
                fills[parameter.name] = lambda field=field: field.get_default(call_default_factory=True)
                default = MISSING if field.default_factory else field.default
        codec = codecs.of(hint, at)
        # What stands at the parameter itself is nearer to it than the docstring, and that is nearer than its class.
        description = description_in(getattr(hint, "__metadata__", ())) or doc.parameters.get(parameter.name)
        required = default is _EMPTY
        slots.append(Slot(parameter.name, codec, required, MISSING if required else default, description))
    schema = object_schema(slots, codecs.defs, where)
    if codecs.defs:
        schema["$defs"] = codecs.defs
    check(schema, name)
    fields = decode_slots(slots)

    def decode(arguments: dict[str, Any]) -> dict[str, Any]:
        values = fields(arguments)
        for missing in fills.keys() - values.keys():
            values[missing] = copy.deepcopy(fills[missing]())
        return values

    return doc.description, schema, decode


def _check_kind(parameter: inspect.Parameter, where: str) -> None:
    if parameter.name in ("self", "cls") and parameter.annotation is _EMPTY:
        raise ToolDefinitionError(
            f"{where}: parameter {parameter.name!r} has no type annotation; for a method, make the tool from the bound "
            "method: tool(instance.method)"
        )
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise ToolDefinitionError(f"{where}: {parameter} cannot be described to a model (name every parameter)")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise ToolDefinitionError(
            f"{where}: parameter {parameter.name!r} is positional-only, and tools are called by name (remove the '/')"
        )


def _closure(function: Callable[..., Any]) -> dict[str, Any]:
    """The variables of enclosing functions that `function` uses, for annotations that are still text."""
    target = inspect.unwrap(function)
    target = getattr(target, "__func__", target)
    names, cells = getattr(getattr(target, "__code__", None), "co_freevars", ()), getattr(target, "__closure__", None)
    found: dict[str, Any] = {}
    for name, cell in zip(names, cells or ()):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            # Not assigned yet.
            continue
    return found


def _is_pydantic_field(default: Any) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(default, pydantic.fields.FieldInfo)
