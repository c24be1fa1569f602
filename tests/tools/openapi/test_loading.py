"""From a path or an address to tools."""

import json
import subprocess
import sys

import pytest
from ferrule.tools import ToolDefinitionError, load_tools
from ferrule.tools.openapi import load_openapi

from .service import Answer

PATHS = {"/x": {"get": {"operationId": "x", "responses": {"200": {"description": "", "content": {"application/json": {}}}}}}}


def document(**parts):
    return {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": PATHS, **parts}


@pytest.fixture
def site(service):
    """Files by path on the server; all other paths answer as usual."""
    files = {}

    def answer(request):
        if request.target in files:
            content = files[request.target]
            return Answer(
                200, {"Content-Type": "text/plain"}, content if isinstance(content, bytes) else json.dumps(content).encode()
            )
        return Answer() if request.target.endswith("/x") else Answer(404, {}, b"")

    service.answer = answer
    return files


def test_from_an_address(service, site):
    site["/api/openapi.json?v=1"] = document()
    tools = load_openapi(f"{service.base}/api/openapi.json?v=1", allow_private=True)
    assert tools["x"].call({}) == {"ok": True}
    assert service.requests[-1].target == "/x"  # without servers: the root of where the document came from
    site["/api/openapi.yaml"] = b"openapi: 3.0.3\nservers: [{url: ../v2}]\npaths: {$ref-less: 1}\n".replace(
        b"{$ref-less: 1}", json.dumps(PATHS).encode()
    )
    tools = load_tools(f"{service.base}/api/openapi.yaml", allow_private=True)
    tools["x"].call({})
    assert service.requests[-1].target == "/v2/x"


def test_neighbours_of_an_address(service, site):
    site["/api/openapi.json"] = document(paths={"/x": {"$ref": "parts/x.json"}})
    site["/api/parts/x.json"] = PATHS["/x"]
    assert load_openapi(f"{service.base}/api/openapi.json", allow_private=True)["x"].call({}) == {"ok": True}


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        ("/api/openapi.json", {}, ["127.0.0.1", "no public address", "allow_private"]),
        ("/missing.json", {"allow_private": True}, ["missing.json", "status 404"]),
        ("/page", {"allow_private": True}, ["/page", "not an OpenAPI document"]),
        ("/moved.json", {"allow_private": True}, ["another host"]),
    ],
)
def test_addresses_that_do_not_load(service, site, path, options, words):
    site["/api/openapi.json"] = document()
    site["/page"] = b"<!doctype html><html><body>Hello</body></html>"
    answer = service.answer
    moved = Answer(302, {"Location": "http://elsewhere.example/openapi.json"}, b"")
    service.answer = lambda request: moved if request.target == "/moved.json" else answer(request)
    with pytest.raises(ToolDefinitionError) as caught:
        load_openapi(service.base + path, **options)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://", "https://u:p@example.com/a.json", "http://exa mple/a"])
def test_addresses_that_are_none(address):
    with pytest.raises(ToolDefinitionError, match="cannot read"):
        load_openapi(address)


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
def test_from_a_file(service, tmp_path, suffix):
    path = tmp_path / f"api{suffix}"
    path.write_text(json.dumps(document(servers=[{"url": service.base + "/v1/"}])))
    tools = load_tools(path, allow_private=True)
    assert tools["x"].call({}) == {"ok": True}
    assert service.requests[-1].target == "/v1/x"
    tools = load_tools(path, allow_private=True, servers=[service.base + "/v2"], operations=["x"], timeout=3)
    assert (tools["x"].call({}), service.requests[-1].target) == ({"ok": True}, "/v2/x")
    with pytest.raises(Exception, match="no public address"):
        load_tools(path)["x"].call({})


def test_files_that_do_not_say_where_the_server_is(tmp_path):
    path = tmp_path / "api.json"
    path.write_text(json.dumps(document()))
    with pytest.raises(ToolDefinitionError, match=r"relative.*servers="):
        load_tools(path)
    assert load_tools(path, servers=["https://api.example.com"]).names == ("x",)


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"timeout": "5"}, {"stall": -1}, {"stall": float("inf")}, {"timeout": None}]
)
def test_limits_that_are_none(tmp_path, options):
    path = tmp_path / "api.json"
    path.write_text(json.dumps(document()))
    with pytest.raises(ToolDefinitionError, match=f"{min(options)} must be a positive number of seconds"):
        load_openapi(path, servers=["https://api.example.com"], **options)


def test_a_missing_package_is_named(tmp_path):
    path = tmp_path / "api.json"
    path.write_text(json.dumps(document()))
    code = f"import sys; sys.modules['httpcore2'] = None\nfrom ferrule.tools import load_tools\nload_tools({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "pip install 'ferrule[openapi]'" in done.stderr.splitlines()[-1]
    code = "import sys; sys.modules['yaml'] = None\nfrom ferrule.tools import load_tools\nload_tools(sys.argv[1])"
    path = tmp_path / "api.yaml"
    path.write_text("openapi: 3.1.0")
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert "pip install 'ferrule[openapi]'" in done.stderr.splitlines()[-1]


def test_nothing_is_imported_for_other_tools(tmp_path):
    code = "import sys\nfrom ferrule.tools import load_tools\nprint('httpcore2' in sys.modules, 'yaml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "False"]


def test_what_an_operation_returns(tmp_path):
    """Names and descriptions of an answer's properties, through references and allOf, and never endlessly."""
    person = {
        "allOf": [{"$ref": "#/components/schemas/Named"}],
        "properties": {
            "id": {"type": "integer", "description": "Id of the person."},
            "friends": {"$ref": "#/components/schemas/People"},
        },
    }
    schemas = {
        "Person": person,
        "Named": {"properties": {"name": {"type": "string"}}},
        "People": {"type": "array", "items": {"$ref": "#/components/schemas/Person"}},
        "Endless": {"type": "array", "items": {"$ref": "#/components/schemas/Endless"}},
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/People"}}}
    answers = {"200": {"description": "", "content": content}, "404": {"description": ""}}
    operation = {"operationId": "people", "responses": answers}
    path = tmp_path / "api.json"
    servers = [{"url": "https://example.org"}]
    path.write_text(json.dumps(document(paths={"/p": {"get": operation}}, components={"schemas": schemas}, servers=servers)))
    items = load_openapi(path)["people"].returns["items"]
    assert set(items["properties"]) == {"name", "id", "friends"}
    assert items["properties"]["id"] == {"description": "Id of the person."}
    depth, node = 0, items
    while "items" in node.get("properties", {}).get("friends", {}):
        node, depth = node["properties"]["friends"]["items"], depth + 1
    assert 1 <= depth <= 3
    content["application/json"]["schema"] = {"$ref": "#/components/schemas/Endless"}
    path.write_text(json.dumps(document(paths={"/p": {"get": operation}}, components={"schemas": schemas}, servers=servers)))
    assert "items" in load_openapi(path)["people"].returns
    empty = {"operationId": "nothing", "responses": {"204": {"description": ""}}}
    path.write_text(json.dumps(document(paths={"/p": {"get": empty}}, servers=servers)))
    assert load_openapi(path)["nothing"].returns is None
