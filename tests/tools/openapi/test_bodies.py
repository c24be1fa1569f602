"""Bodies: which media type, which arguments, which bytes."""

import base64
import json

import pytest
from ferrule.tools import ArgumentError, RetryCall

from .oracle import files


def closed(properties, *required):
    return {"type": "object", "properties": properties, "required": list(required)}


TEXT = {"type": "string"}


@pytest.fixture
def post(load, service):
    """A tool that posts a body, and what the server got."""

    def make(content, required=True, version="3.1.0", parameters=(), **parts):
        operation = {
            "operationId": "send",
            "parameters": list(parameters),
            "requestBody": {"required": required, "content": content},
            "responses": {"200": {"description": ""}},
        }
        return load({"/x": {"post": operation}}, openapi=version, **parts)["send"]

    return make


def sent(service, tool, arguments):
    service.requests.clear()
    tool.call(arguments)
    (recorded,) = service.requests
    return recorded


def test_preference(post, service):
    content = {"application/xml": {}, "text/plain": {}, "multipart/form-data": {}, "application/vnd.api+json": {}}
    recorded = sent(service, post(content), {"body": {"a": [1.0, None]}})
    assert recorded.header("content-type") == "application/vnd.api+json"
    assert recorded.body == b'{"a":[1,null]}'


def test_properties_are_arguments(post, service):
    tool = post({"application/json": {"schema": closed({"a": TEXT, "b": {"type": "integer"}}, "a")}})
    assert list(tool.parameters["properties"]) == ["a", "b"]
    assert tool.parameters["required"] == ["a"]
    assert sent(service, tool, {"a": "é"}).body == '{"a":"é"}'.encode()
    with pytest.raises(ArgumentError, match="/z: unknown"):
        tool.call({"a": "x", "z": 1})


def test_all_of_is_flattened(post):
    schema = {"allOf": [closed({"a": TEXT}, "a"), {"allOf": [closed({"b": TEXT, "a": {"maxLength": 3}})]}, {"required": ["b"]}]}
    tool = post({"application/json": {"schema": schema}})
    assert tool.parameters["properties"]["a"] == {"allOf": [{"type": "string"}, {"maxLength": 3}]}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": TEXT}, "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": TEXT}, "minProperties": 1},
        {"type": ["object", "null"], "properties": {"a": TEXT}},
        {"oneOf": [closed({"a": TEXT}), closed({"b": TEXT})]},
        {"type": "array"},
        {"allOf": [{"type": "object", "properties": {"a": TEXT}, "additionalProperties": False}, closed({"b": TEXT})]},
        {},
    ],
)
def test_other_bodies_are_one_argument(post, schema):
    tool = post({"application/json": {"schema": schema}})
    assert list(tool.parameters["properties"]) == ["body"]
    assert tool.parameters["required"] == ["body"]


def test_clashes(post, service):
    query = {"name": "a", "in": "query", "schema": TEXT}
    tool = post({"application/json": {"schema": closed({"a": TEXT})}}, parameters=[query])
    assert list(tool.parameters["properties"]) == ["a", "body"]
    recorded = sent(service, tool, {"a": "1", "body": {"a": "2"}})
    assert (recorded.target, recorded.body) == ("/x?a=1", b'{"a":"2"}')
    named = {"name": "body", "in": "query", "schema": TEXT}
    tool = post({"application/json": {"schema": TEXT}}, parameters=[named])
    assert list(tool.parameters["properties"]) == ["body", "request_body"]


def test_optional_bodies(post, service):
    tool = post({"application/json": {"schema": closed({"a": TEXT, "b": TEXT})}}, required=False)
    assert list(tool.parameters["properties"]) == ["a", "b"]
    recorded = sent(service, tool, {})
    assert (recorded.body, recorded.header("content-type"), recorded.header("content-length")) == (b"", None, "0")
    # All of it or nothing cannot be said of single arguments.
    tool = post({"application/json": {"schema": closed({"a": TEXT, "b": TEXT}, "a")}}, required=False)
    assert list(tool.parameters["properties"]) == ["body"]
    assert "required" not in tool.parameters
    required = post({"application/json": {"schema": closed({"a": TEXT})}})
    assert sent(service, required, {}).body == b"{}"


