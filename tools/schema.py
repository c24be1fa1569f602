"""JSON Schema 2020-12: checking schemas, validating arguments against them, filling in defaults."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from .errors import ToolDefinitionError, describe, one_line

Schema = dict[str, Any]

NO_PARAMETERS: Schema = {"type": "object", "properties": {}, "additionalProperties": False}

# The formats that jsonschema asserts without extra packages; a longer list would make validation depend on what else
# is installed.
_FORMATS = FormatChecker(["date", "email", "idn-email", "ipv4", "ipv6", "regex", "uuid"])

_SUBSCHEMA = ("items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else")
_SUBSCHEMA += ("unevaluatedItems", "unevaluatedProperties", "additionalItems")
_SUBSCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SUBSCHEMA_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")

# The order in which a property's keywords are read by a model: what it is, then what it may be.
_KEYWORD_ORDER = ("$ref", "type", "description", "enum", "default", "format", "properties", "required", "items")
_RANK = {keyword: rank for rank, keyword in enumerate(_KEYWORD_ORDER)}

_TYPES = "string, integer, number, boolean, null, array, object"
_ALIASES = {"int": "integer", "float": "number", "bool": "boolean", "str": "string", "any": "string"}
_GENERIC_ALIAS = re.compile(r"(dict|list|tuple)(\[.*\])?", re.IGNORECASE | re.DOTALL)

_MAX_SHOWN = 5


def ordered(schema: Schema) -> Schema:
    """`schema` with its own keywords in the order in which models read them best; nested schemas are left alone."""
    last = len(_RANK)
    return dict(sorted(schema.items(), key=lambda item: (_RANK.get(item[0], last), item[0] == "$defs")))


def map_subschemas(schema: Schema, change: Callable[[Any], Any]) -> Schema:
    """A copy of `schema` with `change` applied to every direct subschema; names and values are left alone."""
    result = dict(schema)
    for keyword, value in schema.items():
        if keyword in _SUBSCHEMA and isinstance(value, dict):
            result[keyword] = change(value)
        elif keyword in _SUBSCHEMA_LISTS and isinstance(value, list):
            result[keyword] = [change(item) if isinstance(item, dict) else item for item in value]
        elif keyword in _SUBSCHEMA_MAPS and isinstance(value, dict):
            result[keyword] = {name: change(item) if isinstance(item, dict) else item for name, item in value.items()}
    return result


def normalise(schema: Schema) -> Schema:
    """A copy of `schema` with type names found in the wild made JSON Schema's: dict, list, tuple, int, float, bool, any.

    The rule is that of Needle's own engine (specification, section 4.2), and `str` as well: `any` is a string,
    `Dict[…]` an object, `tuple` and `List[…]` arrays.
    """
    result = map_subschemas(schema, normalise)
    kind = result.get("type")
    if isinstance(kind, list):
        result["type"] = list(dict.fromkeys(_type_name(item) if isinstance(item, str) else repr(item) for item in kind))
    elif isinstance(kind, str):
        result["type"] = _type_name(kind)
    return result


def _type_name(name: str) -> str:
    if match := _GENERIC_ALIAS.fullmatch(name):
        return "object" if match.group(1).lower() == "dict" else "array"
    return _ALIASES.get(name, name)


def check(schema: Schema, name: str) -> None:
    """Checks that `schema` can describe the arguments of the tool called `name`.

    Raises:
        ToolDefinitionError: If it is not JSON, not valid JSON Schema 2020-12, not an object schema, or has a `$ref`
            that does not lead anywhere inside it (nothing is ever fetched), or leads back to itself without an end.
    """
    try:
        json.dumps(schema, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolDefinitionError(f"tool {name!r}: the schema is not JSON: {describe(error)}") from None
    if schema.get("type") != "object":
        raise ToolDefinitionError(
            f'tool {name!r}: parameters must have "type": "object", received {one_line(repr(schema.get("type")), 80)}'
        )
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        at = pointer(error.absolute_path) or "the top level"
        if list(error.absolute_path)[-1:] == ["type"]:
            raise ToolDefinitionError(
                f"tool {name!r}: {at} is {one_line(repr(error.instance), 80)}, which is no type; the types are: {_TYPES}"
            ) from None
        raise ToolDefinitionError(f"tool {name!r}: not a valid JSON Schema at {at}: {one_line(error.message, 200)}") from None
    except RecursionError:
        raise ToolDefinitionError(f"tool {name!r}: the schema is nested too deeply") from None
    _check_references(schema, name)
    _check_ends(schema, name)


def _check_references(schema: Schema, name: str) -> None:
    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    for node in _subschemas(schema):
        reference = node.get("$ref")
        # One that only leads to itself would never end.
        chain: list[str] = []
        while isinstance(reference, str):
            if reference in chain:
                raise ToolDefinitionError(f"tool {name!r}: $ref {reference!r} leads back to itself")
            chain.append(reference)
            try:
                target = resolver.lookup(reference).contents
            except (Unresolvable, ValueError, LookupError, TypeError):
                raise ToolDefinitionError(
                    f"tool {name!r}: $ref {reference!r} leads nowhere in the schema (put the definition under $defs)"
                ) from None
            reference = target.get("$ref") if isinstance(target, dict) else None


def _check_ends(schema: Schema, name: str) -> None:
    """Refuses a schema that leads back to itself without going deeper into the value, so that no check of it ends."""
    if not any("$ref" in node for node in _subschemas(schema)):
        return
    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    pending: list[Schema] = [schema]
    checked: set[int] = set()
    while pending:
        node = pending.pop()
        map_subschemas(node, pending.append)
        # Depth first along what is said of the same value; a node is closed once all that it leads to is.
        path: list[tuple[Schema, list[Schema]]] = [(node, _of_same_value(node, resolver))]
        open_nodes = {id(node)}
        while path and id(node) not in checked:
            current, left = path[-1]
            if not left:
                path.pop()
                open_nodes.discard(id(current))
                checked.add(id(current))
                continue
            following = left.pop()
            if id(following) in open_nodes:
                raise ToolDefinitionError(f"tool {name!r}: the schema leads back to itself without an end ($ref, allOf …)")
            if id(following) not in checked:
                open_nodes.add(id(following))
                path.append((following, _of_same_value(following, resolver)))


def _of_same_value(schema: Schema, resolver: Any) -> list[Schema]:
    """The schemas that a value is checked against whenever it is checked against this one."""
    found = [schema[keyword] for keyword in ("not", "if", "then", "else") if keyword in schema]
    found += [item for keyword in ("allOf", "anyOf", "oneOf") for item in schema.get(keyword, ())]
    if isinstance(schema.get("$ref"), str):
        found.append(resolver.lookup(schema["$ref"]).contents)
    return [item for item in found if isinstance(item, dict)]


def _subschemas(schema: Schema) -> Iterator[Schema]:
    found: list[Schema] = [schema]
    while found:
        node = found.pop()
        yield node
        map_subschemas(node, found.append)


def validator(schema: Schema) -> Draft202012Validator:
    """A validator that never fetches a remote reference and asserts the formats it can without extra packages."""
    return Draft202012Validator(schema, registry=Registry(), format_checker=_FORMATS)


def violations(checker: Draft202012Validator, arguments: Any) -> list[tuple[str, str]]:
    """(JSON pointer, what is wrong) for everything in `arguments` that does not satisfy the schema."""
    try:
        found = [entry for error in checker.iter_errors(arguments) for entry in _explain(error)]
    except RecursionError:
        return [("", "nested too deeply to be checked")]
    except Exception as error:
        # Arithmetic at the edges: a 400-digit integer has no float to divide.
        return [("", f"cannot be checked: {describe(error)}")]
    return sorted(dict.fromkeys(found))


def summary(found: list[tuple[str, str]]) -> str:
    """Violations on one line, the first few of them."""
    shown = "; ".join(f"{at or 'arguments'}: {what}" for at, what in found[:_MAX_SHOWN])
    return shown if len(found) <= _MAX_SHOWN else f"{shown}; and {len(found) - _MAX_SHOWN} more"


def pointer(path: Iterable[str | int]) -> str:
    """RFC 6901 JSON pointer."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _explain(error: ValidationError) -> list[tuple[str, str]]:
    at, wanted, received = pointer(error.absolute_path), error.validator_value, error.instance
    shown = one_line(repr(received), 80)
    match error.validator:
        case "required":
            return [(pointer([*error.absolute_path, name]), "missing") for name in wanted if name not in received]
        case "additionalProperties" if wanted is False:
            known = error.schema.get("properties", {})
            patterns = error.schema.get("patternProperties", {})
            extra = [k for k in received if k not in known and not any(re.search(p, k) for p in patterns)]
            allowed = one_line(", ".join(known), 200) or "none"
            return [(pointer([*error.absolute_path, k]), f"unknown (allowed: {allowed})") for k in extra]
        case "type":
            kinds = " or ".join(wanted) if isinstance(wanted, list) else wanted
            return [(at, f"{shown} is not of type {kinds}")]
        case "enum":
            choices = one_line(", ".join(map(repr, wanted)), 200)
            return [(at, f"{shown} is not one of {choices}")]
        case "anyOf" | "oneOf" if error.context:
            # The one alternative of the right type is the one that was meant.
            branches: dict[Any, list[ValidationError]] = {}
            for inner in error.context:
                branches.setdefault(inner.schema_path[0], []).append(inner)
            meant = [found for found in branches.values() if not any(_is_other_type(inner) for inner in found)]
            if len(meant) == 1:
                return [entry for inner in meant[0] for entry in _explain(inner)]
            # What each alternative missed says more than that none of them fits.
            reasons = {what for inner in error.context for where, what in _explain(inner) if where == at}
            if len(reasons) == len(error.context):
                return [(at, one_line(" and ".join(sorted(reasons)), 200))]
    return [(at, one_line(error.message, 200))]


