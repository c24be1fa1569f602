"""An ordered set of tools, and the one place where a model's call is executed."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .call import ToolCall, ToolResult
from .errors import (
    ArgumentError,
    RetryCall,
    ToolDefinitionError,
    ToolError,
    UnknownToolError,
    describe,
    one_line,
)
from .schema import Schema
from .tool import Tool, make_tool, shown


class Toolset:
    """Tools in a fixed order, with unique names.

    Args:
        tools: Tools, or typed functions that become tools.

    Raises:
        ToolDefinitionError: If two have the same name, or one cannot be a tool.
    """

    def __init__(self, tools: Iterable[Tool | Callable[..., Any]] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for item in tools:
            made = item if isinstance(item, Tool) else make_tool(item)
            if made.name in self._tools:
                raise ToolDefinitionError(f"two tools are called {made.name!r} (rename one: @tool(name=...))")
            self._tools[made.name] = made

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._tools

    def __getitem__(self, name: str) -> Tool:
        """The tool of that name.

        Raises:
            UnknownToolError: If there is none.
        """
        if name in self:
            return self._tools[name]
        near = difflib.get_close_matches(name, self._tools, n=1) if isinstance(name, str) else []
        hint = f"did you mean {near[0]!r}?" if near else f"the tools are: {one_line(', '.join(self._tools), 300) or 'none'}"
        raise UnknownToolError(f"there is no tool called {shown(name)}; {hint}")

    def __repr__(self) -> str:
        return f"Toolset({', '.join(self._tools)})"

    @property
    def names(self) -> tuple[str, ...]:
        """The tools' names, in order."""
        return tuple(self._tools)

    def schemas(self) -> list[Schema]:
        """`{"name", "description", "parameters"}` of every tool, in order."""
        return [item.schema() for item in self]

    def execute(self, call: ToolCall, seconds: float | None = None) -> ToolResult:
        """Runs a call. Whatever the model or the tool did wrong becomes a result that is not ok; nothing raises.

        Only KeyboardInterrupt passes through: it is the user's, not the tool's.

        Args:
            call: What to run.
            seconds: Limit of this call, where the tool's own is none or longer.
        """
        start = time.perf_counter()
        try:
            value = self[call.name].call(call.arguments, seconds)
        except Exception as error:
            return self._failure(call, error, start)
        return ToolResult(call, True, value, seconds=time.perf_counter() - start)

    async def aexecute(self, call: ToolCall, seconds: float | None = None) -> ToolResult:
        """As `execute`, from a coroutine; the cancellation of the caller passes through."""
        start = time.perf_counter()
        try:
            value = await self[call.name].acall(call.arguments, seconds)
        except Exception as error:
            return self._failure(call, error, start)
        return ToolResult(call, True, value, seconds=time.perf_counter() - start)

    def _failure(self, call: ToolCall, error: Exception, start: float) -> ToolResult:
        # Our own errors are sentences for the model; of a stranger's the type says as much as the message.
        message = one_line(error) if isinstance(error, ToolError) else ""
        return ToolResult(
            call,
            False,
            error=message or describe(error),
            retry=isinstance(error, (RetryCall, ArgumentError)),
            seconds=time.perf_counter() - start,
            unknown=getattr(error, "outcome_unknown", False) and not self[call.name].may_repeat,
        )
