"""Messages of the protocol that are made on this side, and what is kept out of messages, results and logs."""

from __future__ import annotations

import contextvars
import logging
import re
import uuid
from collections.abc import Iterable

from mcp_types import ErrorData, JSONRPCError

from ..openapi.security import Redactor

MAX_MESSAGE_BYTES = 16 << 20
"""What one message of a server may have: a picture in it is described and dropped, so it may be larger than a result."""

NOT_SENT, BROKEN_OFF, UNREADABLE = -32095, -32096, -32097

# Only this process knows it: a server cannot pass its own errors off as ours.
_OURS = uuid.uuid4().hex


def failure(code: int, message: str, request_id: int | str | None = None) -> JSONRPCError:
    """An answer in place of the one that will not come."""
    return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=message, data=_OURS))


def is_ours(data: object) -> bool:
    """Whether an error was made by `failure`."""
    return data == _OURS


_SECRET = re.compile("key|token|secret|pass|auth|credential|cookie", re.IGNORECASE)


def redactors(given: Iterable[tuple[str, str]]) -> tuple[Redactor, Redactor]:
    """What takes values that a server was given, by name, out of messages, and what takes them out of its results.

    Messages lose every value but the shortest ("1" and "true" are settings, and a message without them could not be read).
    Results lose those whose names say that they are secret: they may need the others, such as a server's folder.
    """
    long = [(name, value) for name, value in given if len(value) > 4]
    return Redactor(value for _, value in long), Redactor(value for name, value in long if _SECRET.search(name))


quiet: contextvars.ContextVar[bool] = contextvars.ContextVar("quiet", default=False)
"""True in our sessions: what the SDK logs there holds arguments, addresses and headers, and our errors say what went wrong."""


def _is_wanted(_: logging.LogRecord) -> bool:
    return not quiet.get()


for _name in (
    "mcp.client.session",
    "mcp.client.streamable_http",
    "mcp.shared.jsonrpc_dispatcher",
    "httpx2",
    "httpcore2.connection",
    "httpcore2.http11",
):
    logging.getLogger(_name).addFilter(_is_wanted)
