"""A threaded HTTP server on loopback that records what it is asked and answers what it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Recorded:
    """A request as it came in: `target` is path and query, not decoded; names of headers are lower case."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(found) if found else None


@dataclass
class Answer:
    """What the server says; `write` takes the place of the body and may do anything with the connection."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    body: bytes = b'{"ok": true}'
    write: Callable[[Handler], None] | None = None


class Service(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[Recorded] = []
        self.answer: Callable[[Recorded], Answer] = lambda request: Answer()
        self.released = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def reset(self) -> None:
        self.requests.clear()
        self.answer = lambda request: Answer()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of some tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        recorded = Recorded(
            self.command, self.path, [(name.lower(), value) for name, value in self.headers.items()], self.rfile.read(length)
        )
        self.server.requests.append(recorded)
        answer = self.server.answer(recorded)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.write is not None:
            self.end_headers()
            answer.write(self)
            self.close_connection = True
            return
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def finish(self) -> None:
        """Close only when the client has read everything: a loaded machine resets what is still on its way otherwise."""
        super().finish()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(2)
            while self.connection.recv(65536):
                pass

    do_GET = do_PUT = do_POST = do_DELETE = do_OPTIONS = do_HEAD = do_PATCH = do_TRACE = handle_any

    def log_message(self, format: str, *args: object) -> None:
        pass
