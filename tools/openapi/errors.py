"""The errors of OpenAPI tools, beyond those of every tool.

ToolFailed
├── RequestError     the request was not sent: a rule of the host forbids it, no secret, no connection
│   └── UnansweredError  it was sent, and the connection broke before there was an answer
├── ResponseError    the answer is not what the document promises; it never becomes an observation
└── StatusError      the server refused: a status that is no success

A time limit that passed is a `ToolTimeout`; status 400 and 422, and arguments that cannot be sent, are a `RetryCall`.
"""

from __future__ import annotations

from ..errors import ToolFailed


class RequestError(ToolFailed):
    """A request could not be sent."""


class UnansweredError(RequestError):
    """The connection broke before there was an answer; the server may have done what it was asked."""

    outcome_unknown = True


class ResponseError(ToolFailed):
    """An answer that the document does not describe: status, content type, schema, size, redirect, or cut short."""

    outcome_unknown = True


class StatusError(ToolFailed):
    """A status that is no success.

    Attributes:
        status: HTTP status code.
    """

    def __init__(self, message: object = "", status: int = 0) -> None:
        super().__init__(message)
        self.status = status
