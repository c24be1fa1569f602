"""What an operation of the service is, and what its descriptions are made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

State = dict[str, Any]
Arguments = dict[str, Any]
Schema = dict[str, Any]


class Fault(Exception):
    """A request that cannot be carried out.

    Attributes:
        status: of the answer.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        part: of the service; its tag.
        name: operation id.
        method, path: where it is; `{…}` in the path are parameters.
        summary: what it does.
        parameters: name -> schema. Those that are not in the path stand in the query of a GET, else in the body.
        optional: those that may be missing.
        answer: schema of its answer.
        run: state and arguments -> answer.
        status: of an answer.
    """

    part: str
    name: str
    method: str
    path: str
    summary: str
    parameters: dict[str, Schema]
    answer: Schema
    run: Callable[[State, Arguments], Any]
    optional: frozenset[str] = frozenset()
    status: int = 200
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path)
        object.__setattr__(self, "pattern", re.compile(pattern))

    def match(self, path: str) -> dict[str, str] | None:
        found = self.pattern.fullmatch(path)
        return found.groupdict() if found else None

    def read(self, arguments: Arguments) -> Arguments:
        """Arguments of their types; Fault where one is missing, unknown or of another type."""
        if missing := [name for name in self.parameters if name not in arguments and name not in self.optional]:
            raise Fault(400, f"{missing[0]} is missing")
        if unknown := [name for name in arguments if name not in self.parameters]:
            raise Fault(400, f"{unknown[0]} means nothing here")
        return {name: _value(name, value, self.parameters[name]) for name, value in arguments.items()}

    def describe(self) -> Schema:
        """Its operation object."""
        in_path = set(self.pattern.groupindex)
        in_query = set(self.parameters) - in_path if self.method in ("GET", "DELETE") else set()
        described: Schema = {
            "operationId": self.name,
            "tags": [self.part],
            "summary": self.summary,
            "parameters": [
                {
                    "name": name,
                    "in": "path" if name in in_path else "query",
                    "required": name not in self.optional,
                    "description": schema["description"],
                    "schema": {key: value for key, value in schema.items() if key != "description"},
                }
                for name, schema in self.parameters.items()
                if name in in_path | in_query
            ],
            "responses": {
                str(self.status): {"description": "done", "content": {"application/json": {"schema": self.answer}}},
                "default": {"description": "not done", "content": {"application/json": {"schema": _ERROR}}},
            },
        }
        if body := {name: schema for name, schema in self.parameters.items() if name not in in_path | in_query}:
            required = [name for name in body if name not in self.optional]
            schema = {"type": "object", "properties": body, "required": required, "additionalProperties": False}
            described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        return described


def text(description: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": description}


def whole(description: str, least: int = 1) -> Schema:
    return {"type": "integer", "minimum": least, "description": description}


def day(description: str) -> Schema:
    return {"type": "string", "format": "date", "description": f"{description}, as YYYY-MM-DD."}


def moment(description: str) -> Schema:
    return {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "description": f"{description}, as HH:MM."}


def amount(description: str) -> Schema:
    return {"type": "number", "exclusiveMinimum": 0, "description": description}


def flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def choice(description: str, *values: str) -> Schema:
    return {"type": "string", "enum": list(values), "description": f"{description}: {', '.join(values)}."}


def record(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def records(name: str) -> Schema:
    return {"type": "array", "items": record(name)}


def listed(schema: Schema, name: str, items: Schema) -> Schema:
    """The schema of an object with a list more."""
    properties = {**schema["properties"], name: {"type": "array", "items": items}}
    return {**schema, "properties": properties, "required": [*schema["required"], name]}


_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}


def _value(name: str, value: Any, schema: Schema) -> Any:
    if schema["type"] == "integer":
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < schema["minimum"]:
            raise Fault(400, f"{name} must be a whole number from {schema['minimum']}, received {value!r}")
        return value
    if schema["type"] == "number":
        if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > schema["exclusiveMinimum"]:
            raise Fault(400, f"{name} must be a number above {schema['exclusiveMinimum']}, received {value!r}")
        return value
    if schema["type"] == "boolean":
        if not isinstance(value, bool) and value not in ("true", "false"):
            raise Fault(400, f"{name} must be true or false, received {value!r}")
        return value in (True, "true")
    if not isinstance(value, str) or not value:
        raise Fault(400, f"{name} must be a text, received {value!r}")
    if value not in schema.get("enum", [value]):
        raise Fault(400, f"{name} must be one of {', '.join(schema['enum'])}, received {value!r}")
    pattern = r"\d{4}-\d\d-\d\d" if schema.get("format") == "date" else schema.get("pattern", "(?s).*")
    if not re.fullmatch(pattern.strip("^$"), value):
        raise Fault(400, f"{name} must be {schema['description']} Received {value!r}")
    return value


def find(items: list[dict[str, Any]], what: str, identifier: int | str, key: str = "id") -> dict[str, Any]:
    for item in items:
        if item[key] == identifier:
            return item
    raise Fault(404, f"there is no {what} with the {key} {identifier}")


def add(items: list[dict[str, Any]], first: int, /, **values: Any) -> dict[str, Any]:
    """A new record with the next id."""
    new = {"id": max((item["id"] for item in items), default=first - 1) + 1, **values}
    items.append(new)
    return new


def matching(items: list[dict[str, Any]], key: str, words: str) -> list[dict[str, Any]]:
    """Those whose text holds the words, in any case."""
    return [item for item in items if words.lower() in item[key].lower()]
