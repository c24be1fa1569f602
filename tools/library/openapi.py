"""The operations of a web service that an OpenAPI document describes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..loading import load_tools
from ..tool import DEFAULT_TIMEOUT
from ..toolset import Toolset


def make_tools(
    document: str | Path,
    servers: Sequence[str] | None = None,
    allow_private: bool = False,
    operations: Sequence[str] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> Toolset:
    """The operations of a web service that an OpenAPI document describes; secrets come from the environment.

    Args:
        document: The document, JSON or YAML: a path or an http(s) address.
        servers: Base addresses that may be called, instead of the document's own.
        allow_private: Also connect to addresses that are not public, such as 127.0.0.1.
        operations: The operations that are wanted, such as "GET /pets/{id}" or get_*; all without.
        timeout: Limit of one call, in seconds.
    """
    return load_tools(document, servers=servers, allow_private=allow_private, operations=operations, timeout=timeout)
