"""JSON Schema taken apart: a schema as alternatives, each a conjunction of plain parts.

`$ref`, `allOf`, `anyOf` and `oneOf` are resolved here, so that what is left speaks about one value directly. Nothing is
merged: a conjunction keeps its parts, and whoever reads a keyword reads it in all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator
from referencing import Registry

from ..tools.call import canonical
from .errors import SchemaError

Schema = Mapping[str, Any] | bool

MAX_ALTERNATIVES = 128
MAX_DEPTH = 8
"""How often a recursive definition is entered within itself."""

_TYPES = frozenset({"string", "integer", "number", "boolean", "null", "array", "object"})
_OF_TYPE = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties", "maxProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
# Keywords that restrict a value in ways the rules do not express. Everything unknown restricts nothing.
UNSUPPORTED = (
    *("not", "if", "then", "else", "dependentRequired", "dependentSchemas", "propertyNames"),
    *("unevaluatedProperties", "unevaluatedItems", "contains", "minContains", "maxContains"),
    *("$dynamicRef", "$recursiveRef"),
)


@dataclass(frozen=True)
class Shape:
    """One alternative of a schema: a value must satisfy every part. `depth` counts recursive definitions entered."""

    parts: tuple[Mapping[str, Any], ...] = ()
    depth: int = 0

    def values(self, keyword: str) -> list[Any]:
        """What the parts that have the keyword say."""
        return [part[keyword] for part in self.parts if keyword in part]

    def joined(self, other: Shape) -> Shape:
        """Both at once."""
        parts = (*self.parts, *(part for part in other.parts if not any(part is mine for mine in self.parts)))
        return Shape(parts, max(self.depth, other.depth))

    @property
    def is_finite(self) -> bool:
        """The values are listed by `enum` or `const`."""
        return any("enum" in part or "const" in part for part in self.parts)

    def types(self) -> frozenset[str]:
        """JSON types that may be generated: those named, or else those whose keywords appear, or else all."""
        named = self.named_types()
        if named is not None:
            return named - {"integer"} if "number" in named else named
        hinted = {kind for kind, keywords in _OF_TYPE.items() if any(self.values(keyword) for keyword in keywords)}
        return frozenset(hinted) or _TYPES - {"integer"}

    def named_types(self) -> frozenset[str] | None:
        """Types that `type` leaves; None when no part has it. With "number" comes "integer"."""
        left: frozenset[str] | None = None
        for kinds in self.values("type"):
            kinds = {kinds} if isinstance(kinds, str) else set(kinds)
            kinds |= {"integer"} if "number" in kinds else set()
            left = frozenset(kinds) if left is None else left & kinds
        return left

    def property_names(self) -> list[str]:
        """Names in `properties` and `required` of all parts, in order."""
        names: dict[str, None] = {}
        for properties in self.values("properties"):
            names.update(dict.fromkeys(properties))
        return list(names | dict.fromkeys(self.required()))

    def required(self) -> list[str]:
        return list(dict.fromkeys(name for names in self.values("required") for name in names))

    def property_schemas(self, name: str) -> list[Schema]:
        """Everything that the parts ask of the property's value."""
        found: list[Schema] = []
        for part in self.parts:
            here = [part["properties"][name]] if name in part.get("properties", {}) else []
            here += [value for key, value in part.get("patternProperties", {}).items() if re.search(key, name)]
            if not here and "additionalProperties" in part:
                here = [part["additionalProperties"]]
            found += here
        return found

    def item_schemas(self, index: int) -> list[Schema]:
        """Everything that the parts ask of the array's element at `index`."""
        found: list[Schema] = []
        for part in self.parts:
            first = part.get("prefixItems", ())
            if index < len(first):
                found.append(first[index])
            elif "items" in part:
                found.append(part["items"])
        return found


