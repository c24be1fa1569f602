"""The errors of the tools room.

ToolError
├── ToolDefinitionError   a signature, schema or tools file is wrong (the host's fault: it raises)
├── UnknownToolError      a call names a tool that does not exist
├── ArgumentError         a call's arguments do not satisfy the tool's schema (the model's fault: an observation)
├── RetryCall             raised BY a tool: try this call again with other arguments
└── ToolFailed            raised BY a tool: it failed; adapt, do not repeat the call
    ├── ToolTimeout       the tool passed its time limit
    └── ToolResultError   the tool's result is not JSON, or too large

Every message is one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


def one_line(text: object, limit: int = 600) -> str:
    """`text` on one line: runs of white space become one space, and what passes `limit` characters is cut."""
    # Surrogates cannot be written to a log or a terminal, so they are shown as escapes.
    printable = " ".join(str(text).split()).encode("utf-8", "backslashreplace").decode("utf-8")
    return printable if len(printable) <= limit else printable[: limit - 1] + "…"


def describe(error: BaseException) -> str:
    """An exception as `TypeName: message` on one line; also when its `__str__` is broken."""
    try:
        message = one_line(error)
    except Exception:
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


class ToolError(Exception):
    """Base of all errors of this room; the message is kept on one line.

    Attributes:
        outcome_unknown: whether what the tool was to change may have been changed all the same.
    """

    outcome_unknown: ClassVar[bool] = False

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(message, limit=2000))


class ToolDefinitionError(ToolError):
    """A function, schema or tools file cannot become a tool."""


class UnknownToolError(ToolError):
    """A call names a tool that is not in the set."""


class ArgumentError(ToolError):
    """Arguments do not satisfy the tool's schema.

    Attributes:
        violations: (JSON pointer into the arguments, what is wrong there) pairs.
    """

    def __init__(self, message: object = "", violations: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)


class RetryCall(ToolError):
    """Raise it in a tool to ask the model for the same call with other arguments; the message goes to the model."""


class ToolFailed(ToolError):
    """Raise it in a tool to say that it failed and that the same call would fail again; the message goes to the model."""


class ToolTimeout(ToolFailed):
    """A tool passed its time limit; what was left behind may still come to its end."""

    outcome_unknown = True


class ToolResultError(ToolFailed):
    """A tool returned something that is not JSON, or more of it than allowed."""
