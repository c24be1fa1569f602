"""Answers that keep to the document, and every way of not doing so."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from ferrule.tools import RetryCall, ToolCall, ToolFailed, ToolTimeout
from ferrule.tools.openapi import ResponseError, StatusError

from .service import Answer

PET = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "born": {"type": "string", "format": "date"}},
    "required": ["id", "name"],
}
JSON = {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}


@pytest.fixture
def tool(load):
    def make(responses=None, method="get", options=None, **operation):
        responses = responses or {"200": {"description": "", "content": JSON}, "404": {"description": ""}}
        operation = {"operationId": "x", "responses": responses, **operation}
        return load({"/x": {method: operation}}, options, components={"schemas": {"Pet": PET}})["x"]

    return make


def answering(service, status=200, body=b'{"id": 1, "name": "Rex"}', content_type="application/json", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    headers = named | ({"Content-Type": content_type} if content_type else {})
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    service.answer = lambda request: Answer(status, headers, data)


def test_a_good_answer(service, tool):
    answering(service)
    assert tool().call({}) == {"id": 1, "name": "Rex"}
    answering(service, content_type="Application/JSON; charset=utf-8")
    assert tool().call({}) == {"id": 1, "name": "Rex"}
    answering(service, content_type=None)
    assert tool().call({}) == {"id": 1, "name": "Rex"}
    assert service.requests[-1].header("accept") == "application/json"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"body": {"id": "1", "name": "Rex"}}, ["/id", "'1' is not of type integer"]),
        ({"body": {"id": 1}}, ["/name: missing"]),
        ({"body": {"id": 1, "name": "Rex", "born": "yesterday"}}, ["/born", "date"]),
        ({"body": []}, ["the body", "not of type object"]),
        ({"body": b'{"id": 1, "na'}, ["not JSON", "line 1"]),
        ({"body": b'{"id": NaN, "name": ""}'}, ["not JSON", "NaN"]),
        ({"body": b"\xff\xfe"}, ["not JSON"]),
        ({"body": b"[" * 100_000}, ["not JSON"]),
        ({"body": b""}, ["empty body"]),
        ({"body": b"<!doctype html><p>Sign in", "content_type": "text/html"}, ["'text/html'", "application/json is promised"]),
        ({"body": b"<!doctype html>"}, ["not JSON"]),
        ({"content_type": "text/plain"}, ["'text/plain'", "application/json is promised"]),
        ({"status": 201}, ["status 201", "does not declare", "200, 404"]),
        ({"status": 299, "body": b""}, ["status 299", "does not declare"]),
    ],
)
def test_answers_that_are_refused(service, tool, answer, words):
    answering(service, **answer)
    made = tool()
    with pytest.raises(ResponseError) as caught:
        made.call({})
    for word in ["GET /x", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert isinstance(caught.value, ToolFailed)


def test_through_a_toolset(service, load):
    tools = load(
        {"/x": {"get": {"operationId": "x", "responses": {"200": {"description": "", "content": {"application/json": {}}}}}}}
    )
    answering(service, body=b"{")
    result = tools.execute(ToolCall("x", {}))
    assert not result.ok
    assert result.value is None
    assert "not JSON" in result.error
    assert not result.retry


def test_time_and_size_through_a_tool(service, tool):
    def stall(handler):
        handler.wfile.write(b'{"id": 1, ')
        service.released.wait(10)

    headers = {"Content-Type": "application/json", "Content-Length": "100"}
    service.answer = lambda request: Answer(200, headers, write=stall)
    with pytest.raises(ToolTimeout, match="stopped in the middle"):
        tool(options={"timeout": 5, "stall": 0.1}).call({})
    service.answer = lambda request: Answer(200, {**headers, "Content-Length": "100000000"}, write=stall)
    with pytest.raises(ResponseError, match="100000000 bytes"):
        tool().call({})
    service.answer = lambda request: Answer(302, {"Location": "http://elsewhere.example/"}, b"")
    with pytest.raises(ResponseError, match="another host"):
        tool().call({})


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (400, RetryCall, ["status 400", "name is too long"]),
        (422, RetryCall, ["status 422", "name is too long"]),
        (404, StatusError, ["status 404", "name is too long"]),
        (401, StatusError, ["status 401", "no authentication"]),
        (403, StatusError, ["status 403"]),
        (500, StatusError, ["status 500"]),
        (429, StatusError, ["status 429", "retry after 7 s"]),
        (503, StatusError, ["status 503", "retry after 7 s"]),
        (304, StatusError, ["status 304"]),
    ],
)
def test_refusals(service, tool, status, error, words):
    answering(service, status, {"detail": "name is too long"} if status != 304 else b"", Retry_After="7")
    made = tool()
    with pytest.raises(error) as caught:
        made.call({})
    assert all(word in str(caught.value) for word in words), caught.value
    assert error is not StatusError or caught.value.status == status


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        ("text/html", b"<html><body>" + b"x" * 100_000, "and an HTML page"),
        ("application/xml", b"<a/>", "and XML"),
        ("image/png", b"\x89PNG", "and 4 bytes of image/png"),
        ("text/plain", b"a\n\n b\x00\xff" + b"c" * 10_000, ": a b"),
        ("text/plain", b"", "status 500"),
    ],
)
def test_excerpts_of_refusals(service, tool, content_type, body, said):
    answering(service, 500, body, content_type)
    made = tool()
    with pytest.raises(StatusError) as caught:
        made.call({})
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


def test_retrying_without_a_time(service, tool):
    answering(service, 503, b"")
    with pytest.raises(StatusError, match="retry later"):
        tool().call({})


@pytest.mark.parametrize("status", [401, 403])
def test_the_variable_is_named(service, load, monkeypatch, status):
    monkeypatch.setenv("FERRULE_AUTH_KEY", "wrong-one")
    tools = load(
        {"/x": {"get": {"operationId": "x", "security": [{"key": []}], "responses": {}}}},
        components={"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    )
    answering(service, status, b"Bearer wrong-one is no good", "text/plain")
    with pytest.raises(StatusError, match=r"Bearer \[redacted\] is no good \(is FERRULE_AUTH_KEY right\?\)"):
        tools["x"].call({})


def test_which_response_counts(service, tool):
    def promised(word):
        return {"description": "", "content": {"application/json": {"schema": {"const": word}}}}

    made = tool({"200": promised("exact"), "2XX": promised("range"), "default": promised("default")})
    for status, word in ((200, "exact"), (202, "range")):
        answering(service, status, word)
        assert made.call({}) == word
        answering(service, status, "other")
        with pytest.raises(ResponseError, match="not as promised"):
            made.call({})
    answering(service, 202, "default")
    assert tool({"200": promised("exact"), "default": promised("default")}).call({}) == "default"


def test_which_content_counts(service, tool):
    content = {
        "*/*": {"schema": {"const": "any"}},
        "application/*": {"schema": {"const": "range"}},
        "application/json; charset=utf-8": {"schema": {"const": "exact"}},
        "text/plain": {"schema": {"type": "string", "maxLength": 5}},
        "text/csv": {"schema": {"type": "array"}},
    }
    made = tool({"200": {"description": "", "content": content}})
    for content_type, word in (("application/json", "exact"), ("application/x+json", "range"), ("model/json", "any")):
        answering(service, 200, word, content_type)
        assert made.call({}) == word
    answering(service, 200, "é".encode("latin-1"), "text/plain; charset=latin-1")
    assert made.call({}) == "é"
    answering(service, 200, b"too long", "text/plain")
    with pytest.raises(ResponseError, match="too long"):
        made.call({})
    answering(service, 200, b"\xff", "text/plain")
    with pytest.raises(ResponseError, match="character set"):
        made.call({})
    answering(service, 200, b"a,b", "text/csv")
    assert made.call({}) == "a,b"


def test_nothing_to_read(service, tool):
    nothing = {"204": {"description": ""}, "200": {"description": ""}}
    answering(service, 204, b"", None)
    assert tool(nothing).call({}) == {"status": 204}
    answering(service, 200, b"", None)
    assert tool(nothing).call({}) == {"status": 200}
    answering(service)
    assert tool(method="head").call({}) == {"status": 200}
    # Where no content is described, JSON and text are handed on, and a page for people is not.
    assert tool(nothing).call({}) == {"id": 1, "name": "Rex"}
    answering(service, 200, b"<html>", "text/html")
    with pytest.raises(ResponseError, match="HTML"):
        tool(nothing).call({})


def test_binary_answers(service, tool):
    made = tool({"200": {"description": "", "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}})
    answering(service, 200, b"\x89PNG", "image/png")
    assert made.call({}) == {"content_type": "image/png", "bytes": 4, "base64": base64.b64encode(b"\x89PNG").decode()}
    answering(service, 200, b"\x89PNG" * 200_000, "image/png")
    assert made.call({}) == {"content_type": "image/png", "bytes": 800_000}


def test_write_only_and_circles_in_answers(service, load):
    node = {
        "type": "object",
        "properties": {"next": {"$ref": "#/components/schemas/Node"}, "secret": {"type": "string", "writeOnly": True}},
        "required": ["secret"],
        "additionalProperties": False,
    }
    response = {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Node"}}}}
    operation = {"operationId": "x", "responses": {"200": {"$ref": "#/components/responses/Node"}}}
    components = {"schemas": {"Node": node}, "responses": {"Node": response}}
    made = load({"/x": {"get": operation}}, components=components)["x"]
    answering(service, 200, {"next": {"next": {}}})
    assert made.call({}) == {"next": {"next": {}}}
    answering(service, 200, {"next": {"next": {"next": 1}}})
    with pytest.raises(ResponseError, match="/next/next/next"):
        made.call({})


def test_schemas_of_answers_that_cannot_be(service, load):
    response = {"description": "", "content": {"application/json": {"schema": {"type": "no type"}}}}
    made = load({"/x": {"get": {"operationId": "x", "responses": {"200": response}}}})["x"]
    answering(service)
    with pytest.raises(ResponseError, match=r"GET /x: the answer cannot be checked.*'no type'"):
        made.call({})


def test_answers_on_many_threads(service, load):
    """Schemas are read when the first answer comes; nobody may see one half read."""
    depth = 60
    schemas = {
        f"S{i}": {"type": "object", "properties": {"a": {"$ref": f"#/components/schemas/S{i + 1}"}}} for i in range(depth)
    }
    schemas[f"S{depth}"] = {"type": "integer"}
    response = {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}}
    tools = load(
        {f"/{i}": {"get": {"operationId": f"x{i}", "responses": {"200": response}}} for i in range(8)},
        components={"schemas": schemas},
    )
    value = "wrong"
    for _ in range(depth):
        value = {"a": value}
    answering(service, body=value)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda i: tools.execute(ToolCall(f"x{i}", {})), range(8)))
    assert all("'wrong' is not of type integer" in result.error for result in results), results
