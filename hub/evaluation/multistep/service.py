"""A small HTTP service on loopback with real state: the household and office of one person, described by an OpenAPI document.

`office.py`, `town.py`, `leisure.py`, `work.py` and `travel.py` say what it does; here is how it is served. The document is
fetched and the requests are made for real.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ....tools import Tool
from ..bfcl import EvaluationError
from . import leisure, office, town, travel, work
from .operations import Fault, Operation, Schema

_AREAS = (office, town, leisure, work, travel)
OPERATIONS: tuple[Operation, ...] = tuple(operation for area in _AREAS for operation in area.OPERATIONS)
"""All that the service does."""


class Service:
    """The service with its state, and its tools.

    Args:
        state: see `states.json`.
        parts: those whose operations become tools; empty for all.

    Raises:
        EvaluationError: what calls OpenAPI services is not installed.
    """

    def __init__(self, state: dict[str, Any], parts: Sequence[str] = ()):
        try:
            from ....tools.openapi import load_openapi
        except ImportError as error:
            raise EvaluationError(
                f"the service of the suite cannot be called ({error}): pip install 'ferrule[openapi]'"
            ) from None
        self._state = state
        self._lock = threading.Lock()
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        names = [operation.name for operation in OPERATIONS if not parts or operation.part in parts]
        try:
            address = f"http://127.0.0.1:{self._server.server_port}/openapi.json"
            self.tools: list[Tool] = list(load_openapi(address, allow_private=True, operations=names))
        except BaseException:
            self.close()
            raise

    def state(self) -> dict[str, Any]:
        with self._lock:
            return json.loads(json.dumps(self._state))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        """Status and JSON value for a request."""
        if (method, path) == ("GET", "/openapi.json"):
            return 200, document()
        for operation in OPERATIONS:
            if operation.method == method and (found := operation.match(path)) is not None:
                return self._run(operation, {**found, **query, **body})
        return 404, {"error": f"there is nothing at {method} {path}"}

    def _run(self, operation: Operation, arguments: dict[str, Any]) -> tuple[int, Any]:
        try:
            with self._lock:
                return operation.status, operation.run(self._state, operation.read(arguments))
        except Fault as fault:
            return fault.status, {"error": str(fault)}


def document() -> Schema:
    """The OpenAPI 3.1 document."""
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = operation.describe()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Errands", "version": "1.0.0", "description": "The household and office of one person."},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": {name: schema for area in _AREAS for name, schema in area.SCHEMAS.items()}},
    }


@contextlib.contextmanager
def running_service() -> Iterator[Callable[[dict[str, Any], Sequence[str]], Service]]:
    """What starts services; they end with the block."""
    started: list[Service] = []

    def start(state: dict[str, Any], parts: Sequence[str] = ()) -> Service:
        started.append(Service(state, parts))
        return started[-1]

    try:
        yield start
    finally:
        for service in started:
            service.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, service: Service) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is nobody's fault."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self) -> None:
        address = urlsplit(self.path)
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(data) if data else {}
        except ValueError:
            body = None
        if isinstance(body, dict):
            query = dict(parse_qsl(address.query, keep_blank_values=True))
            status, value = self.server.service.answer(self.command, unquote(address.path), query, body)
        else:
            status, value = 400, {"error": "the body must be a JSON object"}
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def finish(self) -> None:
        """Close only when the client has read everything: what is still on its way may be reset otherwise."""
        super().finish()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(2)
            while self.connection.recv(65536):
                pass

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        pass
