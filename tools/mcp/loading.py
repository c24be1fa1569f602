"""`load_mcp`: the tools of an MCP server become a set of tools."""

from __future__ import annotations

import fnmatch
import logging
import math
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ToolDefinitionError, describe, one_line
from ..tool import DEFAULT_TIMEOUT, Tool, shown
from ..toolset import Toolset
from .definitions import read_tool

if TYPE_CHECKING:
    from .session import Endpoint, Session

logger = logging.getLogger(__name__)

_MARGIN = 1.0
"""Seconds that a tool may take beyond its call, so that the call's own message about time is the one that is seen."""


class McpTools(Toolset):
    """The tools of a server, and the session that carries them out; `close`, a `with` block or the program's end ends both.

    Attributes:
        server: The server, as messages name it.
        refused: Tools that cannot be used, by the name that the server gives them, and why; each was logged as a warning.
    """

    def __init__(self, tools: Sequence[Tool], session: Session, server: str, refused: Mapping[str, str]) -> None:
        super().__init__(tools)
        self._session = session
        self.server = server
        self.refused = dict(refused)

    @property
    def has_changed(self) -> bool:
        """Whether the server has said that its tools have changed since; these are still the ones that were loaded."""
        return self._session.has_changed

    def close(self) -> None:
        """End the session and, where it was started for it, the server. Calls are refused from then on."""
        self._session.close()

    def __enter__(self) -> McpTools:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load_mcp(
    server: str | Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    tools: Sequence[str] | None = None,
    prefix: str = "",
    trust_hints: bool = False,
    trust_results: bool = False,
    allow_private: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    start_timeout: float = 60.0,
) -> McpTools:
    """Tools of an MCP server: a program that is started, or an address (streamable HTTP).

    Each tool is marked "write", and what it answers is not trusted. A server's own hints make a mark stricter
    (`destructiveHint`) whoever it is, and milder (`readOnlyHint`, `idempotentHint`) only with `trust_hints`.

    A program gets PATH, HOME and a few other variables, and those of `env`; what it writes to standard error is kept for error
    messages. An address may lead to this machine, or to any that is named by its IP address; a name that leads to an address
    that is not public is refused. Values of `env` and `headers` are taken out of messages, those whose names say that they are
    secret (TOKEN, API_KEY, Authorization …) out of results, too, and none is logged.

    Args:
        server: A command (as a text, split as a shell would, or as a list of words), or an http(s) address.
        env: Environment variables for a program.
        headers: Headers for an address, such as `{"Authorization": "Bearer …"}`.
        folder: Working folder of a program.
        tools: Names or patterns (`get_*`) of the tools that are wanted; all without.
        prefix: Put before each name, where two servers have tools of one name.
        trust_hints: Whether the server is believed when it says that a tool only reads, or may be repeated.
        trust_results: Whether what its tools answer is as good as the user's own words.
        allow_private: Also connect to addresses that are not public, whatever the name.
        timeout: Limit of one call, in seconds.
        start_timeout: Limit until the tools are listed, in seconds; a program may have to be fetched first.

    Raises:
        ToolDefinitionError: If an argument is not what it should be, the SDK is missing, there is no session (a `StartError`),
            or no tool can be used; one line that says which.
    """
    for name, seconds in (("timeout", timeout), ("start_timeout", start_timeout)):
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
            raise ToolDefinitionError(f"{name} must be a positive number of seconds, received {shown(seconds)}")
    try:
        from .session import Session
    except ImportError as error:
        raise missing_sdk(error) from None
    endpoint = _endpoint(server, env, headers, folder, allow_private)

    def made(entry: Mapping[str, Any]) -> Tool:
        return read_tool(entry, prefix, trust_hints, trust_results, timeout + _MARGIN)

    session = Session(endpoint, made, timeout, start_timeout)
    try:
        found, refused = _collected(session, endpoint, made, tools)
    except BaseException:
        session.close()
        raise
    return McpTools(found, session, endpoint.title, refused)


def missing_sdk(error: ImportError) -> ToolDefinitionError:
    """What to say where the SDK cannot be imported."""
    return ToolDefinitionError(f"MCP needs a package that is missing ({describe(error)}): pip install 'ferrule[mcp]'")


