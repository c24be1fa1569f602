"""Classes with named fields as object schemas: dataclasses, TypedDicts and pydantic models."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Callable
from typing import Any

from .codec import Codec, Codecs, Decode, Mismatch, decoding
from .docstring import Docstring, parse_docstring
from .errors import ToolDefinitionError, ToolResultError, describe
from .result import to_json
from .schema import Schema, map_subschemas, ordered, validator

MISSING = dataclasses.MISSING
_PYDANTIC_MARKS = ("__pydantic_validator__", "__get_pydantic_core_schema__")


@dataclasses.dataclass(frozen=True)
class Slot:
    """One named value of an object: a parameter of a function or a field of a class."""

    name: str
    codec: Codec
    required: bool
    default: Any  # MISSING when there is none
    description: str | None = None

    def schema(self, defs: dict[str, Schema], where: str) -> Schema:
        """The property's schema: type, description, default.

        Raises:
            ToolDefinitionError: If the default does not satisfy the property's own schema.
        """
        schema = dict(self.codec.schema)
        description = self.description or self.codec.description
        if description:
            schema["description"] = description
        if self.default is not MISSING:
            try:
                default = to_json(self.default)
            except ToolResultError:
                # A sentinel: the function fills it in itself, the model need not know.
                return ordered(schema)
            valid = validator({**self.codec.schema, "$defs": defs}).is_valid(default)
            if valid:
                schema["default"] = default
            elif default is not None:
                raise ToolDefinitionError(f"{where}: the default {default!r} does not satisfy the parameter's own type")
        return ordered(schema)


def object_schema(slots: list[Slot], defs: dict[str, Schema], where: str) -> Schema:
    """The closed object schema of some slots."""
    schema: Schema = {
        "type": "object",
        "properties": {slot.name: slot.schema(defs, f"{where}.{slot.name}") for slot in slots},
    }
    if required := [slot.name for slot in slots if slot.required]:
        schema["required"] = required
    schema["additionalProperties"] = False
    return schema


def decode_slots(slots: list[Slot]) -> Decode:
    """Decoder of an object into a dict of decoded values; properties that are absent stay absent."""

    def decode(value: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for slot in slots:
            if slot.name in value:
                try:
                    result[slot.name] = slot.codec.decode(value[slot.name])
                except Mismatch as mismatch:
                    raise mismatch.under(slot.name) from mismatch.__cause__
        return result

    return decode


def type_hints(target: Any, localns: dict[str, Any], where: str) -> dict[str, Any]:
    """Resolved annotations, `Annotated` kept.

    Raises:
        ToolDefinitionError: If one of them cannot be resolved.
    """
    try:
        if isinstance(target, type):
            # A class means the names of its own module; the caller's are for classes defined inside functions.
            try:
                return typing.get_type_hints(target, include_extras=True)
            except NameError:
                pass
        return typing.get_type_hints(target, localns=localns, include_extras=True)
    except Exception as error:
        raise ToolDefinitionError(
            f"{where}: an annotation cannot be resolved: {describe(error)} (import or define the type before the tool)"
        ) from error


def record(codecs: Codecs, cls: type, where: str) -> Codec | None:
    """The codec of a dataclass, TypedDict or pydantic model; None for any other class."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and any(hasattr(cls, mark) for mark in _PYDANTIC_MARKS):
        return _pydantic(codecs, pydantic, cls, where)
    if dataclasses.is_dataclass(cls):
        return _nested(codecs, cls, where, _dataclass_slots, cls)
    if issubclass(cls, dict) and hasattr(cls, "__required_keys__"):
        return _nested(codecs, cls, where, _typed_dict_slots, None)
    return None


def _nested(
    codecs: Codecs,
    cls: type,
    where: str,
    read: Callable[[Codecs, type, str, Docstring], list[Slot]],
    build: Callable[..., Any] | None,
) -> Codec:
    if cls in codecs.finished:
        return codecs.finished[cls]
    if cls in codecs.open:
        name = codecs.recursive.setdefault(cls, _unique(codecs, cls.__name__))
        # Its own codec is not finished yet, so it is looked up when the first value arrives.
        return Codec({"$ref": f"#/$defs/{name}"}, lambda value: codecs.finished[cls].decode(value))
    codecs.open.append(cls)
    doc = _own_docstring(cls)
    slots = read(codecs, cls, f"{where}: {cls.__name__}", doc)
    # A default that holds the class itself is checked against a definition that is not there yet.
    defs = {name: {} for name in codecs.recursive.values()} | codecs.defs
    schema = object_schema(slots, defs, f"{where}: {cls.__name__}")
    codecs.open.pop()
    fields = decode_slots(slots)
    decode = fields if build is None else _building(fields, build)
    codec = Codec(schema, decode, doc.description or None)
    if cls in codecs.recursive:
        name = codecs.recursive[cls]
        codecs.defs[name] = schema
        codec = Codec({"$ref": f"#/$defs/{name}"}, decode, codec.description)
        codecs.finished[cls] = codec
    return codec


