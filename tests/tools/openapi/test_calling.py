"""Requests for every operation of a large document, judged by openapi-core."""

from __future__ import annotations

import base64
import datetime
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from .api import document
from .oracle import Judge, files
from .values import values

NAMES = {
    version: [
        (path, method)
        for path, item in document(version, "http://x")["paths"].items()
        for method in item
        if method != "parameters"
    ]
    for version in ("3.0", "3.1")
}
CASES = [(version, path, method) for version, names in NAMES.items() for path, method in names]


@pytest.fixture(scope="session")
def judges(documents, running):
    return {version: Judge(content, running.base) for version, content in documents.items()}


def test_the_document_is_large():
    assert all(len(names) >= 100 for names in NAMES.values()), {version: len(names) for version, names in NAMES.items()}


def plain(value: Any) -> Any:
    """What openapi-core made of a value, as JSON."""
    if isinstance(value, datetime.date | uuid.UUID):
        return str(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def expected(arguments: dict[str, Any], operation: Any) -> dict[str, Any]:
    found = {f"{p.where} {p.name}": arguments[p.argument] for p in operation.parameters if p.argument in arguments}
    body = operation.body
    if body is not None and body.argument is not None and body.argument in arguments:
        found["body"] = arguments[body.argument]
    elif body is not None and body.argument is None:
        found["body"] = {name: arguments[name] for name in body.names if name in arguments}
    return found


@pytest.mark.parametrize(("version", "path", "method"), CASES)
def test_every_operation(service, toolsets, judges, secrets, version, path, method):
    tools = {(t.function.operation.path, t.function.operation.method.lower()): t for t in toolsets[version]}
    tool = tools[path, method]

    @settings(max_examples=6, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(values(tool.parameters, tool.parameters))
    def check(arguments: dict[str, Any]) -> None:
        if any(isinstance(value, str) and value in (".", "..") for value in arguments.values()):
            return  # refused in a path: see test_paths_stay_where_they_are
        if arguments == {"body": ""}:
            return  # to openapi-core an empty body is none
        service.requests.clear()
        result = tool.call(arguments)
        assert result == ({"status": 200} if method == "head" else {"ok": True})
        (recorded,) = service.requests
        understood = judges[version].read(recorded, path)
        wanted = expected(arguments, tool.function.operation)
        sent = understood.pop("body", None)
        body = wanted.pop("body", None)
        assert {key: plain(value) for key, value in understood.items() if key in wanted} == wanted
        if body is None:
            return
        received = files(recorded)
        if tool.function.operation.body.kind == "binary":
            assert recorded.body == base64.b64decode(body)
        elif received:
            parts = tool.function.operation.body.parts
            assert received == {name: base64.b64decode(body[name]) for name in body if parts[name].is_file}
            assert {k: v for k, v in plain(sent).items() if k not in received} == {
                k: v for k, v in body.items() if k not in received
            }
        else:
            assert plain(sent) == body

    check()
