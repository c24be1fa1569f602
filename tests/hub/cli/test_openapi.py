"""`ferrule run` with an OpenAPI document, against a server on loopback."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ferrule.tools import ToolCall

GOAL = "how many kiwis are in stock?"
STOCK = ToolCall("get_stock", {"item": "kiwis"})


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.targets.append(self.path)
        body = self.server.document() if self.path == "/openapi.json" else b'{"count": 12}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    servers = "/"

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.targets = []

    def document(self) -> bytes:
        counted = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}
        operation = {
            "operationId": "get_stock",
            "summary": "How many of an item are in stock.",
            "parameters": [{"name": "item", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": {"200": {"description": "The count.", "content": {"application/json": {"schema": counted}}}},
        }
        return json.dumps(
            {
                "openapi": "3.1.0",
                "info": {"title": "Stock", "version": "1"},
                "servers": [{"url": self.servers}],
                "paths": {"/stock/{item}": {"get": operation}},
            }
        ).encode()


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def write(folder, server):
    """The document as a file, in JSON or YAML, whose server is that one."""

    def to(name, servers):
        server.servers = servers
        (folder / name).write_bytes(server.document())  # JSON is YAML
        return name

    return to


def calls(ferrule, script, *options):
    script([STOCK], "There are 12.")
    result = ferrule("run", GOAL, "--json", "--tools", *options)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["calls"] == [{"name": "get_stock", "arguments": {"item": "kiwis"}}]
    assert [step["result"]["value"] for step in document["steps"] if step["kind"] == "observation"] == [{"count": 12}]


def test_by_address(ferrule, script, server):
    calls(ferrule, script, f"{server.base}/openapi.json", "--allow-private")
    assert server.targets == ["/openapi.json", "/stock/kiwis"]


@pytest.mark.parametrize("name", ["api.json", "api.yaml"])
def test_by_path(ferrule, script, server, write, name):
    calls(ferrule, script, write(name, server.base), "--allow-private")
    assert server.targets == ["/stock/kiwis"]


def test_at_another_server(ferrule, script, server, write):
    """--server takes the place of the document's own, which is never asked."""
    calls(ferrule, script, write("api.json", "https://api.example.com"), "--server", server.base, "--allow-private")
    assert server.targets == ["/stock/kiwis"]


def test_a_run_over_an_api_goes_on(ferrule, script, server, write, folder):
    options = [write("api.json", server.base), "--allow-private"]
    calls(ferrule, script, *options, "--log", "log")
    lines = (folder / "log").read_text().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(lines) if '"kind":"call"' in line)
    (folder / "log").write_text("".join(lines[: cut + 1]))
    script("There are 12.")
    result = ferrule("resume", "log", "--tools", *options, "--json")
    assert result.exit_code == 0, result.stderr
    assert server.targets == ["/stock/kiwis"] * 2  # a GET may be repeated


def test_private_addresses_are_refused_by_the_options_name(ferrule, script, server, write, refused):
    script()
    line = refused("run", GOAL, "--tools", f"{server.base}/openapi.json")
    assert line.endswith("which is no public address; --allow-private allows it")
    script([STOCK], "It did not work.")
    result = ferrule("run", GOAL, "--tools", write("api.json", server.base))
    assert result.exit_code == 1
    assert "--allow-private allows it" in result.stdout
    assert "--allow-private allows it" in result.stderr
    assert "allow_private" not in result.stdout + result.stderr
    assert server.targets == []


@pytest.mark.parametrize(
    ("servers", "options", "status", "words"),
    [
        ("/v1", [], 1, "say where it is with --server https://..."),
        ("https://api.example.com", ["--server", "ftp://x"], 1, "no http:// or https:// address"),
        ("https://api.example.com", ["--server", ""], 2, "a text is expected, received ''"),
    ],
)
def test_servers_that_are_none(refused, script, write, servers, options, status, words):
    script()
    line = refused("run", GOAL, "--tools", write("api.json", servers), *options, status=status)
    assert words in line
    assert "load_openapi" not in line


def test_options_of_documents_mean_nothing_for_files(refused, script):
    script()
    assert "leave it out" in refused("run", GOAL, "--tools", "tools.py", "--server", "https://api.example.com")
    assert "--allow-private" in refused("run", GOAL, "--tools", "tools.py", "--allow-private")
    line = refused("run", GOAL, "--tools", "mcp:server", "--server", "https://api.example.com", status=2)
    assert line.startswith("Invalid value: --server is for OpenAPI documents")