class Shapes:
    """Takes the schemas of one tool apart.

    Args:
        root: The tool's parameters; references are JSON pointers into it.
        where: How error messages call the tool.
    """

    def __init__(self, root: Mapping[str, Any], where: str) -> None:
        self.root = root
        self.where = where
        self._validator = Draft202012Validator(root, registry=Registry())
        self._recursive: dict[str, bool] = {}

    def error(self, keyword: str, problem: str) -> SchemaError:
        return SchemaError(f"{self.where}: the grammar cannot guarantee `{keyword}`: {problem}")

    def of(self, schema: Schema, depth: int = 0) -> list[Shape]:
        """The alternatives of a schema; none when nothing satisfies it.

        Raises:
            SchemaError: A reference leads outside, alternatives of `oneOf` overlap, or there are too many.
        """
        if isinstance(schema, bool):
            return [Shape(depth=depth)] if schema else []
        own = Shape((schema,) if schema else (), depth)
        if "$id" in schema and schema is not self.root:
            raise self.error("$id", "a schema within the schema must not have an address of its own; leave it out")
        if own.is_finite:
            return [own]  # the listed values are tried against the whole schema
        shapes = [own]
        if "$ref" in schema:
            shapes = self._product(shapes, self._target_shapes(schema["$ref"], depth))
        for member in schema.get("allOf", ()):
            shapes = self._product(shapes, self.of(member, depth))
        if "anyOf" in schema:
            branches = [shape for member in schema["anyOf"] for shape in self.of(member, depth)]
            shapes = self._product(shapes, branches)
        if "oneOf" in schema:
            shapes = self._one_of(shapes, schema["oneOf"], depth)
        return shapes

    def all_of(self, schemas: list[Schema], depth: int) -> list[Shape]:
        """The alternatives of several schemas at once."""
        shapes = [Shape(depth=depth)]
        for schema in schemas:
            shapes = self._product(shapes, self.of(schema, depth))
        return shapes

    def _product(self, left: list[Shape], right: list[Shape]) -> list[Shape]:
        if len(left) * len(right) > MAX_ALTERNATIVES:
            raise self.error("anyOf", f"more than {MAX_ALTERNATIVES} combinations of alternatives; simplify the schema")
        return [a.joined(b) for a in left for b in right]

    def _one_of(self, outer: list[Shape], members: list[Schema], depth: int) -> list[Shape]:
        found = []
        for i, member in enumerate(members):
            for shape in self._product(outer, self.of(member, depth)):
                others = [other for j, other in enumerate(members) if j != i]
                if not all(self.never(shape, other) for other in others):
                    raise self.error("oneOf", "its alternatives may overlap; use anyOf, or make them exclude each other")
                found.append(shape)
        return found

    # -- references ---------------------------------------------------------------------------------------------------

    def _target_shapes(self, reference: str, depth: int) -> list[Shape]:
        target = self.target(reference)
        if self._is_recursive(reference):
            depth += 1
            if depth > MAX_DEPTH:
                return []
        return self.of(target, depth)

    def target(self, reference: str) -> Schema:
        """The schema that a `$ref` leads to."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise self.error("$ref", f"only JSON pointers into the schema itself are followed, received {reference!r}")
        node: Any = self.root
        for step in reference[1:].split("/")[1:]:
            step = unquote(step).replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(step)] if isinstance(node, list) else node[step]
            except (KeyError, IndexError, ValueError, TypeError):
                raise self.error("$ref", f"{reference!r} leads nowhere") from None
        if not isinstance(node, (Mapping, bool)):
            raise self.error("$ref", f"{reference!r} does not lead to a schema")
        return node

    def _is_recursive(self, reference: str) -> bool:
        if reference not in self._recursive:
            seen: set[str] = set()
            pending = list(_references(self.target(reference)))
            while pending:
                other = pending.pop()
                if other not in seen:
                    seen.add(other)
                    pending += _references(self.target(other))
            self._recursive[reference] = reference in seen or "#" in seen
        return self._recursive[reference]

    # -- exclusion ----------------------------------------------------------------------------------------------------

    def listed(self, shape: Shape) -> list[Any]:
        """Values of a finite shape that satisfy all of its parts; equal values once."""
        source = next(part for part in shape.parts if "enum" in part or "const" in part)
        keyword = "const" if "const" in source else "enum"
        values = [source["const"]] if keyword == "const" else source["enum"]
        # Of its own list every value is a member; asking would take as long as the list, for each of them.
        rest = {key: value for key, value in source.items() if key != keyword}
        parts = [rest if part is source else part for part in shape.parts]
        found: dict[str, Any] = {}
        for value in values:
            if all(self._valid(value, part) for part in parts):
                found.setdefault(_identity(value), value)
        return list(found.values())

    def _valid(self, value: Any, schema: Schema) -> bool:
        return self._validator.evolve(schema=schema).is_valid(value)

    def never(self, shape: Shape, schema: Schema) -> bool:
        """True when nothing that is generated for `shape` can satisfy `schema`."""
        if shape.is_finite:
            return not any(self._valid(value, schema) for value in self.listed(shape))
        # Not at the shape's depth: what is too deep to be generated is still valid.
        return all(self._excludes(shape, other) for other in self.of(schema))

    def _excludes(self, shape: Shape, other: Shape) -> bool:
        """As `never`, for one alternative. Keywords that are not looked at could only exclude more."""
        common = set(shape.types()) | ({"integer"} if "number" in shape.types() else set())
        if (named := other.named_types()) is not None:
            common &= named
        if other.is_finite:
            values = [value for value in self.listed(other) if all(self._valid(value, part) for part in shape.parts)]
            return not values
        if not common:
            return True
        if common != {"object"} or may_have_other_properties(shape):
            return False
        names, required = set(shape.property_names()), shape.required()
        if set(other.required()) - names:
            return True
        for name in required:
            theirs = other.property_schemas(name)
            mine = self.all_of(shape.property_schemas(name), shape.depth)
            if all(self.never(value, {"allOf": theirs}) for value in mine):
                return True
        return False


def may_have_other_properties(shape: Shape) -> bool:
    """Whether names that are not declared are generated: for maps, and where the schema asks for them expressly."""
    allowed = shape.values("additionalProperties")
    if any(schema is False for schema in allowed):
        return bool(shape.values("patternProperties"))
    return bool(allowed) or bool(shape.values("patternProperties")) or not any(shape.values("properties"))


def _references(schema: Any) -> Iterator[str]:
    """Every `$ref` below a schema, wherever it stands; a few too many do no harm."""
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)


def _identity(value: Any) -> str:
    """Text that is equal for values which JSON Schema calls equal."""
    return json.dumps(canonical(value), sort_keys=True)
