"""A server at an address: streamable HTTP, to checked addresses only and within limits of size.

Nothing leaves for another origin: the SDK follows redirects within the server's own (same scheme, host and port) and no others.
Proxies of the environment are not used: behind one, the address that is connected to could not be checked.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

import anyio
import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp_types import JSONRPCError

from ..errors import ToolDefinitionError, describe, one_line
from ..openapi.addresses import is_public, read_address
from .errors import StartError
from .messages import BROKEN_OFF, MAX_MESSAGE_BYTES, NOT_SENT, UNREADABLE, failure, redactors

_CONNECT = 10.0
"""Seconds to connect; everything else is limited by whoever waits for it."""


class Site:
    """A server to be connected to.

    Args:
        address: http(s) address of its endpoint.
        headers: Sent with every request, to this server only.
        allow_private: Connect to addresses that are not public although the host's name does not say so.

    Raises:
        ToolDefinitionError: If the address is none, or a header cannot be sent.
    """

    def __init__(self, address: str, headers: Mapping[str, str] | None = None, allow_private: bool = False) -> None:
        base, _, query = address.partition("#")[0].partition("?")
        try:
            parsed = read_address(base)
        except ValueError as error:
            raise ToolDefinitionError(f"MCP server: {error}") from None
        self.headers, self.allow_private = dict(headers or {}), allow_private
        for name, value in self.headers.items():
            if not (
                isinstance(value, str) and value.isascii() and value.isprintable() and name.isascii() and name.isprintable()
            ):
                raise ToolDefinitionError(
                    f"{parsed}: the header {one_line(repr(name), 60)} is not plain ASCII text on one line"
                )
        given = [(name, part) for name, value in self.headers.items() for part in (value, value.partition(" ")[2])]
        given += [(name, value) for name, _, value in (pair.partition("=") for pair in query.split("&"))]
        in_messages, in_results = redactors(given)
        self.redact, self.cleaned = in_messages.text, in_results.value
        self.address, self.title = base + (f"?{query}" if query else ""), f"MCP server {one_line(str(parsed), 80)!r}"
        self.has_ended = False

    def why(self) -> str:
        """What is known of how the session ended."""
        return "the connection was closed" if self.has_ended else "no answer"

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[Any, Any]]:
        """Messages of the server, and where messages to it go."""
        timeout = httpx2.Timeout(None, connect=_CONNECT)
        headers = {"Accept-Encoding": "identity", **self.headers}
        try:
            client = httpx2.AsyncClient(
                transport=_Checked(self), headers=headers, timeout=timeout, trust_env=False, follow_redirects=False
            )
        except (ValueError, TypeError) as error:
            raise StartError(f"{self.title}: {self.redact(describe(error))}") from None
        async with (
            client,
            streamable_http_client(self.address, http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES) as streams,
        ):
            try:
                yield streams
            finally:
                self.has_ended = True


class _Checked(httpx2.AsyncBaseTransport):
    """Sends requests to addresses that were checked; what goes wrong with one becomes its answer, and not the session's end."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.inner = httpx2.AsyncHTTPTransport(trust_env=False)

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = one_line(request.url.host, 100)
        try:
            response = await self._sent(request)
            return await self._read(request, response)
        except _Forbidden as error:
            return _failed(NOT_SENT, str(error))
        except httpx2.ConnectTimeout:
            return _failed(NOT_SENT, f"{host} was not reached within {_CONNECT:g} s")
        except httpx2.ConnectError as error:
            return _failed(NOT_SENT, f"cannot connect to {host}: {describe(error)}")
        except httpx2.TransportError as error:
            return _failed(BROKEN_OFF, f"{host} broke the connection off: {describe(error)}")

    async def _sent(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        if _is_named_by_user(host):
            return await self.inner.handle_async_request(request)
        try:
            found = await anyio.getaddrinfo(host, request.url.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise _Forbidden(f"the host {one_line(host, 100)!r} is not found: {describe(error)}") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        allowed = [address for address in addresses if self.site.allow_private or is_public(address.partition("%")[0])]
        if not allowed:
            raise _Forbidden(
                f"the host {one_line(host, 100)!r} is at {one_line(', '.join(addresses), 100)}, which is no public address; "
                "load_mcp(..., allow_private=True) allows it, and so does the address itself in place of the name"
            )
        for address in allowed:
            # To the address that was checked: the name is not looked up a second time.
            placed = httpx2.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self.inner.handle_async_request(placed)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if address == allowed[-1]:
                    raise
        raise AssertionError("unreachable")

    async def _read(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        """The answer, read to its end unless it is a stream of events; a status that is no success says so in its body."""
        encoding = response.headers.get("content-encoding", "identity").lower()
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if encoding not in ("", "identity"):
            await response.aclose()
            return _failed(UNREADABLE, f"the answer is encoded as {one_line(encoding, 60)!r}, which was not asked for")
        if kind == "text/event-stream" and response.status_code < 300:
            return response
        body = bytearray()
        try:
            async for piece in response.stream:  # type: ignore[union-attr]
                body += piece
                if len(body) > MAX_MESSAGE_BYTES:
                    return _failed(UNREADABLE, f"the answer is larger than {MAX_MESSAGE_BYTES} bytes; the rest was not read")
        finally:
            await response.aclose()
        status = response.status_code
        if status >= 400 and request.method == "POST" and not _is_protocol_error(bytes(body)):
            # A session that the server has forgotten ends before anything is done.
            code = NOT_SENT if status in (401, 403, 404, 405, 406, 415, 429) else BROKEN_OFF
            return _failed(code, f"the server answered with status {_named(status)}", status)
        headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"transfer-encoding"]
        return httpx2.Response(status, headers=headers, content=bytes(body))


class _Forbidden(Exception):
    """A request that is not sent."""


def _is_named_by_user(host: str) -> bool:
    """Whether the address itself says where it leads: an IP address, or this machine by name."""
    if host.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _failed(code: int, message: str, status: int = 502) -> httpx2.Response:
    content = failure(code, message).model_dump_json(by_alias=True)
    return httpx2.Response(status, headers={"content-type": "application/json"}, content=content.encode())


def _is_protocol_error(body: bytes) -> bool:
    try:
        JSONRPCError.model_validate({"id": None, **json.loads(body)})
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
