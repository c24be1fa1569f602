"""What a tool is: its schema, its arguments, its execution.

`@tool` makes a tool from a typed function, `Tool.from_schema` from JSON Schema, `load_tools` from a file. A `Toolset`
executes a model's calls: arguments are validated first, time is limited, and every fault becomes a `ToolResult`.
"""

from .call import ToolCall, ToolResult
from .effects import effect_key
from .errors import (
    ArgumentError,
    RetryCall,
    ToolDefinitionError,
    ToolError,
    ToolFailed,
    ToolResultError,
    ToolTimeout,
    UnknownToolError,
)
from .loading import load_tools
from .tool import Permission, Policy, Tool, tool
from .toolset import Toolset

__all__ = [
    "ArgumentError",
    "Permission",
    "Policy",
    "RetryCall",
    "Tool",
    "ToolCall",
    "ToolDefinitionError",
    "ToolError",
    "ToolFailed",
    "ToolResult",
    "ToolResultError",
    "ToolTimeout",
    "Toolset",
    "UnknownToolError",
    "effect_key",
    "load_tools",
    "tool",
]
