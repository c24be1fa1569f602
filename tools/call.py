"""A call of a tool and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


def canonical(value: Any) -> Any:
    """`value` with numbers that are equal in JSON made the same Python value: 3.0 becomes 3 and -0.0 becomes 0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    return value


@dataclass(frozen=True)
class ToolCall:
    """A request to run one tool.

    Attributes:
        name: The tool's name.
        arguments: JSON object of arguments by parameter name.
        id: What the dialect calls this call, if it names calls at all; no part of `key()`.
    """

    name: str
    arguments: dict[str, Any]
    id: str = ""

    def key(self) -> str:
        """Canonical JSON of name and arguments: calls that mean the same have equal keys, whatever the key order."""
        return json.dumps(
            [self.name, canonical(self.arguments)],
            sort_keys=True,
            separators=(",", ":"),
            default=repr,
        )


@dataclass(frozen=True)
class ToolResult:
    """What came of a call: a JSON value, or an error in one line.

    Attributes:
        call: The call it belongs to.
        ok: True when the tool ran and `value` is its result.
        value: JSON value that the tool returned; None when not ok.
        error: What went wrong, in one line; None when ok.
        retry: True when the same tool with other arguments may work: wrong arguments, or the tool raised `RetryCall`.
        seconds: Wall-clock time of the execution, in seconds.
        unknown: True when nobody knows whether it was carried out: the tool was left behind at its time limit, its connection
            broke, or the program was killed while it ran. It is not ok then.
    """

    call: ToolCall
    ok: bool
    value: Any = None
    error: str | None = None
    retry: bool = False
    seconds: float = 0.0
    unknown: bool = False
