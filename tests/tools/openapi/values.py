"""Values that satisfy a JSON Schema, as hypothesis strategies; references may lead in circles."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]

_TEXT = st.characters(exclude_categories=("Cs", "Cc"))
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(_TEXT, max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(_TEXT, max_size=5), inner, max_size=2),
    max_leaves=5,
)


def values(schema: Schema | bool, root: Schema, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a schema; `root` holds its `$defs`, and from some depth on optional properties are left out."""
    if schema is True or schema == {}:
        return _ANY
    assert isinstance(schema, dict), schema
    schema = dict(schema)
    parts = schema.pop("allOf", [])
    if "$ref" in schema:
        parts = [*parts, _target(schema.pop("$ref"), root)]
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            branches = schema.pop(keyword)
            return st.one_of([values(_merged([schema, *parts, branch], root), root, depth + 1) for branch in branches])
    if parts:
        return values(_merged([schema, *parts], root), root, depth + 1)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type", "object" if "properties" in schema else None)
    kinds = kind if isinstance(kind, list) else [kind]
    return st.one_of([_of_type(kind, schema, root, depth) for kind in kinds])


def _target(reference: str, root: Schema) -> Schema:
    return root["$defs"][reference.removeprefix("#/$defs/")]


def _merged(parts: list[Schema], root: Schema) -> Schema:
    """One schema for objects that must satisfy several."""
    merged: Schema = {}
    for part in parts:
        while "$ref" in part:
            part = {**_target(part["$ref"], root), **{key: value for key, value in part.items() if key != "$ref"}}
        if "allOf" in part:
            part = _merged([{key: value for key, value in part.items() if key != "allOf"}, *part["allOf"]], root)
        for key, value in part.items():
            if key == "properties":
                old = merged.get("properties", {})
                both = {name: {"allOf": [old[name], value[name]]} for name in value if name in old}
                merged["properties"] = old | value | both
            elif key == "required":
                merged["required"] = [*merged.get("required", []), *value]
            elif key in ("anyOf", "oneOf") and key in merged:
                raise NotImplementedError("two choices at once")
            else:
                merged[key] = value
    return merged


def _of_type(kind: str | None, schema: Schema, root: Schema, depth: int) -> st.SearchStrategy[Any]:
    match kind:
        case "string":
            return _text(schema)
        case "integer":
            step = schema.get("multipleOf", 1)
            low, high = schema.get("minimum", -(10**6)), schema.get("maximum", 10**6)
            return st.integers(-(-low // step), high // step).map(lambda n: n * step)
        case "number":
            above = schema.get("exclusiveMinimum")
            low, high = schema.get("minimum", above if above is not None else -1e6), schema.get("maximum", 1e6)
            found = st.floats(low, high, exclude_min=above is not None, allow_nan=False, allow_subnormal=False)
            return found.map(lambda number: number if abs(number) > 1e-3 or number == 0 else 0.5)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "array":
            items = values(schema.get("items", True), root, depth + 1)
            least = schema.get("minItems", 0)
            most = min(schema.get("maxItems", 3), max(least, 3 if depth < 6 else 0))
            return st.lists(items, min_size=least, max_size=most)
        case "object":
            return _object(schema, root, depth)
    return _ANY


def _object(schema: Schema, root: Schema, depth: int) -> st.SearchStrategy[Any]:
    properties, required = schema.get("properties", {}), set(schema.get("required", []))
    # Deferred: a definition may lead back to itself.
    made = {name: st.deferred(lambda inner=inner: values(inner, root, depth + 1)) for name, inner in properties.items()}
    needed = {name: strategy for name, strategy in made.items() if name in required}
    optional = {name: strategy for name, strategy in made.items() if name not in required and depth < 6}
    found = st.fixed_dictionaries(needed, optional=optional)
    other = schema.get("additionalProperties", False)
    if not properties and isinstance(other, dict | bool) and other is not False:
        return st.dictionaries(st.text(_TEXT, min_size=1, max_size=5), values(other, root, depth + 1), max_size=3)
    return found


def _text(schema: Schema) -> st.SearchStrategy[str]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].removesuffix("$") + r"\Z").filter(
            lambda text: schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", 10**6)
        )
    match schema.get("format"):
        case "date":
            return st.dates().map(str)
        case "uuid":
            return st.uuids().map(str)
    return st.text(_TEXT, min_size=schema.get("minLength", 0), max_size=schema.get("maxLength", 12))