def test_defaults_are_left_to_the_server(post, service):
    schema = closed({"a": TEXT, "b": {"type": "string", "default": "x"}, "c": closed({"d": {"default": 1}})}, "a")
    tool = post({"application/json": {"schema": schema}})
    assert json.loads(sent(service, tool, {"a": "y", "c": {}}).body) == {"a": "y", "c": {}}


def test_forms(post, service):
    schema = closed({"a": TEXT, "n": {"type": "number"}, "list": {"type": "array"}, "o": {"type": "object"}, "z": {}})
    tool = post({"application/x-www-form-urlencoded": {"schema": schema}})
    recorded = sent(service, tool, {"a": "x &=é+", "n": 2.0, "list": ["1", "2"], "o": {"k": [1]}, "z": None})
    assert recorded.body == b"a=x%20%26%3D%C3%A9%2B&n=2&list=1&list=2&o=%7B%22k%22%3A%5B1%5D%7D"


def test_multipart(post, service):
    content = {
        "multipart/form-data": {
            "schema": closed(
                {
                    "file": {"contentMediaType": "image/png"},
                    "more": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    "n": {"type": "integer"},
                    "o": {"type": "object"},
                    'quo"ted\r\n': TEXT,
                    "encoded": {"type": "string", "contentEncoding": "base64"},
                }
            ),
            "encoding": {"file": {"contentType": "image/*"}, "n": {"contentType": "text/csv"}},
        }
    }
    tool = post(content)
    data = bytes(range(256)) + b"\r\n--x"
    encoded = base64.b64encode(data).decode()
    recorded = sent(
        service,
        tool,
        {"file": encoded, "more": ["", "AAE="], "n": 3, "o": {"a": 1}, 'quo"ted\r\n': "v\r\nw", "encoded": "AAE="},
    )
    assert files(recorded) == {"file": data, "more": b""}
    assert recorded.body.count(b'name="more"; filename="more"\r\nContent-Type: application/octet-stream\r\n\r\n') == 2
    assert b'name="n"\r\nContent-Type: text/csv\r\n\r\n3\r\n' in recorded.body
    assert b'name="o"\r\nContent-Type: application/json\r\n\r\n{"a":1}\r\n' in recorded.body
    assert b'name="quo%22ted%0D%0A"\r\n\r\nv\r\nw\r\n' in recorded.body
    assert b'name="encoded"\r\n\r\nAAE=\r\n' in recorded.body
    with pytest.raises(ArgumentError, match="/file"):
        tool.call({"file": "no base64!"})
    with pytest.raises(RetryCall, match="file must be base64"):
        tool.function(file="AA=A")


def test_raw_bodies(post, service):
    recorded = sent(service, post({"text/csv": {"schema": TEXT}}), {"body": "a,é\n"})
    assert (recorded.body, recorded.header("content-type")) == ("a,é\n".encode(), "text/csv; charset=utf-8")
    recorded = sent(service, post({"application/xml": {"schema": closed({"a": TEXT})}}), {"body": "<a/>"})
    assert (recorded.body, recorded.header("content-type")) == (b"<a/>", "application/xml; charset=utf-8")
    recorded = sent(service, post({"application/octet-stream": {}}), {"body": "AP8="})
    assert (recorded.body, recorded.header("content-type")) == (b"\x00\xff", "application/octet-stream")


@pytest.mark.parametrize(
    ("media_type", "arguments", "header"),
    [
        ("*/*", {"body": 1}, "application/json"),
        ("text/*", {"body": "x"}, "text/plain; charset=utf-8"),
        ("image/*", {"body": "AAE=", "content_type": "image/png"}, "image/png"),
        ("application/json; charset=utf-8", {"body": 1}, "application/json; charset=utf-8"),
    ],
)
def test_ranges(post, service, media_type, arguments, header):
    tool = post({media_type: {}})
    assert set(tool.parameters["properties"]) == set(arguments)
    assert sent(service, tool, arguments).header("content-type") == header
    if "content_type" in arguments:
        for wrong in ("text/plain", "image/png\r\nX: y"):
            with pytest.raises(ArgumentError, match="content_type"):
                tool.call({**arguments, "content_type": wrong})


@pytest.mark.parametrize(("version", "has_body"), [("3.0.3", False), ("3.1.0", True)])
def test_bodies_of_get(load, version, has_body):
    operation = {"operationId": "x", "requestBody": {"content": {"application/json": {}}}, "responses": {}}
    tool = load({"/x": {"get": operation}}, openapi=version)["x"]
    assert ("body" in tool.parameters["properties"]) is has_body
