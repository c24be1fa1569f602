"""The Model Context Protocol: tools of MCP servers become ours, and ours are offered to MCP clients.

>>> from ferrule.tools.mcp import load_mcp
>>> with load_mcp("npx -y @modelcontextprotocol/server-everything") as tools:  # doctest: +SKIP
...     tools["echo"].call({"message": "hello"})
'Echo: hello'

Both need the official SDK, `pip install 'ferrule[mcp]'`, which is imported when they are used.
"""

from .errors import LostError, RefusedError, ResponseError, SessionError, StartError
from .loading import McpTools, load_mcp, parse_command
from .serving import make_server, serve_http, serve_stdio

__all__ = [
    "LostError",
    "McpTools",
    "RefusedError",
    "ResponseError",
    "SessionError",
    "StartError",
    "load_mcp",
    "make_server",
    "parse_command",
    "serve_http",
    "serve_stdio",
]