def _building(fields: Decode, build: Callable[..., Any]) -> Decode:
    make = decoding(lambda values: build(**values))
    return lambda value: make(fields(value))


def _unique(codecs: Codecs, name: str) -> str:
    taken = {*codecs.defs, *codecs.recursive.values()}
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}{number}", number + 1
    return candidate


def _own_docstring(cls: type) -> Docstring:
    text = cls.__dict__.get("__doc__") or ""
    # A dataclass without a docstring gets its signature as one.
    return Docstring() if text.startswith(f"{cls.__name__}(") else parse_docstring(text)


def _dataclass_slots(codecs: Codecs, cls: type, where: str, doc: Docstring) -> list[Slot]:
    hints = type_hints(cls, codecs.localns, where)
    known = {field.name: field for field in dataclasses.fields(cls)}
    slots: list[Slot] = []
    for name, field in cls.__dataclass_fields__.items():
        if name not in known and isinstance(hints.get(name), dataclasses.InitVar):
            raise ToolDefinitionError(f"{where}.{name}: InitVar fields are not supported (use a plain field)")
        if name not in known or not field.init:
            continue
        description = field.metadata.get("description") or doc.parameters.get(name)
        required = field.default is MISSING and field.default_factory is MISSING
        codec = codecs.of(hints[name], f"{where}.{name}")
        slots.append(Slot(name, codec, required, field.default, description))
    return slots


def _typed_dict_slots(codecs: Codecs, cls: type, where: str, doc: Docstring) -> list[Slot]:
    slots: list[Slot] = []
    for name, hint in type_hints(cls, codecs.localns, where).items():
        # The class cannot see `NotRequired[…]` in annotations that are still text; the resolved hint can.
        origin = typing.get_origin(hint)
        if origin in (typing.Required, typing.NotRequired):
            required = origin is typing.Required
        else:
            required = name in cls.__required_keys__
        slots.append(Slot(name, codecs.of(hint, f"{where}.{name}"), required, MISSING, doc.parameters.get(name)))
    return slots


def _pydantic(codecs: Codecs, pydantic: Any, cls: type, where: str) -> Codec:
    if cls in codecs.finished:
        return codecs.finished[cls]
    try:
        adapter = pydantic.TypeAdapter(cls)
        schema = adapter.json_schema()
    except Exception as error:
        raise ToolDefinitionError(f"{where}: pydantic gives no schema for {cls.__name__}: {describe(error)}") from error
    schema = _inline(codecs, schema)
    description = schema.pop("description", None)
    codecs.finished[cls] = Codec(schema, decoding(adapter.validate_python), description)
    return codecs.finished[cls]


def _inline(codecs: Codecs, document: Schema) -> Schema:
    """A schema of pydantic's without titles, with every definition that is not recursive put where it is used."""
    definitions: dict[str, Schema] = document.pop("$defs", {})
    prefix = "#/$defs/"

    def targets(node: Schema) -> set[str]:
        found = {node["$ref"].removeprefix(prefix)} if "$ref" in node else set()
        map_subschemas(node, lambda inner: found.update(targets(inner)))
        return found

    edges = {name: targets(definition) for name, definition in definitions.items()}

    def is_recursive(name: str) -> bool:
        reached: set[str] = set()
        waiting = set(edges[name])
        while waiting:
            current = waiting.pop()
            if current not in reached:
                reached.add(current)
                waiting |= edges[current]
        return name in reached

    renamed = {}
    for name in definitions:
        if is_recursive(name):
            renamed[name] = _unique(codecs, name)
            codecs.defs[renamed[name]] = {}

    def place(node: Schema) -> Schema:
        node = {key: value for key, value in node.items() if key not in ("title", "discriminator")}
        if "$ref" in node:
            name = node.pop("$ref").removeprefix(prefix)
            target = {"$ref": prefix + renamed[name]} if name in renamed else place(definitions[name])
            return ordered({**target, **node})
        node = map_subschemas(node, place)
        # A closed object leaves the model no room to invent fields; models that allow extras say so themselves.
        if "properties" in node:
            node.setdefault("additionalProperties", False)
        return ordered(node)

    for name, new in renamed.items():
        codecs.defs[new] = place(definitions[name])
    return place(document)
