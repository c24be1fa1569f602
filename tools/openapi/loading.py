"""`load_openapi`: a document becomes a set of tools."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..codec import Mismatch, as_is
from ..errors import ToolDefinitionError, ToolFailed
from ..schema import validator, violations
from ..tool import DEFAULT_TIMEOUT, Tool, shown
from ..toolset import Toolset
from .addresses import Servers
from .calling import Call
from .client import Client, Limits
from .document import MAX_DOCUMENT_BYTES, Document
from .keywords import relaxed
from .operations import Operation, Reader, places, selected

_MARGIN = 1.0
"""Seconds that a tool may take beyond its request, so that the request's own message about time is the one that is seen."""


def load_openapi(
    source: str | Path,
    *,
    servers: Sequence[str] | None = None,
    allow_private: bool = False,
    operations: Sequence[str] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    stall: float = 10.0,
) -> Toolset:
    """Tools for the operations of an OpenAPI 3.0 or 3.1 document.

    Secrets come from the environment, `FERRULE_AUTH_<SCHEME>` (see security.py). GET, HEAD, OPTIONS and TRACE are tools with
    the permission "read", DELETE "destructive", all others "write"; `x-ferrule-permission` in an operation says otherwise.

    Args:
        source: Path or http(s) address of the document, JSON or YAML.
        servers: Base addresses that may be called, instead of the document's own; the first is used.
        allow_private: Also connect to addresses that are not public, such as 127.0.0.1 and 10.0.0.1.
        operations: Names of the operations that become tools, "GET /pets/{id}" or patterns such as "get_*"; all without.
        timeout: Limit of one call, in seconds.
        stall: Limit of the time without a new byte of an answer, in seconds.

    Raises:
        ToolDefinitionError: If the document cannot be read, is of another kind or version, refers outside its folder, or
            describes an operation that cannot be; one line that says which.
    """
    for name, seconds in (("timeout", timeout), ("stall", stall)):
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
            raise ToolDefinitionError(f"{name} must be a positive number of seconds, received {shown(seconds)}")
    limits = Limits(total=timeout, stall=min(stall, timeout))
    reader = Client(allow_private, replace(limits, bytes=MAX_DOCUMENT_BYTES))
    document = Document(str(source), lambda address: _fetched(reader, address))
    client = Client(allow_private, limits)
    found = Reader(document, Servers(document.address, document.is_remote, servers))
    chosen = selected(places(document), operations, document.address)
    return Toolset([_tool(found.read(place), client, timeout) for place in chosen])


@dataclass(frozen=True, eq=False)
class OperationTool(Tool):
    """A tool whose schema was checked keyword by keyword when it was translated: thousands of them load in seconds."""

    def __post_init__(self) -> None:
        parameters = self.parameters
        names = dict.fromkeys(parameters["properties"], True) if self.sensitive or self.policies else {}
        object.__setattr__(self, "parameters", {"type": "object", "properties": names})
        super().__post_init__()
        object.__setattr__(self, "parameters", parameters)


def _fetched(client: Client, address: str) -> bytes:
    try:
        return client.fetch(address)
    except (ToolFailed, ValueError) as error:
        raise ToolDefinitionError(f"cannot read {address}: {error}") from None


def _tool(operation: Operation, client: Client, timeout: float) -> Tool:
    parameters = relaxed(operation.schema)
    # Never the schema's defaults: what a server assumes is its own affair, and in a PATCH they would change things.
    decode = as_is if parameters == operation.schema else _exact(operation.schema)
    return OperationTool(
        operation.name,
        operation.description,
        parameters,
        Call(operation, client),
        timeout=timeout + _MARGIN,
        permission=operation.permission,
        idempotent=operation.idempotent,
        decode=decode,
        returns=operation.responses.described(),
    )


def _exact(schema: dict[str, Any]) -> Callable[[Any], Any]:
    """Checks arguments against what a tool's own schema leaves out."""
    checks: list[Any] = []

    def decode(value: Any) -> Any:
        if not checks:
            checks.append(validator(schema))
        if found := violations(checks[0], value):
            at, what = found[0]
            raise Mismatch(what, tuple(step.replace("~1", "/").replace("~0", "~") for step in at.split("/")[1:]))
        return value

    return decode
