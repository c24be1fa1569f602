"""Where requests may go: base addresses of servers, and the network addresses behind a host's name."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from ..errors import ToolDefinitionError, one_line

_PORTS = {"http": 80, "https": 443}
_PATH = "/:@!$&'()*+,;=~-._%"

_NAT64, _NAT64_LOCAL = ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.ip_network("::/96")


@dataclass(frozen=True)
class Address:
    """A base address: scheme ("http" or "https"), host as it is looked up, port, and path without a slash at its end."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def host_header(self) -> str:
        """Host and, where it is not the scheme's own, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.path}"


def read_address(text: str) -> Address:
    """The parts of an absolute http(s) address.

    Raises:
        ValueError: If it is none, or carries a user name, a query or a fragment.
    """
    if re.search(r"[\x00-\x1f\x7f\\]", text):
        raise ValueError(f"{one_line(repr(text), 120)} holds characters that no address has")
    parts = urlsplit(text)
    if parts.scheme not in _PORTS:
        raise ValueError(f"{one_line(text, 120)!r} is no http:// or https:// address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address must not hold a user name or password")
    if parts.query or parts.fragment:
        raise ValueError(f"{one_line(text, 120)!r}: a base address has no query and no fragment")
    host = (parts.hostname or "").rstrip(".")
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    if not host or not re.fullmatch(r"[A-Za-z0-9._:%-]+", host):
        raise ValueError(f"{one_line(text, 120)!r} names no host")
    return Address(parts.scheme, host, parts.port or _PORTS[parts.scheme], quote(parts.path.rstrip("/"), safe=_PATH))


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, as are all the IPv4 addresses that it may carry within it."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and (inner := _inner(ip)) is not None:
        return is_public(str(inner))
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified:
        return False
    return isinstance(ip, ipaddress.IPv4Address) or not (ip.is_site_local or ip in _NAT64_LOCAL)


def _inner(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that packets to an IPv6 address may end at."""
    if ip in _COMPATIBLE or ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


class Servers:
    """Chooses the base address of each operation.

    Args:
        document: Address of the document, against which relative servers are read.
        is_remote: Whether that is an http(s) address.
        given: Base addresses instead of the document's own; None for the document's.

    Raises:
        ToolDefinitionError: If a given one is no http(s) address.
    """

    def __init__(self, document: str, is_remote: bool, given: Sequence[str] | None) -> None:
        self.document = document
        self.is_remote = is_remote
        try:
            self.given = None if given is None else [read_address(text) for text in given]
        except ValueError as error:
            raise ToolDefinitionError(f"servers: {error}") from None
        if self.given == []:
            raise ToolDefinitionError("servers: the list is empty, so nothing may be called")

    def choose(self, levels: Sequence[Any], what: str) -> Address:
        """The first server of the first level that has any.

        Args:
            levels: `servers` of the operation, of its path and of the document, where they are.
            what: The operation, for messages.

        Raises:
            ToolDefinitionError: If there is none, it cannot be read, or is not among the given ones.
        """
        *own, common = levels
        special = next((found for found in own if found), None)
        if self.given is not None and not special:
            return self.given[0]
        listed = special or common or [{"url": "/"}]
        if not isinstance(listed, list) or not isinstance(listed[0], dict):
            raise ToolDefinitionError(f"{self.document}: {what}: servers must be a list of objects")
        address = self._address(listed[0], what)
        if self.given is not None and not any(_origin(address) == _origin(allowed) for allowed in self.given):
            raise ToolDefinitionError(
                f"{self.document}: {what} is served by {address}, which is not among the given servers; add it to them"
            )
        return address

    def _address(self, server: Mapping[str, Any], what: str) -> Address:
        url = _substituted(str(server.get("url", "/")), server.get("variables") or {}, f"{self.document}: {what}")
        if not urlsplit(url).scheme:
            if not self.is_remote:
                raise ToolDefinitionError(
                    f"{self.document}: {what}: the server {url!r} is relative, and the document was not read from an address: "
                    "say where it is with load_openapi(..., servers=['https://...'])"
                )
            url = urljoin(self.document, url)
        try:
            return read_address(url)
        except ValueError as error:
            raise ToolDefinitionError(f"{self.document}: {what}: server: {error}") from None


def _substituted(url: str, variables: Any, where: str) -> str:
    def value(match: re.Match[str]) -> str:
        variable = variables.get(match[1]) if isinstance(variables, dict) else None
        if not isinstance(variable, dict) or "default" not in variable:
            raise ToolDefinitionError(f"{where}: the server {one_line(url, 120)!r} has no default for {{{match[1]}}}")
        return str(variable["default"])

    return re.sub(r"\{([^{}]*)\}", value, url)


def _origin(address: Address) -> tuple[str, str, int]:
    return address.scheme, address.host.lower(), address.port
