"""Python annotations as JSON Schema, and JSON values decoded back to what the annotation names."""

from __future__ import annotations

import collections.abc
import datetime
import enum
import math
import pathlib
import types
import typing
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .constraints import constrain, description_in
from .errors import ToolDefinitionError, describe, one_line
from .schema import Schema, validator

Decode = Callable[[Any], Any]


class Mismatch(Exception):
    """A value satisfies the schema and still cannot be decoded, such as 2024-02-30T00:00:00 for a datetime."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path

    def under(self, key: str | int) -> Mismatch:
        """The same complaint, seen from the container."""
        return Mismatch(str(self), (key, *self.path))


@dataclass(frozen=True)
class Codec:
    """The schema of an annotation, how to decode a valid value, and the description found in the annotation."""

    schema: Schema
    decode: Decode
    description: str | None = None


def as_is(value: Any) -> Any:
    """Decoder of what is already what the annotation names."""
    return value


def decoding(build: Callable[[Any], Any], *errors: type[Exception]) -> Decode:
    """`build`, with the errors that mean a wrong value reported as a `Mismatch`."""
    expected = errors or (ValueError, TypeError, OverflowError, AssertionError)

    def decode(value: Any) -> Any:
        try:
            return build(value)
        except Mismatch:
            raise
        except expected as error:
            raise Mismatch(one_line(describe(error), 200)) from error

    return decode


_TEXT: dict[Any, tuple[str, Callable[[str], Any]]] = {
    datetime.datetime: ("date-time", datetime.datetime.fromisoformat),
    datetime.date: ("date", datetime.date.fromisoformat),
    datetime.time: ("time", datetime.time.fromisoformat),
    uuid.UUID: ("uuid", uuid.UUID),
    pathlib.Path: ("path", pathlib.Path),
    pathlib.PurePath: ("path", pathlib.PurePath),
}
_LISTS = (list, collections.abc.Sequence, collections.abc.MutableSequence)
_LISTS += (collections.abc.Iterable, collections.abc.Collection)
_SETS: dict[Any, type] = {
    set: set,
    frozenset: frozenset,
    collections.abc.Set: set,
    collections.abc.MutableSet: set,
}
_MAPS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


class Codecs:
    """Builds the codecs of one signature; recursive classes share its `$defs`."""

    def __init__(self, localns: dict[str, Any] | None = None) -> None:
        self.localns = localns or {}
        self.defs: dict[str, Schema] = {}
        self.open: list[type] = []
        self.recursive: dict[type, str] = {}
        self.finished: dict[type, Codec] = {}

    def of(self, annotation: Any, where: str) -> Codec:
        """The codec of an annotation; `where` names the parameter in error messages.

        Raises:
            ToolDefinitionError: If the annotation has no JSON form.
        """
        if annotation is Any or annotation is object:
            return Codec({}, as_is)
        if annotation is None or annotation is type(None):
            return Codec({"type": "null"}, as_is)
        if annotation is str or annotation is bool:
            return Codec({"type": _JSON_TYPES[annotation]}, as_is)
        if annotation is int or annotation is float:
            # JSON does not tell 3 from 3.0; the function should not have to care.
            return Codec({"type": _JSON_TYPES[annotation]}, decoding(annotation))
        if annotation in (list, dict, set, tuple, frozenset):
            annotation = {list: list[Any], dict: dict[str, Any], set: set[Any]}.get(
                annotation, annotation[Any, ...] if annotation is tuple else frozenset[Any]
            )
        if isinstance(annotation, typing.NewType):
            return self.of(annotation.__supertype__, where)
        # `type Name = …` of Python 3.12, and the same from typing_extensions.
        if type(annotation).__name__ == "TypeAliasType":
            return self.of(annotation.__value__, where)
        if isinstance(annotation, str):
            raise ToolDefinitionError(f"{where}: the annotation {annotation!r} is text that was not resolved")
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is not None:
            return self._generic(annotation, origin, arguments, where)
        if isinstance(annotation, type):
            return self._class(annotation, where)
        raise _unsupported(annotation, where)

    def _class(self, annotation: type, where: str) -> Codec:
        # records.py builds its codecs with this class, so neither file can import the other first.
        from .records import record

        if annotation in _TEXT:
            name, build = _TEXT[annotation]
            return Codec({"type": "string", "format": name}, decoding(build))
        if issubclass(annotation, enum.Enum):
            return _choice([(member.value, member) for member in annotation], where)
        codec = record(self, annotation, where)
        if codec is None:
            raise _unsupported(annotation, where)
        return codec

    def _generic(self, annotation: Any, origin: Any, arguments: tuple[Any, ...], where: str) -> Codec:
        if origin is typing.Annotated:
            inner = self.of(arguments[0], where)
            schema = constrain(inner.schema, arguments[1:], where)
            return Codec(schema, inner.decode, description_in(arguments[1:]) or inner.description)
        if origin is typing.Literal:
            pairs = [(item.value if isinstance(item, enum.Enum) else item, item) for item in arguments]
            return _choice(pairs, where)
        if origin is typing.Union or origin is types.UnionType:
            return self._union(arguments, where)
        if origin in _LISTS:
            item = self.of(arguments[0], where)
            return Codec(_array(item), _sequence(item.decode, list))
        if origin in _SETS:
            item = self.of(arguments[0], where)
            if typing.get_origin(arguments[0]) in (list, dict, set):
                raise ToolDefinitionError(f"{where}: {arguments[0]} cannot be an item of a set (use a list)")
            decode = decoding(_sequence(item.decode, _SETS[origin]))
            return Codec({**_array(item), "uniqueItems": True}, decode)
        if origin is tuple:
            return self._tuple(arguments, where)
        if origin in _MAPS:
            return self._mapping(arguments, where)
        if origin in (typing.Required, typing.NotRequired) or getattr(origin, "_name", "") == "ReadOnly":
            return self.of(arguments[0], where)
        raise _unsupported(annotation, where)

    def _tuple(self, arguments: tuple[Any, ...], where: str) -> Codec:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            item = self.of(arguments[0], where)
            return Codec(_array(item), _sequence(item.decode, tuple))
        items = [self.of(argument, where) for argument in arguments]
        size = {"minItems": len(items), "maxItems": len(items)}
        if not items:
            schema: Schema = {"type": "array", "maxItems": 0}
        elif all(item.schema == items[0].schema for item in items):
            # tuple[float, float] is a list of two numbers; most readers know `items` and few know `prefixItems`.
            schema = {**_array(items[0]), **size}
        else:
            schema = {"type": "array", "prefixItems": [item.schema for item in items], "items": False, **size}

        def decode(value: list[Any]) -> tuple[Any, ...]:
            return tuple(_at(index, item.decode, part) for index, (item, part) in enumerate(zip(items, value)))

        return Codec(schema, decode)

    def _mapping(self, arguments: tuple[Any, ...], where: str) -> Codec:
        keys, values = self.of(arguments[0], where), self.of(arguments[1], where)
        if keys.schema.get("type") != "string":
            raise ToolDefinitionError(f"{where}: the keys of a JSON object are text, received keys of {arguments[0]}")
        schema: Schema = {"type": "object"}
        if len(keys.schema) > 1:
            schema["propertyNames"] = {key: value for key, value in keys.schema.items() if key != "type"}
        if values.schema:
            schema["additionalProperties"] = values.schema

        def decode(value: dict[str, Any]) -> dict[Any, Any]:
            return {_at(key, keys.decode, key): _at(key, values.decode, item) for key, item in value.items()}

        return Codec(schema, decode)

    def _union(self, arguments: tuple[Any, ...], where: str) -> Codec:
        branches = [self.of(argument, where) for argument in arguments]
        described = [branch.description for branch in branches if branch.description]
        description = described[0] if len(described) == 1 else None
        schema = _flat_union([branch.schema for branch in branches])
        if all(branch.decode is as_is for branch in branches):
            return Codec(schema, as_is, description)
        checks: list[Any] = []

        def decode(value: Any) -> Any:
            if not checks:
                # Only now are all `$defs` known.
                checks.extend(validator({**branch.schema, "$defs": self.defs}) for branch in branches)
            # An integer stays one in `float | int`, as in Python.
            order = sorted(zip(branches, checks), key=lambda pair: not _is_exact(pair[0].schema, value))
            failure: Mismatch | None = None
            for branch, check in order:
                if check.is_valid(value):
                    try:
                        return branch.decode(value)
                    except Mismatch as mismatch:
                        failure = failure or mismatch
            raise failure or Mismatch("fits none of the alternatives")

        return Codec(schema, decode, description)


def _is_exact(schema: Schema, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and schema.get("type") == "integer"


def _array(item: Codec) -> Schema:
    items = dict(item.schema)
    if item.description and "description" not in items:
        items = {**items, "description": item.description}
    return {"type": "array", "items": items} if items else {"type": "array"}


def _at(key: str | int, decode: Decode, value: Any) -> Any:
    try:
        return decode(value)
    except Mismatch as mismatch:
        raise mismatch.under(key) from mismatch.__cause__


def _sequence(decode: Decode, build: Callable[[Any], Any]) -> Decode:
    return lambda value: build([_at(index, decode, item) for index, item in enumerate(value)])


def _choice(pairs: list[tuple[Any, Any]], where: str) -> Codec:
    """Codec of a choice between constants, from pairs of JSON value and Python value."""
    kinds: list[str] = []
    for value, _ in pairs:
        # By exact type: True is an int to isinstance, and a StrEnum's value is a plain str.
        kind = _JSON_TYPES.get(type(value))
        if kind is None or (isinstance(value, float) and not math.isfinite(value)):
            raise ToolDefinitionError(
                f"{where}: the choice {one_line(repr(value), 80)} is not JSON (use str, int, float, bool or None)"
            )
        if kind not in kinds:
            kinds.append(kind)
    if not pairs:
        raise ToolDefinitionError(f"{where}: there is nothing to choose from (the enum has no members)")
    schema: Schema = {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": [value for value, _ in pairs]}

    def decode(value: Any) -> Any:
        for constant, meant in pairs:
            # In JSON true is not 1, in Python it is.
            if constant == value and isinstance(constant, bool) == isinstance(value, bool):
                return meant
        raise Mismatch(f"{value!r} is none of the choices")

    return Codec(schema, decode)


def _flat_union(schemas: list[Schema]) -> Schema:
    """One flat schema for a union where that says the same; `anyOf` otherwise."""
    schemas = [schema for index, schema in enumerate(schemas) if schema not in schemas[:index]]
    if {} in schemas:
        return {}
    if len(schemas) == 1:
        return schemas[0]
    solid = [schema for schema in schemas if schema != {"type": "null"}]
    kinds = list(dict.fromkeys(kind for schema in schemas for kind in _kinds(schema)))
    if all(schema.keys() == {"type"} for schema in schemas):
        if "number" in kinds and "integer" in kinds:
            kinds.remove("integer")
        return {"type": kinds if len(kinds) > 1 else kinds[0]}
    if all(schema.keys() == {"type", "enum"} for schema in solid):
        choices = [choice for schema in solid for choice in schema["enum"]]
        if len(solid) < len(schemas) and None not in choices:
            choices.append(None)
        return {"type": kinds if len(kinds) > 1 else kinds[0], "enum": choices}
    if len(solid) == 1 and "type" in solid[0] and "enum" not in solid[0]:
        # The other keywords bind only values of the type they belong to, so null passes them.
        return {**solid[0], "type": kinds}
    flat: list[Schema] = []
    for schema in schemas:
        # `(A | B) | None`: one level of alternatives is enough.
        flat.extend(schema["anyOf"] if schema.keys() == {"anyOf"} else [schema])
    return {"anyOf": flat}


def _kinds(schema: Schema) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else kind


def _unsupported(annotation: Any, where: str) -> ToolDefinitionError:
    name = annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
    return ToolDefinitionError(
        f"{where}: the type {one_line(name, 80)} has no JSON form (use str, int, float, bool, list, dict, Literal, an Enum, "
        "a dataclass, a TypedDict or a pydantic model)"
    )
