"""Names, arguments, permissions and filters of operations."""

import json
import time
from urllib.parse import parse_qsl, unquote

import pytest
from ferrule.tools import ToolDefinitionError
from ferrule.tools.effects import effect
from ferrule.tools.openapi import load_openapi


def operation(**parts):
    return {"responses": {"200": {"description": ""}}, **parts}


def parameter(name, where="query", **parts):
    return {"name": name, "in": where, "required": where == "path", "schema": {"type": "string"}, **parts}


def test_names(load):
    long = "x" * 200
    tools = load(
        {
            "/users/{id}/posts.json": {"parameters": [parameter("id", "path")], "get": operation()},
            "/": {"get": operation(), "post": operation(operationId="  get thing\n")},
            "/a": {"get": operation(operationId="users/list"), "put": operation(operationId="users/list")},
            "/b": {"get": operation(operationId=long), "put": operation(operationId=long + "y")},
            "/c-d": {"get": operation()},
            "/c/d": {"get": operation()},
            "x-paths": {"anything": 1},
        }
    )
    names = list(tools.names)
    assert names[:4] == ["get_users_id_posts_json", "get", "get thing", "users/list"]
    assert names[4] == "users/list_2"
    assert names[7:] == ["get_c_d", "get_c_d_2"]
    assert len(set(names)) == len(names) == 9
    assert all(len(name) <= 128 for name in names)


def test_permissions_and_idempotence(toolsets):
    tools = toolsets["3.1"]
    found = {
        name: (tools[f"{name}Thing"].permission, tools[f"{name}Thing"].may_repeat) for name in ("get", "put", "post", "delete")
    }
    assert found == {"get": ("read", True), "put": ("write", True), "post": ("write", False), "delete": ("destructive", True)}
    assert {name: tools[f"{name}Thing"].permission for name in ("options", "head", "patch")} == {
        "options": "read",
        "head": "read",
        "patch": "write",
    }
    assert tools["post_pay"].may_repeat
    assert not tools["patchThing"].may_repeat


def test_an_extension_sets_the_permission(load):
    tools = load({"/search": {"post": operation(operationId="s", **{"x-ferrule-permission": "read"})}})
    assert tools["s"].permission == "read"
    with pytest.raises(
        ToolDefinitionError, match="x-ferrule-permission must be one of read, write, destructive, received 'all'"
    ):
        load({"/search": {"post": operation(**{"x-ferrule-permission": "all"})}})


def test_idempotency_keys(service, toolsets):
    tool = toolsets["3.1"]["post_pay"]
    assert list(tool.parameters["properties"]) == ["amount"]
    for key in ("run-1", "run-1", "run-2", "", ""):
        with effect(key):
            tool.call({"amount": 1})
    keys = [request.header("idempotency-key") for request in service.requests]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4
    assert all(len(key) == 36 for key in keys)


def test_an_idempotency_key_of_another_kind_is_an_argument(load):
    tools = load(
        {
            "/x": {
                "post": operation(operationId="x", parameters=[parameter("Idempotency-Key", "header", schema={"maxLength": 8})])
            }
        }
    )
    assert list(tools["x"].parameters["properties"]) == ["Idempotency-Key"]
    assert not tools["x"].may_repeat


def test_descriptions(load):
    tools = load(
        {
            "/a": {"get": operation(summary="List things", description="Lists\n  all things.\n\nReally", deprecated=True)},
            "/b": {"get": operation(summary="List", description="List all of it.")},
            "/c": {"get": operation(description="x" * 5000, parameters=[parameter("q", description="What\nto find")])},
            "/d": {"get": operation()},
        }
    )
    assert tools["get_a"].description == "List things. Lists all things. Really. Deprecated."
    assert tools["get_b"].description == "List all of it."
    assert len(tools["get_c"].description) == 1000
    assert tools["get_c"].parameters["properties"]["q"]["description"] == "What to find"
    assert tools["get_d"].description == ""


