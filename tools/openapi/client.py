"""Sends one request: to checked addresses only, within limits of time and size.

A connection is opened for each request and closed after it, so that the address is checked each time. Proxies of the
environment are not used: behind one, the address that is connected to could not be checked.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import re
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore2

from ..errors import ToolFailed, ToolTimeout, describe, one_line
from .addresses import Address, is_public, read_address
from .errors import RequestError, ResponseError, UnansweredError

logger = logging.getLogger(__name__)

MAX_RESPONSE_BYTES = 4 << 20
MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 64 << 10

Text = Callable[[str], str]
_redact: contextvars.ContextVar[Text | None] = contextvars.ContextVar("redact", default=None)


@dataclass(frozen=True)
class Limits:
    """Limits of one request: seconds to connect, for the whole call, and without a new byte of the body; bytes of the body."""

    connect: float = 10.0
    total: float = 30.0
    stall: float = 10.0
    bytes: int = MAX_RESPONSE_BYTES


@dataclass(frozen=True)
class Request:
    """A request, percent-encoded: `target` is path and query."""

    method: str
    server: Address
    target: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end and decompressed; names of headers are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """Sends requests.

    Args:
        allow_private: Also connect to private, loopback, link-local and other addresses that are not public.
        limits: Of time and size.
    """

    def __init__(self, allow_private: bool = False, limits: Limits | None = None) -> None:
        self.allow_private = allow_private
        self.limits = limits or Limits()
        self._tls: ssl.SSLContext | None = None

    def send(self, request: Request, redact: Text = str) -> Reply:
        """The answer to a request; redirects of GET and HEAD within the same host are followed.

        Args:
            request: What to send.
            redact: Takes secrets out of a text, for messages and logs.

        Raises:
            RequestError: If the host is not found, not allowed or does not answer.
            ResponseError: If the answer breaks off, is too large, or redirects elsewhere.
            ToolTimeout: If a time limit passed.
        """
        clock = _Clock(self.limits)
        token = _redact.set(redact)
        try:
            for _ in range(MAX_REDIRECTS + 1):
                reply = self._once(request, clock)
                if reply.status not in _REDIRECTS or "location" not in reply.headers:
                    return reply
                request = _redirected(request, reply, redact)
            raise ResponseError(f"{request.server.host_header} redirects in a circle, or more than {MAX_REDIRECTS} times")
        finally:
            _redact.reset(token)

    def fetch(self, address: str) -> bytes:
        """The bytes at an address.

        Raises:
            ToolFailed: As `send`, or if the status is not 200.
        """
        base, _, query = address.partition("?")
        server = read_address(base)
        target = (server.path + "/" if base.endswith("/") else server.path) or "/"
        headers = (("Accept", "application/json, application/yaml, */*"),)
        reply = self.send(Request("GET", server, f"{target}?{query}" if query else target, headers))
        if reply.status != 200:
            raise ResponseError(f"{one_line(address, 200)} was answered with status {reply.status}")
        return reply.body

    def _once(self, request: Request, clock: _Clock) -> Reply:
        server = request.server
        url = httpcore2.URL(
            scheme=server.scheme.encode(),
            host=server.host.encode(),
            port=server.port,
            target=request.target.encode("ascii"),
        )
        fixed = [("Host", server.host_header), ("Accept-Encoding", "gzip, deflate"), ("Connection", "close")]
        if request.body is not None:
            fixed.append(("Content-Length", str(len(request.body))))
        headers = [(name.encode("ascii"), value.encode("utf-8")) for name, value in (*fixed, *request.headers)]
        if server.scheme == "https" and self._tls is None:
            self._tls = httpcore2.default_ssl_context()
        network = _Network(clock, self.allow_private)
        chunks = [request.body[at : at + _CHUNK] for at in range(0, len(request.body), _CHUNK)] if request.body else []
        with _explained(server, clock), contextlib.ExitStack() as stack:
            connection = stack.enter_context(
                httpcore2.HTTPConnection(url.origin, ssl_context=self._tls, network_backend=network)
            )
            response = stack.enter_context(connection.stream(request.method, url, headers=headers, content=chunks))
            return self._read(response, request.method, clock)

    def _read(self, response: Any, method: str, clock: _Clock) -> Reply:
        headers: dict[str, str] = {}
        for name, value in response.headers:
            key, text = name.decode("ascii").lower(), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        limit = self.limits.bytes
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit and method != "HEAD":
            raise ResponseError(f"the answer announces {int(announced)} bytes; at most {limit} are read")
        clock.gap = self.limits.stall
        body = bytearray()
        for piece in _decoded(response.iter_stream(), headers.get("content-encoding", ""), limit):
            body += piece
            if len(body) > limit:
                raise ResponseError(f"the answer is larger than {limit} bytes; the rest was not read")
        return Reply(response.status, headers, bytes(body))


def _redirected(request: Request, reply: Reply, redact: Text) -> Request:
    location = reply.headers["location"]
    shown = one_line(redact(location), 120)
    if request.method not in ("GET", "HEAD"):
        raise ResponseError(f"the server redirects {request.method} to {shown!r}; only GET and HEAD are sent again")
    old = request.server
    try:
        parts = urlsplit(urljoin(f"{old.scheme}://{old.host_header}{request.target}", location))
        new = read_address(f"{parts.scheme}://{parts.netloc}")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        target.encode("ascii")
    except ValueError:
        raise ResponseError(f"the server redirects to {shown!r}, which is no address to follow") from None
    same = (new.scheme, new.port) == (old.scheme, old.port)
    secured = (old.scheme, old.port, new.scheme, new.port) == ("http", 80, "https", 443)
    if new.host.lower() != old.host.lower() or not (same or secured):
        raise ResponseError(f"the server redirects to another host, {shown!r}, which is not followed")
    if not re.fullmatch(r"[\x21-\x7e]+", target):
        raise ResponseError(f"the server redirects to {shown!r}, which is no address to follow")
    return Request(request.method, new, target, request.headers)


# -- the network ------------------------------------------------------------------------------------------------------


class _Clock:
    """How long the next operation on the network may take."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.end = time.monotonic() + limits.total
        self.gap: float | None = None

    def left(self) -> float:
        """Seconds left of the whole call, at least a thousandth: a socket takes 0 for "do not wait at all"."""
        return max(self.end - time.monotonic(), 0.001)

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.end


