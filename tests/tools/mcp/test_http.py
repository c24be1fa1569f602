from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ferrule.tools import ToolTimeout
from ferrule.tools.mcp import LostError, McpTools, ResponseError, SessionError, StartError, http, load_mcp

TOOLS = {"tools": [{"name": "ok", "description": "Works.", "inputSchema": {"type": "object"}}]}
FINE = {"content": [{"type": "text", "text": "fine"}]}


class Handler(BaseHTTPRequestHandler):
    """Answers by hand; `server.call(handler, number)` answers calls of the tool."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.reply(405, b"")

    def do_DELETE(self) -> None:
        self.reply(200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        message = json.loads(body)
        self.server.seen.append((self.path, dict(self.headers), message))
        number, method = message.get("id"), message["method"]
        if self.server.first is not None:
            self.server.first(self, number)
        elif number is None:
            self.reply(202, b"")
        elif method == "initialize":
            version = message["params"]["protocolVersion"]
            self.answer(number, {"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}})
        elif method == "tools/list":
            self.answer(number, TOOLS)
        elif method == "tools/call":
            self.server.call(self, number)
        else:
            self.reply(404, b"who?")

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, number: int, result: object) -> None:
        self.reply(200, json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode(), "application/json")

    def reply(self, status: int, body: bytes, kind: str = "text/html", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Mcp-Session-Id": "session-7", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str], dict]] = []
        self.first: Callable[[Handler, int], None] | None = None
        self.call: Callable[[Handler, int], None] = lambda handler, number: handler.answer(number, FINE)
        self.url = f"http://127.0.0.1:{self.server_port}/mcp"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        yield found
        found.shutdown()


@pytest.fixture
def other() -> Iterator[Server]:
    with Server() as found:
        yield found
        found.shutdown()


@pytest.fixture
def load(server: Server) -> Iterator[Callable[..., McpTools]]:
    opened: list[McpTools] = []

    def load(url: str | None = None, **options: object) -> McpTools:
        opened.append(load_mcp(url or server.url, **options))
        return opened[-1]

    yield load
    for tools in opened:
        tools.close()


def test_headers_and_query_go_to_the_server_with_every_request(server, load, caplog):
    caplog.set_level("DEBUG")
    tools = load(server.url + "?key=open-sesame#here", headers={"Authorization": "Bearer top-secret", "X-Team": "birds"})
    assert tools["ok"].call({}) == "fine"
    assert tools.server == f"MCP server '{server.url}'"
    for path, headers, _ in server.seen:
        assert path == "/mcp?key=open-sesame"
        assert (headers["Authorization"], headers["X-Team"]) == ("Bearer top-secret", "birds")
    assert server.seen[-1][1]["mcp-session-id"] == "session-7"
    assert "sesame" not in caplog.text
    assert "top-secret" not in caplog.text


def test_secrets_of_headers_come_back_from_nowhere(server, load):
    tools = load(headers={"Authorization": "Bearer top-secret"})
    server.call = lambda handler, number: handler.answer(number, {"content": [{"type": "text", "text": "you are top-secret"}]})
    assert tools["ok"].call({}) == "you are [redacted]"


# -- where requests go -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_leads_to_another_server(server, other, load, status):
    tools = load(headers={"Authorization": "Bearer top-secret"})
    server.call = lambda handler, _: handler.reply(status, b"", Location=other.url)
    with pytest.raises(Exception, match=f"Redirect to {other.url} not followed"):
        tools["ok"].call({})
    assert other.seen == []
    server.first = lambda handler, _: handler.reply(status, b"", Location=other.url)
    with pytest.raises(StartError, match=f"Redirect to {other.url} not followed"):
        load()
    assert other.seen == []


def test_a_redirect_within_the_server_is_followed(server, load):
    tools = load()

    def redirect(handler, number):
        if handler.path == "/mcp":
            handler.reply(307, b"", Location="/mcp/")
        else:
            handler.answer(number, FINE)

    server.call = redirect
    assert tools["ok"].call({}) == "fine"


def _resolve(monkeypatch, addresses: dict[str, list[str]]) -> list[str]:
    asked = []

    async def getaddrinfo(host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses[host]]

    monkeypatch.setattr(http.anyio, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_that_leads_to_an_address_that_is_not_public_is_refused(server, load, monkeypatch):
    asked = _resolve(monkeypatch, {"mcp.example": ["127.0.0.1", "10.0.0.1"]})
    url = f"http://mcp.example:{server.server_port}/mcp"
    with pytest.raises(
        StartError, match=r"the host 'mcp\.example' is at 127\.0\.0\.1, 10\.0\.0\.1, which is no public address"
    ):
        load(url)
    assert server.seen == []
    tools = load(url, allow_private=True)
    assert tools["ok"].call({}) == "fine"
    assert server.seen[-1][1]["Host"] == f"mcp.example:{server.server_port}"
    assert set(asked) == {"mcp.example"}


def test_a_name_is_looked_up_again_for_each_request(server, load, monkeypatch):
    addresses = {"mcp.example": ["127.0.0.1"]}
    _resolve(monkeypatch, addresses)
    monkeypatch.setattr(http, "is_public", lambda address: address == "127.0.0.1")
    tools = load(f"http://mcp.example:{server.server_port}/mcp")
    assert tools["ok"].call({}) == "fine"
    addresses["mcp.example"] = ["169.254.169.254"]
    with pytest.raises(SessionError, match=r"is at 169\.254\.169\.254") as caught:
        tools["ok"].call({})
    assert not caught.value.outcome_unknown


def test_localhost_is_this_machine(server, load):
    assert load(server.url.replace("127.0.0.1", "localhost"))["ok"].call({}) == "fine"


# -- answers that are none ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error", "said", "unknown"),
    [
        (lambda h, n: h.reply(200, b"<html>hello</html>"), Exception, "Unexpected content type: text/html", False),
        (lambda h, n: h.reply(401, b"who are you"), SessionError, "the server answered with status 401 Unauthorized", False),
        (lambda h, n: h.reply(404, b"gone"), SessionError, "the server answered with status 404 Not Found", False),
        (lambda h, n: h.reply(500, b"<html>"), LostError, "the server answered with status 500 Internal Server Error", True),
        (lambda h, n: h.reply(202, b""), Exception, "answered a request with 202", False),
        (lambda h, n: h.reply(200, b"{", "application/json"), Exception, "Failed to parse JSON response", False),
        (lambda h, n: h.reply(200, b"x" * 3_000_000, "application/json"), ResponseError, "larger than 1048576 bytes", True),
        (
            lambda h, n: h.reply(200, gzip.compress(b"{}"), "application/json", Content_Encoding="gzip"),
            ResponseError,
            "the answer is encoded as 'gzip', which was not asked for",
            True,
        ),
        (lambda h, n: h.hang_up(), LostError, "broke the connection off", True),
        (lambda h, n: (h.reply(200, b"{", "application/json", 900), h.hang_up()), LostError, "broke the", True),
        (lambda h, n: h.reply(200, b"data: {\n\n", "text/event-stream"), Exception, "Failed to parse SSE message", False),
        (lambda h, n: h.reply(200, b": nothing\n\n", "text/event-stream"), LostError, "ended without a response", True),
        (
            lambda h, n: h.reply(200, b"data: " + b"x" * 3_000_000 + b"\n\n", "text/event-stream"),
            LostError,
            "SSE stream failed",
            True,
        ),
    ],
)
def test_answers_that_are_none(server, load, monkeypatch, answer, error, said, unknown):
    monkeypatch.setattr(http, "MAX_MESSAGE_BYTES", 1 << 20)
    tools = load()
    server.call = answer
    with pytest.raises(error, match=said) as caught:
        tools["ok"].call({})
    assert caught.value.outcome_unknown is unknown
    assert "\n" not in str(caught.value)
    server.call = lambda handler, number: handler.answer(number, FINE)
    assert tools["ok"].call({}) == "fine"  # the session goes on


def test_a_server_that_stalls(server, load):
    tools = load(timeout=0.5)
    stop = threading.Event()
    server.call = lambda handler, number: (handler.reply(200, b"{", "application/json", 900), stop.wait(20))
    with pytest.raises(ToolTimeout, match=r"took longer than the limit of 0\.5 s for ok"):
        tools["ok"].call({})
    stop.set()
    server.first = lambda handler, number: time.sleep(3)
    with pytest.raises(StartError, match=r"was not ready within 0\.5 s: no answer"):
        load(start_timeout=0.5)


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (lambda h, n: h.reply(200, b"<html>"), "Unexpected content type: text/html"),
        (lambda h, n: h.reply(403, b"no"), "the server answered with status 403 Forbidden"),
        (lambda h, n: h.hang_up(), "broke the connection off"),
        (lambda h, n: h.reply(200, b'{"jsonrpc":"2.0"}', "application/json"), "Failed to parse JSON response"),
    ],
)
def test_what_is_no_server(server, load, first, said):
    server.first = first
    with pytest.raises(StartError) as caught:
        load()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(StartError, match=r"cannot connect to 127\.0\.0\.1: ConnectError"):
        load_mcp(f"http://127.0.0.1:{port}/mcp")
    with pytest.raises(StartError, match=r"the host 'no-such-host\.invalid' is not found"):
        load_mcp("https://no-such-host.invalid/mcp")