def test_arguments(toolsets, service):
    tools = toolsets["3.0"]
    shared = tools["get_shared_id"].parameters
    assert shared["required"] == ["id", "q"]
    assert shared["properties"]["q"]["enum"] == ["red", "green", "blue"]
    twice = tools["get_twice_id"]
    assert list(twice.parameters["properties"]) == ["path_id", "query_id"]
    twice.call({"path_id": 1, "query_id": 2})
    assert service.requests[-1].target == "/v1/twice/1?id=2"
    clash = tools["put_clash_name"]
    assert list(clash.parameters["properties"]) == ["name", "body"]
    defaults = tools["get_defaults"]
    assert "required" not in defaults.parameters
    defaults.call({})
    assert service.requests[-1].target == "/v1/defaults?version=2024-01"
    assert all(tool.parameters["additionalProperties"] is False for tool in tools)


def test_names_that_would_clash_after_all(load):
    parameters = [parameter("id", "path"), parameter("id"), parameter("query_id")]
    tools = load({"/{id}": {"get": operation(operationId="x", parameters=parameters)}})
    assert list(tools["x"].parameters["properties"]) == ["path_id", "query_id", "query_id_2"]


def test_any_name_will_do(service, load):
    names = ["self", "arguments", "filter[name]", "a.b", "é", "class", "$x"]
    made = load({"/x": {"get": operation(operationId="x", parameters=[parameter(name) for name in names])}})["x"]
    made.call(dict.fromkeys(names, "1"))
    assert parse_qsl(service.requests[0].target.partition("?")[2]) == [(name, "1") for name in names]


def test_headers_that_are_no_parameters(load):
    parameters = [
        parameter(name, "header") for name in ("Accept", "content-type", "AUTHORIZATION", "Host", "Content-Length", "X-A")
    ]
    tools = load({"/x": {"get": operation(operationId="x", parameters=parameters)}})
    assert list(tools["x"].parameters["properties"]) == ["X-A"]


@pytest.mark.parametrize(
    "value",
    [
        "..",
        ".",
        "../admin",
        "a/../../b",
        "a?x=1",
        "a#b",
        "%2e%2e",
        "a b",
        "é/ü",
        "//",
        "a;b",
        "\\..\\",
        "a\r\nb",
        "{id}",
        "\x00",
    ],
)
def test_paths_stay_where_they_are(service, load, value):
    tools = load({"/files/{name}/meta": {"get": operation(operationId="x", parameters=[parameter("name", "path")])}})
    result = tools["x"].function
    if value in (".", ".."):
        with pytest.raises(Exception, match="would change where it leads"):
            result(name=value)
        assert not service.requests
        return
    result(name=value)
    (recorded,) = service.requests
    first, files, name, meta = recorded.target.split("/")
    assert (first, files, meta) == ("", "files", "meta")
    assert not set(name) & set("?#\\ \r\n;{}")
    assert unquote(name) == value


@pytest.mark.parametrize("style", ["simple", "label", "matrix"])
def test_paths_have_no_holes(service, load, style):
    schema = {"type": "array", "items": {"type": "string"}}
    made = load(
        {"/a/{p}": {"delete": operation(operationId="x", parameters=[parameter("p", "path", style=style, schema=schema)])}}
    )
    for empty in ([], None, *([[""]] if style == "simple" else [])):
        with pytest.raises(Exception, match="p must not be empty"):
            made["x"].function(p=empty)
    label = load({"/a/{p}": {"delete": operation(operationId="x", parameters=[parameter("p", "path", style="label")])}})["x"]
    with pytest.raises(Exception, match=r"where it leads|must not be empty"):
        label.function(p=".")
    text = load({"/a/{p}": {"delete": operation(operationId="x", parameters=[parameter("p", "path")])}})["x"]
    with pytest.raises(Exception, match="/p"):
        text.call({"p": ""})
    assert not service.requests


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x00b", "a\x7f", " a", "a\t"])
def test_headers_of_one_line(service, load, value):
    tools = load({"/x": {"get": operation(operationId="x", parameters=[parameter("X-A", "header"), parameter("c", "cookie")])}})
    with pytest.raises(Exception, match="X-A must not"):
        tools["x"].call({"X-A": value})
    assert not service.requests
    tools["x"].call({"c": value})  # percent-encoded
    assert service.requests[0].header("x-evil") is None


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ({"x": {"get": operation()}}, ["'x'", "begin with /"]),
        ({"/x?y=1": {"get": operation()}}, ["/x?y=1"]),
        ({"/{id}": {"get": operation()}}, ["GET /{id}", "{id}", "no path parameter"]),
        ({"/x": {"get": operation(parameters=[{"in": "query"}])}}, ["GET /x", "needs a name"]),
        ({"/x": {"get": operation(parameters=[parameter("a", "body")])}}, ["query, header, cookie"]),
        ({"/x": {"get": operation(parameters=[parameter("a b", "header")])}}, ["'a b'", "no name of a header"]),
        ({"/x": {"get": operation(parameters=[parameter("a", style="matrix")])}}, ["'a'", "'matrix'", "form"]),
        ({"/x": {"get": operation(parameters={"a": 1})}}, ["parameters must be a list"]),
        ({"/x": {"get": operation(parameters=[{"$ref": "#/components/parameters/None"}])}}, ["GET /x", "leads nowhere"]),
        ({"/x": {"get": {"responses": {"200": {"$ref": "#/components/responses/None"}}}}}, ["GET /x", "leads nowhere"]),
        ({"/x": {"get": operation(requestBody={"content": {"a/b": {"schema": {"$ref": "../x.json"}}}})}}, ["leads out"]),
        ({"/x": {"get": operation(security=[{"nobody": []}])}}, ["'nobody'", "not defined"]),
        ({"/x": {"$ref": "#/paths/~1x"}}, ["leads back to itself"]),
        ({"/x": []}, ["must be an object"]),
        ({}, ["no operations"]),
    ],
)
def test_operations_that_cannot_be(load, paths, words):
    with pytest.raises(ToolDefinitionError) as caught:
        load(paths)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


