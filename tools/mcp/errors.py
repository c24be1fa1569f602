"""The errors of MCP tools, beyond those of every tool.

ToolDefinitionError
└── StartError        the server cannot be started, reached or understood, so there are no tools
ToolFailed
├── SessionError      the call was not sent: the session is closed, or the server has ended
│   └── LostError     it was sent, and the session ended before there was an answer
├── RefusedError      the server answered with an error of the protocol instead of a result
└── ResponseError     the answer is not what the protocol or the tool's output schema promises

A time limit that passed is a `ToolTimeout`; a result with `isError` is a `RetryCall`, and so are arguments that the server
calls wrong.
"""

from __future__ import annotations

from ..errors import ToolDefinitionError, ToolFailed


class StartError(ToolDefinitionError):
    """A session with a server cannot be opened."""


class SessionError(ToolFailed):
    """A call could not be sent."""


class LostError(SessionError):
    """The session ended before there was an answer; the server may have done what it was asked."""

    outcome_unknown = True


class RefusedError(ToolFailed):
    """A JSON-RPC error in place of a result.

    Attributes:
        code: The error's code, such as -32601 for an unknown method.
    """

    def __init__(self, message: object = "", code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class ResponseError(ToolFailed):
    """An answer that breaks a promise: of the protocol, of the tool's output schema, or of a size that can be read."""

    outcome_unknown = True