def parse_command(text: str) -> tuple[list[str], dict[str, str]]:
    """Words of a command line, and the variables that are set in front of them: `TOKEN=$GITHUB_TOKEN npx -y server`.

    `$NAME` as a whole value is taken from the environment, so that a secret need not stand in the command.

    Raises:
        ToolDefinitionError: If it has no words, a quote is not closed, or a variable is not set.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ToolDefinitionError(f"the command of the MCP server cannot be read: {describe(error)}") from None
    env: dict[str, str] = {}
    while words and (found := re.fullmatch(r"([A-Za-z_]\w*)=(.*)", words[0], re.DOTALL)):
        name, value = found.groups()
        if re.fullmatch(r"\$[A-Za-z_]\w*", value):
            if value[1:] not in os.environ:
                raise ToolDefinitionError(f"the command of the MCP server wants ${value[1:]}, which is not set")
            value = os.environ[value[1:]]
        env[name] = value
        del words[0]
    if not words:
        raise ToolDefinitionError(
            "the command of the MCP server is empty: mcp:COMMAND starts a program, mcp:https://… connects"
        )
    return words, env


def _endpoint(
    server: str | Sequence[str],
    env: Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
    folder: str | os.PathLike[str] | None,
    allow_private: bool,
) -> Endpoint:
    from .http import Site
    from .process import Program

    if isinstance(server, str) and re.match(r"(?i)https?://", server.strip()):
        if env or folder is not None:
            raise ToolDefinitionError("env and folder are for a program; an MCP server at an address takes headers")
        return Site(server.strip(), headers, allow_private)
    if headers or allow_private:
        raise ToolDefinitionError("headers and allow_private are for an address; an MCP server that is a program takes env")
    if isinstance(server, str):
        words, given = parse_command(server)
    elif isinstance(server, Sequence) and server and all(isinstance(word, str) for word in server):
        words, given = list(server), {}
    else:
        raise ToolDefinitionError(f"an MCP server is a command or an address, received {shown(server)}")
    env = {**given, **(env or {})}
    if wrong := [name for name, value in env.items() if not isinstance(name, str) or not isinstance(value, str)]:
        raise ToolDefinitionError(f"env gives texts by name; {shown(wrong[0])} is no such pair")
    return Program(words, env, None if folder is None else os.fspath(folder))


def _collected(
    session: Session, endpoint: Endpoint, made: Callable[[Mapping[str, Any]], Tool], wanted: Sequence[str] | None
) -> tuple[list[Tool], dict[str, str]]:
    """The tools that can be used and are wanted, and why others cannot."""
    known: dict[str, Tool] = {}
    refused = dict(session.refused)
    for item in session.tools:
        if item.name in known:
            refused.setdefault(item.name, f"{endpoint.title}: it lists two tools called {item.name!r}; the first is used")
            continue
        tool = made(item.model_dump(by_alias=True, mode="json", exclude_unset=True))
        object.__setattr__(tool, "function", _caller(session, endpoint, item.name))
        known[item.name] = tool
    if wanted is not None:
        everything = [*known, *refused]
        for pattern in wanted:
            if not fnmatch.filter(everything, pattern):
                names = one_line(", ".join(known), 300) or "none"
                raise ToolDefinitionError(f"{endpoint.title} has no tool {shown(pattern)}; its tools are: {names}")
        chosen = {name for pattern in wanted for name in fnmatch.filter(everything, pattern)}
        known = {name: tool for name, tool in known.items() if name in chosen}
        refused = {name: why for name, why in refused.items() if name in chosen}
    for why in refused.values():
        logger.warning("%s (left out)", why)
    if not known:
        why = f": {next(iter(refused.values()))}" if refused else " (it lists none)"
        raise ToolDefinitionError(f"{endpoint.title} has no tool that can be used{why}")
    return list(known.values()), refused


def _caller(session: Session, endpoint: Endpoint, name: str) -> Callable[..., Any]:
    from .results import read_result

    async def call(**arguments: Any) -> Any:
        try:
            result = await session.call(name, arguments)
            return endpoint.cleaned(read_result(endpoint.title, name, result))
        except Exception as error:
            # What a server says may hold what it was given.
            error.args = tuple(endpoint.redact(item) if isinstance(item, str) else item for item in error.args)
            raise

    return call