def test_filters(load):
    paths = {
        "/pets": {"get": operation(operationId="list_pets"), "post": operation(operationId="add_pet")},
        "/pets/{id}": {"parameters": [parameter("id", "path")], "get": operation(), "delete": operation()},
        "/broken": {"get": operation(parameters=7)},
    }
    assert load(paths, {"operations": ["add_pet", "GET /pets/{id}"]}).names == ("add_pet", "get_pets_id")
    assert load(paths, {"operations": ["*_pet*"]}).names == ("list_pets", "add_pet", "get_pets_id", "delete_pets_id")
    assert load(paths, {"operations": ["GET /pets*"]}).names == ("list_pets", "get_pets_id")
    for wanted, words in (
        (["nothing"], "'nothing'; there are: list_pets"),
        ([], "list is empty"),
        ("add_pet", "must be a list"),
    ):
        with pytest.raises(ToolDefinitionError, match=words):
            load(paths, {"operations": wanted})


def many(number):
    schemas = {
        f"M{i}": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "id": {"type": "integer", "readOnly": True},
                "name": {"type": "string", "description": "What it is called."},
                "color": {"$ref": "#/components/schemas/Color"},
                "other": {"$ref": f"#/components/schemas/M{(i * 7 + 1) % 100}"},
                **{f"p{k}": {"type": "string", "description": "x" * 60} for k in range(8)},
            },
        }
        for i in range(100)
    }
    schemas["Color"] = {"type": "string", "enum": ["red", "green"]}
    schemas["Broken"] = {"type": "no type at all"}
    paths = {}
    for i in range(number // 4):
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/M{i % 100}"}}}
        queries = [parameter(f"q{k}", description="One of several.") for k in range(4)]
        broken = {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Broken"}}}}
        paths[f"/m{i}/{{id}}"] = {
            "parameters": [parameter("id", "path")],
            **{
                method: {
                    "parameters": queries,
                    "responses": {"200": {"description": "", "content": content}, "default": broken},
                }
                | ({"requestBody": {"required": True, "content": content}} if method in ("put", "post") else {})
                for method in ("get", "put", "post", "delete")
            },
        }
    servers = [{"url": "https://api.example.com"}]
    return {"openapi": "3.1.0", "info": {}, "servers": servers, "paths": paths, "components": {"schemas": schemas}}


def test_a_thousand_operations(tmp_path):
    path = tmp_path / "many.json"
    path.write_text(json.dumps(many(1000)))
    start = time.process_time()
    tools = load_openapi(path)
    seconds = time.process_time() - start
    assert len(tools) == 1000
    # About one second on an idle core. What answers look like is read when the first one comes: a broken one is no obstacle.
    assert seconds < 6
