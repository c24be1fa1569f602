"""Schemas of an OpenAPI document as JSON Schema 2020-12.

OpenAPI 3.0 has a dialect of its own (`nullable`, boolean `exclusiveMinimum`); 3.1 is 2020-12 already. In both, a property may
belong to requests or to responses only, `discriminator` names the alternative that is meant, and references lead all over the
document. A `Schemas` translates for one direction; what is behind a reference becomes an entry of `$defs`, once, so that
nothing recurses for ever.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from ..errors import ToolDefinitionError, one_line
from ..schema import Schema, map_subschemas
from .document import Document
from .keywords import KEPT, LISTS, MAPS, SINGLE, check_keyword

logger = logging.getLogger(__name__)

Direction = Literal["request", "response"]

_NOTES = frozenset({"title", "description", "default", "deprecated"})

_PREFIX = "#/$defs/"
MAX_INLINED = 60
"""Keywords of a definition that is written out where it is referred to; larger and recursive ones stay in `$defs`."""


class Schemas:
    """The translated schemas of one direction.

    Args:
        document: Where they come from.
        direction: "request" leaves `readOnly` properties out; "response" does not require `writeOnly` ones, and allows null
            wherever `nullable` stands.

    Attributes:
        lock: To be held by whoever translates while others may, too.
    """

    def __init__(self, document: Document, direction: Direction) -> None:
        self.document = document
        self.lock = threading.Lock()
        self.is_request = direction == "request"
        self._flag = "readOnly" if self.is_request else "writeOnly"
        self._names: dict[tuple[str, str, frozenset[str], bool], str] = {}
        self._waiting: dict[str, tuple[Any, str, frozenset[str]]] = {}
        self._defs: dict[str, Schema] = {}
        self._sorted: set[str] = set()
        self._small: dict[str, Schema] = {}
        self._done: dict[str, tuple[Schema, list[str]]] = {}
        self._children: dict[tuple[str, str], list[tuple[str, str]]] | None = None

    def translate(self, schema: Any, file: str) -> Schema:
        """A schema, with references into `$defs` (see `definition` and `closed`)."""
        return _as_object(self._any(schema, file))

    def definition(self, schema: Schema) -> Schema:
        """A schema with the reference it may be replaced by its definition."""
        seen = set()
        while "$ref" in schema and not schema.keys() - _NOTES - {"$ref"} and schema["$ref"] not in seen:
            seen.add(schema["$ref"])
            notes = {key: value for key, value in schema.items() if key != "$ref"}
            schema = self._def(schema["$ref"].removeprefix(_PREFIX)) | notes
        return schema

    def closed(self, schema: Schema) -> Schema:
        """A schema that stands alone: small definitions are written out, the others are in its `$defs`."""
        schema = self._with_small_ones(schema)
        kept: dict[str, Schema] = {}
        pending = list(_named(schema))
        while pending:
            name = pending.pop()
            if name not in kept:
                kept[name], named = self._ready(name)
                pending += named
        return {**schema, "$defs": kept} if kept else schema

    # -- definitions --------------------------------------------------------------------------------------------------

    def _def(self, name: str) -> Schema:
        if name in self._waiting:
            schema, file, hidden = self._waiting.pop(name)
            self._defs[name] = {}
            self._defs[name] = _as_object(self._any(schema, file, hidden))
        return self._defs[name]

    def _ready(self, name: str) -> tuple[Schema, list[str]]:
        """A definition as it stands in `$defs`, and the names of those that it refers to."""
        if name not in self._done:
            schema = self._with_small_ones(self._def(name))
            self._done[name] = (schema, list(_named(schema)))
        return self._done[name]

    def _with_small_ones(self, schema: Schema) -> Schema:
        if not self.is_request:
            return schema  # read by no model
        self._sort(schema)
        return _replaced(schema, self._small)

    def _sort(self, schema: Schema) -> None:
        """Finds the definitions below a schema that are written out: small ones that do not lead back to themselves."""
        left: dict[str, set[str]] = {}
        pending = set(_named(schema)) - self._sorted
        while pending:
            name = pending.pop()
            left[name] = set(_named(self._def(name))) - self._sorted
            pending |= left[name] - left.keys()
        self._sorted |= left.keys()
        # From the leaves: what is never reached this way leads in a circle, and is sorted for good, too.
        while ready := [name for name, named in left.items() if not named & left.keys()]:
            for name in ready:
                del left[name]
                body = _replaced(self._def(name), self._small)
                if _size(body) <= MAX_INLINED:
                    self._small[name] = body

    def _fresh(self, file: str, pointer: str) -> str:
        last = [part for part in pointer.split("/") if part][-1:] or [re.split(r"[/\\]", file)[-1].split(".")[0]]
        base = name = re.sub(r"[^A-Za-z0-9_.-]+", "_", last[0]) or "schema"
        number = 2
        while name in self._defs or name in self._waiting:
            name, number = f"{base}_{number}", number + 1
        return name

    def _reference(self, node: Schema, file: str, hidden: frozenset[str], in_all_of: bool) -> Schema:
        target, where, pointer = self.document.resolve(node["$ref"], file)
        if isinstance(target, dict):
            self.document.follow(target, where, "a schema")  # a circle of nothing but references has no meaning
        hidden = hidden & self._required(target, where, set()) if hidden else hidden
        key = (where, pointer, hidden, not in_all_of and _is_parent(target))
        if key not in self._names:
            name = self._names[key] = self._fresh(where, pointer)
            self._defs[name] = {}  # the name is taken; its alternatives may lead back here
            alternatives = self._subtypes(target, where, pointer) if key[-1] else []
            if alternatives:
                self._defs[name] = {"anyOf": alternatives}
            else:
                self._waiting[name] = (target, where, hidden)
        name = self._names[key]
        result: Schema = {"$ref": _PREFIX + name}
        rest = {key: value for key, value in node.items() if key != "$ref"}
        if self.document.version == "3.1":
            result |= self._keywords(rest, file, hidden)
        else:
            # 3.0 ignores what stands beside a reference; a description harms nobody, and nullable is often meant.
            result |= {key: rest[key] for key in ("title", "description") if isinstance(rest.get(key), str)}
            if rest.get("nullable") is True and not self.is_request:
                result = {"anyOf": [result, {"type": "null"}]}
        return result

    # -- keywords -----------------------------------------------------------------------------------------------------

    def _any(self, node: Any, file: str, hidden: frozenset[str] = frozenset(), in_all_of: bool = False) -> Schema | bool:
        if isinstance(node, bool) and self.document.version == "3.1":
            return node
        if not isinstance(node, dict):
            raise ToolDefinitionError(f"{file}: a schema must be an object, received {one_line(repr(node), 80)}")
        if "properties" in node or "allOf" in node:
            hidden |= self._flagged(node, file, set())
        if isinstance(node.get("$ref"), str):
            return self._reference(node, file, hidden, in_all_of)
        return self._keywords(node, file, hidden)

    def _keywords(self, node: Schema, file: str, hidden: frozenset[str]) -> Schema:
        if "$dynamicRef" in node or "$recursiveRef" in node:
            raise ToolDefinitionError(f"{file}: $dynamicRef is not followed; write a $ref")
        is_30 = self.document.version == "3.0"
        result: Schema = {}
        for key, value in node.items():
            if key in ("title", "description"):
                result[key] = str(value)
                continue
            # An empty entry of YAML; `required: true` in a property is of JSON Schema's third draft.
            is_void = value is None and key not in ("const", "default")
            if is_void or (key == "required" and isinstance(value, bool)):
                continue
            if is_30 and key in ("exclusiveMinimum", "exclusiveMaximum") and isinstance(value, bool):
                result[key] = value
                continue
            if key in KEPT:
                check_keyword(key, value, file)
                result[key] = value
            elif key in MAPS:
                check_keyword(key, value, file)
                gone = hidden if key == "properties" and self.is_request else frozenset()
                result[key] = {name: self._any(item, file) for name, item in value.items() if name not in gone}
            elif key in LISTS:
                check_keyword(key, value, file)
                if key in ("anyOf", "oneOf") and isinstance(node.get("discriminator"), dict):
                    result[key] = self._discriminated(node, value, file, hidden)
                else:
                    inner = hidden if key != "prefixItems" else frozenset()
                    result[key] = [self._any(item, file, inner, key == "allOf") for item in value]
            elif key in SINGLE:
                check_keyword(key, value, file)
                result[key] = value if isinstance(value, bool) else self._any(value, file)
        if "required" in result:
            result["required"] = list(dict.fromkeys(name for name in result["required"] if name not in hidden))
        self._drop_unreadable(result, file)
        return self._from_30(node, result) if is_30 else result

    def _from_30(self, node: Schema, result: Schema) -> Schema:
        for side in ("Minimum", "Maximum"):
            exclusive, plain = f"exclusive{side}", side.lower()
            if isinstance(result.get(exclusive), bool) and result.pop(exclusive) and plain in result:
                result[exclusive] = result.pop(plain)
        if node.get("nullable") is not True:
            return result
        if isinstance(result.get("type"), str):
            result["type"] = [result["type"], "null"]
            if "enum" in result and None not in result["enum"] and not self.is_request:
                result["enum"] = [*result["enum"], None]
        elif not self.is_request and any(key in result for key in ("allOf", "anyOf", "oneOf")):
            # By the specification nullable does nothing without a type; servers mean it all the same.
            return {"anyOf": [result, {"type": "null"}]}
        return result

    def _drop_unreadable(self, schema: Schema, file: str) -> None:
        """Leaves out patterns that Python's `re` cannot read (ECMA-262 has more): they could never be checked."""
        patterns = [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
        for pattern in [*patterns, *schema.get("patternProperties", ())]:
            try:
                re.compile(pattern)
            except (re.error, RecursionError, OverflowError) as error:
                logger.warning("%s: the pattern %r is not checked: Python cannot read it (%s)", file, pattern, error)
                if pattern in patterns:
                    schema.pop("pattern", None)
                else:
                    del schema["patternProperties"][pattern]

    # -- one direction only -------------------------------------------------------------------------------------------

    def _conjuncts(self, node: Any, file: str, seen: set[tuple[str, str]]) -> Iterator[tuple[Schema, str]]:
        """A schema and all that its references and `allOf` add to it."""
        if not isinstance(node, dict):
            return
        yield node, file
        if isinstance(node.get("$ref"), str):
            target, where, pointer = self.document.resolve(node["$ref"], file)
            if (where, pointer) not in seen:
                seen.add((where, pointer))
                yield from self._conjuncts(target, where, seen)
        for member in node.get("allOf") or ():
            yield from self._conjuncts(member, file, seen)

    def _flagged(self, node: Schema, file: str, seen: set[tuple[str, str]]) -> frozenset[str]:
        """Names of properties that do not belong to this direction."""
        found = set()
        for part, where in self._conjuncts(node, file, seen):
            for name, schema in _mapping(part.get("properties")):
                if any(inner.get(self._flag) is True for inner, _ in self._conjuncts(schema, where, set())):
                    found.add(name)
        return frozenset(found)

    def _required(self, node: Any, file: str, seen: set[tuple[str, str]]) -> frozenset[str]:
        names: set[str] = set()
        for part, _ in self._conjuncts(node, file, seen):
            if isinstance(part.get("required"), list):
                names.update(name for name in part["required"] if isinstance(name, str))
            names.update(name for name, _ in _mapping(part.get("properties")))
        return frozenset(names)

    # -- discriminators -----------------------------------------------------------------------------------------------

    def _discriminated(self, node: Schema, members: list[Any], file: str, hidden: frozenset[str]) -> list[Schema]:
        """Alternatives, each with the values of the discriminating property that mean it."""
        name = node["discriminator"].get("propertyName")
        mapped: dict[tuple[str, str], list[str]] = {}
        for value, reference in _mapping(node["discriminator"].get("mapping")):
            mapped.setdefault(self._mapped(reference, file), []).append(value)
        result = []
        for member in members:
            schema = _as_object(self._any(member, file, hidden))
            if isinstance(name, str) and isinstance(member, dict) and isinstance(member.get("$ref"), str):
                _, where, pointer = self.document.resolve(member["$ref"], file)
                schema = _tagged(schema, name, mapped.get((where, pointer)) or [pointer.rsplit("/", 1)[-1]])
            result.append(schema)
        return result

    def _mapped(self, reference: Any, file: str) -> tuple[str, str]:
        """Place of the schema that a mapping names: by a reference, or by its name."""
        if isinstance(reference, str) and re.fullmatch(r"[A-Za-z0-9._-]+", reference):
            schemas = self.document.follow(self.document.root.get("components") or {}, self.document.address, "components")[0]
            if reference in (schemas.get("schemas") or {}):
                reference, file = f"#/components/schemas/{reference}", self.document.address
        _, where, pointer = self.document.resolve(reference, file)
        return where, pointer

    def _subtypes(self, target: Any, file: str, pointer: str) -> list[Schema]:
        """Alternatives of a schema that others extend by `allOf`, told apart by its discriminator."""
        name = target["discriminator"]["propertyName"]
        mapped: dict[tuple[str, str], list[str]] = {}
        for value, reference in _mapping(target["discriminator"].get("mapping")):
            mapped.setdefault(self._mapped(reference, file), []).append(value)
        for child in self._extending().get((file, pointer), ()):
            mapped.setdefault(child, [child[1].rsplit("/", 1)[-1]])
        if not mapped.keys() - {(file, pointer)}:
            return []
        found = []
        for (where, at), values in mapped.items():
            reference = {"$ref": f"#{at}"}
            # As in allOf: the schema itself, not its own alternatives, which would lead here again.
            is_same = (where, at) == (file, pointer)
            found.append(_tagged(self._reference(reference, where, frozenset(), is_same), name, values))
        return found

    def _extending(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """Schemas of the document by those that their `allOf` refers to."""
        if self._children is None:
            self._children = {}
            home = self.document.address
            components = self.document.root.get("components")
            schemas = components.get("schemas") if isinstance(components, dict) else None
            for name, schema in _mapping(schemas):
                escaped = name.replace("~", "~0").replace("/", "~1")
                for member in (schema.get("allOf") or ()) if isinstance(schema, dict) else ():
                    if isinstance(member, dict) and isinstance(member.get("$ref"), str):
                        _, where, pointer = self.document.resolve(member["$ref"], home)
                        self._children.setdefault((where, pointer), []).append((home, f"/components/schemas/{escaped}"))
        return self._children


def _is_parent(schema: Any) -> bool:
    """Whether others extend the schema, told apart by a property of it."""
    if not isinstance(schema, dict) or "oneOf" in schema or "anyOf" in schema:
        return False
    discriminator = schema.get("discriminator")
    return isinstance(discriminator, dict) and isinstance(discriminator.get("propertyName"), str)


def _tagged(schema: Schema, name: str, values: list[str]) -> Schema:
    tag = {"const": values[0]} if len(values) == 1 else {"enum": values}
    return {"allOf": [schema, {"type": "object", "properties": {name: tag}, "required": [name]}]}


def _as_object(schema: Schema | bool) -> Schema:
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    return schema


def _mapping(value: Any) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, dict) else ()


def _named(schema: Schema) -> Iterator[str]:
    """Definitions that a schema names, wherever it does."""
    pending = [schema]
    while pending:
        node = pending.pop()
        if "$ref" in node:
            yield node["$ref"].removeprefix(_PREFIX)
        map_subschemas(node, pending.append)


def _size(schema: Schema) -> int:
    """Number of keywords, names and listed values."""
    count, pending = 0, [schema]
    while pending:
        node = pending.pop()
        count += len(node) + len(node.get("properties", ())) + len(node.get("enum", ()))
        map_subschemas(node, pending.append)
    return count


def _replaced(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """A schema with references to some definitions replaced by what they are."""
    if not definitions:
        return schema
    schema = map_subschemas(schema, lambda inner: _replaced(inner, definitions))
    name = schema.get("$ref", "").removeprefix(_PREFIX)
    if name in definitions and not schema.keys() - _NOTES - {"$ref"}:
        return definitions[name] | {key: value for key, value in schema.items() if key != "$ref"}
    return schema