class _Network(httpcore2.NetworkBackend):
    """Connects to addresses that were checked: the name is looked up once, and the connection goes to what was found."""

    def __init__(self, clock: _Clock, allow_private: bool) -> None:
        self.clock = clock
        self.allow_private = allow_private
        self.plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise RequestError(f"the host {one_line(host, 100)!r} is not found: {describe(error)}") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        allowed = [address for address in addresses if self.allow_private or is_public(address.partition("%")[0])]
        if not allowed:
            raise RequestError(
                f"the host {one_line(host, 100)!r} is at {one_line(', '.join(addresses), 100)}, which is no public address; "
                "load_openapi(..., allow_private=True) allows it"
            )
        for address in allowed:
            try:
                limit = min(self.clock.limits.connect, self.clock.left())
                return _Stream(self.plain.connect_tcp(address, port, limit), self.clock)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if address == allowed[-1] or self.clock.is_over:
                    raise
        raise AssertionError("unreachable")


class _Stream(httpcore2.NetworkStream):
    """A connection whose every operation ends within the time that is left."""

    def __init__(self, inner: httpcore2.NetworkStream, clock: _Clock) -> None:
        self.inner = inner
        self.clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self.clock.is_over:
            raise httpcore2.ReadTimeout("the time is over")
        left, gap = self.clock.left(), self.clock.gap
        return self.inner.read(max_bytes, left if gap is None else min(gap, left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for at in range(0, len(buffer), _CHUNK):
            if self.clock.is_over:
                raise httpcore2.WriteTimeout("the time is over")
            self.inner.write(buffer[at : at + _CHUNK], self.clock.left())

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        limit = min(self.clock.limits.connect, self.clock.left())
        return _Stream(self.inner.start_tls(ssl_context, server_hostname, limit), self.clock)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


@contextlib.contextmanager
def _explained(server: Address, clock: _Clock) -> Iterator[None]:
    """What goes wrong on the network, in a line of ours."""
    host = server.host_header
    try:
        yield
    except ToolFailed:
        raise
    except httpcore2.ConnectTimeout:
        # Nothing was sent, so this is no time limit that leaves in doubt what happened.
        raise RequestError(f"{host} was not reached within {min(clock.limits.connect, clock.limits.total):g} s") from None
    except httpcore2.TimeoutException:
        if clock.gap is not None and not clock.is_over:
            raise ToolTimeout(f"{host} stopped in the middle of its answer: nothing came for {clock.gap:g} s") from None
        raise ToolTimeout(f"{host} took longer than the limit of {clock.limits.total:g} s") from None
    except httpcore2.ConnectError as error:
        raise RequestError(f"cannot connect to {host}: {describe(error)}") from None
    except httpcore2.LocalProtocolError as error:
        raise RequestError(f"the request to {host} cannot be sent: {describe(error)}") from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        if clock.gap is None:
            raise UnansweredError(f"{host} broke the connection off without an answer: {describe(error)}") from None
        raise ResponseError(f"the answer of {host} breaks off: {describe(error)}") from None


# -- bodies -----------------------------------------------------------------------------------------------------------


def _decoded(chunks: Iterable[bytes], encoding: str, limit: int) -> Iterator[bytes]:
    """Chunks of a body without its content encoding; never much more than `limit` bytes at once."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        yield from chunks
        return
    if name not in ("gzip", "x-gzip", "deflate"):
        raise ResponseError(f"the answer is encoded as {one_line(encoding, 60)!r}, which was not asked for")
    inflate = zlib.decompressobj(47)
    has_begun = False
    for chunk in chunks:
        data = chunk
        while data:
            if inflate.eof:
                inflate = zlib.decompressobj(47)  # gzip may come in several members
            try:
                piece = inflate.decompress(data, limit + 1)
            except zlib.error as error:
                if has_begun or name != "deflate":
                    raise ResponseError(f"the answer is not {name}, as it says: {describe(error)}") from None
                inflate = zlib.decompressobj(-15)  # some send it without its header
                name, has_begun = "raw deflate", True
                continue
            has_begun = True
            data = inflate.unused_data or inflate.unconsumed_tail
            if piece:
                yield piece
    if has_begun and not inflate.eof:
        raise ResponseError(f"the answer breaks off: its {name} encoding has no end")


class _Redacting(logging.Filter):
    """The HTTP library logs headers of answers for debugging; a server may have put a secret back into one."""

    def filter(self, record: logging.LogRecord) -> bool:
        redact = _redact.get()
        if redact is not None:
            record.msg, record.args = redact(record.getMessage()), ()
        return True


for _name in ("httpcore2.connection", "httpcore2.http11"):
    logging.getLogger(_name).addFilter(_Redacting())