def _is_other_type(error: ValidationError) -> bool:
    return not error.relative_path and error.validator in ("type", "enum", "const")


def with_defaults(schema: Schema, value: Any) -> Any:
    """`value` with the `default` of every missing property filled in, also in nested objects and in arrays.

    `$ref` and `allOf` are followed; where two of their members have a default for one property, the first counts.
    """
    return _filled([schema], value, Registry().resolver_with_root(DRAFT202012.create_resource(schema)))


def _filled(schemas: Iterable[Any], value: Any, resolver: Any) -> Any:
    if not isinstance(value, dict | list):
        return value
    parts = _all_parts(schemas, resolver)
    if isinstance(value, list):
        items = [part["items"] for part in parts if "items" in part]
        return [_filled(items, item, resolver) for item in value]
    of_name: dict[str, list[Any]] = {}
    for part in parts:
        for name, subschema in part.get("properties", {}).items():
            of_name.setdefault(name, []).append(subschema)
    filled = {name: _filled(of_name.get(name, ()), item, resolver) for name, item in value.items()}
    for name, subschemas in of_name.items():
        defaults = [part["default"] for part in _all_parts(subschemas, resolver) if "default" in part]
        if name not in filled and defaults:
            filled[name] = copy.deepcopy(defaults[0])
    return filled


def _all_parts(schemas: Iterable[Any], resolver: Any) -> list[Schema]:
    """The schemas and what their `$ref` and `allOf` lead to, in order."""
    found: list[Schema] = []
    pending = list(schemas)
    while pending:
        schema = pending.pop(0)
        if isinstance(schema, dict) and not any(schema is other for other in found):
            found.append(schema)
            referred = [resolver.lookup(schema["$ref"]).contents] if "$ref" in schema else []
            pending = [*referred, *schema.get("allOf", ()), *pending]
    return found
