"""A session with a server, kept open by a thread of its own with an event loop, so that plain and async callers share it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from mcp import ClientSession, MCPError
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp_types import (
    CONNECTION_CLOSED,
    INVALID_PARAMS,
    UNSUPPORTED_PROTOCOL_VERSION,
    CallToolResult,
    Implementation,
    InputRequiredResult,
    PaginatedRequestParams,
    Tool,
    ToolListChangedNotification,
)
from mcp_types.methods import validate_server_result
from pydantic import ValidationError

from ..errors import RetryCall, ToolDefinitionError, ToolFailed, ToolTimeout, describe, one_line
from .errors import LostError, RefusedError, ResponseError, SessionError, StartError
from .messages import BROKEN_OFF, NOT_SENT, UNREADABLE, is_ours, quiet

logger = logging.getLogger(__name__)

_MAX_TOOLS = 10_000
_CLOSING = 6.0
"""Seconds that closing may take; a server that does not end by itself is killed before."""


class Endpoint(Protocol):
    """Where a server is: a `Program` or a `Site`."""

    title: str
    has_ended: bool

    def redact(self, text: str, /) -> str: ...
    def cleaned(self, value: Any, /) -> Any: ...
    def why(self) -> str: ...
    def open(self) -> Any: ...


class Session:
    """An open session; `close`, the end of the program, or nobody holding it any more, ends it and the server's process.

    Args:
        endpoint: Where the server is.
        check: Is shown every tool as the server lists it, and raises ToolDefinitionError for one that cannot be ours.
        timeout: Limit of one call, in seconds.
        start_timeout: Limit until the tools are listed, in seconds.

    Attributes:
        tools: What the server lists, as the SDK reads it.
        refused: Why the others cannot be used, by name.

    Raises:
        StartError: If there is no session.
    """

    def __init__(
        self, endpoint: Endpoint, check: Callable[[dict[str, Any]], object], timeout: float, start_timeout: float
    ) -> None:
        self._worker = _Worker(endpoint, check, timeout, start_timeout)
        self.refused = self._worker.refused
        # The thread holds the worker and not the session, so that the session can be forgotten.
        self._close = weakref.finalize(self, self._worker.stop)
        try:
            self.tools = self._worker.start()
        except BaseException:
            self._close()
            raise

    @property
    def has_changed(self) -> bool:
        """Whether the server has said since that its tools have changed."""
        return self._worker.has_changed

    def close(self) -> None:
        """End the session; what is being called is told that nobody knows its outcome."""
        self._close()

    async def call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        """The result of a tool, from any event loop; a caller that is cancelled has the server told so.

        Raises:
            RetryCall: If the server says that the arguments are wrong.
            ToolTimeout: If the time limit passed.
            ToolFailed: If there is no result; see errors.py.
        """
        return await asyncio.wrap_future(self._worker.submit(name, arguments))


class _Worker:
    def __init__(
        self, endpoint: Endpoint, check: Callable[[dict[str, Any]], object], timeout: float, start_timeout: float
    ) -> None:
        self.endpoint, self.check, self.timeout, self.start_timeout = endpoint, check, timeout, start_timeout
        self.refused: dict[str, str] = {}
        self.has_changed = False
        self._listed: Future[list[Tool]] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main_task: asyncio.Task[None] | None = None
        self._session: ClientSession | None = None
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="mcp", daemon=True)

    # -- called from other threads --------------------------------------------------------------------------------------

    def start(self) -> list[Tool]:
        title = self.endpoint.title
        self._thread.start()
        try:
            return self._listed.result(self.start_timeout)
        except TimeoutError:
            if self._listed.done():
                raise
            raise StartError(
                f"{title} was not ready within {self.start_timeout:g} s: {self.endpoint.why()} "
                "(load_mcp(..., start_timeout=...) gives it longer)"
            ) from None

    def stop(self) -> None:
        self._is_ending = True
        loop, task = self._loop, self._main_task
        if loop is not None and task is not None and self._thread.is_alive():
            try:
                loop.call_soon_threadsafe(task.cancel)
            except RuntimeError:  # closed meanwhile
                return
            if threading.current_thread() is not self._thread:
                self._thread.join(_CLOSING)

    def submit(self, name: str, arguments: dict[str, Any]) -> Future[CallToolResult]:
        if self._is_ending or self._loop is None:
            raise SessionError(f"the session with {self.endpoint.title} is closed (load its tools again)")
        if self.endpoint.has_ended:
            raise SessionError(f"{self.endpoint.title} has ended: {self.endpoint.why()} (load its tools again)")
        call = self._call(name, arguments)
        try:
            return asyncio.run_coroutine_threadsafe(call, self._loop)
        except RuntimeError:
            call.close()
            raise SessionError(f"the session with {self.endpoint.title} is closed (load its tools again)") from None

    # -- the thread -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        quiet.set(True)
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._is_ending = True
            if not self._listed.done():
                self._listed.set_exception(self._start_error(error))
            elif not isinstance(error, asyncio.CancelledError):
                logger.debug("the session with %s ended: %s", self.endpoint.title, describe(_leaf(error)))

    async def _main(self) -> None:
        self._loop, self._main_task = asyncio.get_running_loop(), asyncio.current_task()
        if self._is_ending:
            return
        try:
            async with self.endpoint.open() as (received, sent):
                dispatcher = _Dispatcher(received, sent, self._sorted)
                information = Implementation(name="ferrule", version="0.1")
                async with ClientSession(
                    dispatcher=dispatcher, client_info=information, message_handler=self._notice
                ) as session:
                    self._session = session
                    await _negotiate(session)
                    self._listed.set_result(await _all_tools(session))
                    await asyncio.Event().wait()
        finally:
            self._is_ending = True

    def _start_error(self, error: BaseException) -> Exception:
        leaf, title = _leaf(error), self.endpoint.title
        if isinstance(leaf, ToolDefinitionError):
            return leaf
        if isinstance(leaf, MCPError):
            if leaf.code == CONNECTION_CLOSED and self.endpoint.has_ended:
                return StartError(f"{title} ended before its tools were listed: {self.endpoint.why()}")
            return StartError(f"{title}: {self.endpoint.redact(one_line(leaf.message, 400))}")
        if isinstance(leaf, ValidationError):
            return StartError(f"{title} does not keep to the protocol: {_first(leaf)}")
        return StartError(f"{title}: no session: {self.endpoint.redact(describe(leaf))}")

    async def _notice(self, message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            self.has_changed = True
            logger.info("%s has changed its tools; load them again to see which", self.endpoint.title)

    def _sorted(self, listing: dict[str, Any]) -> dict[str, Any]:
        """A page of tools without those that cannot be ours: one that is wrong does not cost the others."""
        entries = listing.get("tools")
        if not isinstance(entries, list):
            return listing
        kept: list[Any] = []
        version = self._session.protocol_version if self._session is not None else None
        for entry in entries:
            try:
                if not isinstance(entry, dict):
                    raise ToolDefinitionError(f"a tool must be a JSON object, received {one_line(repr(entry), 80)}")
                self.check(entry)
                if version is not None:
                    validate_server_result("tools/list", version, {**listing, "tools": [entry]})
                Tool.model_validate(entry, by_name=False)
            except (ToolDefinitionError, ValidationError) as error:
                name = entry.get("name") if isinstance(entry, dict) else None
                shown = one_line(name if isinstance(name, str) else repr(name), 80)
                why = f"tool {shown!r}: {_first(error)}" if isinstance(error, ValidationError) else str(error)
                self.refused[shown] = f"{self.endpoint.title}: {why}"
            except KeyError:
                kept.append(entry)  # a version that the SDK has no rules for
            else:
                kept.append(entry)
        return {**listing, "tools": kept}

    async def _call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        assert self._session is not None
        quiet.set(True)  # this task has the variables of its caller
        title, start = self.endpoint.title, time.monotonic()
        try:
            async with asyncio.timeout(self.timeout):
                result = await self._session.call_tool(name, arguments, allow_input_required=True, allow_claimed=True)
        except TimeoutError:
            raise ToolTimeout(f"{title} took longer than the limit of {self.timeout:g} s for {name}") from None
        except asyncio.CancelledError:
            if self._is_ending:  # otherwise it is the caller's
                raise LostError(f"the session with {title} was closed before {name} was answered") from None
            raise
        except MCPError as error:
            raise self._failed(name, error) from None
        except ValidationError as error:
            raise ResponseError(f"{title}: the result of {name} does not keep to the protocol: {_first(error)}") from None
        except RuntimeError as error:
            raise ResponseError(f"{title}: {name}: {_promised(error)}") from None
        logger.debug("%s: %s answered after %.3f s", title, name, time.monotonic() - start)
        if isinstance(result, InputRequiredResult):
            raise ToolFailed(f"{title}: {name} asks its user for more while it runs, which cannot be answered here")
        if not isinstance(result, CallToolResult):
            raise ResponseError(f"{title}: {name} answered with something that is no result of a tool")
        return result

    def _failed(self, name: str, error: MCPError) -> ToolFailed | RetryCall:
        title, said = self.endpoint.title, self.endpoint.redact(one_line(error.message, 400))
        if is_ours(error.data):
            kinds = {NOT_SENT: SessionError, BROKEN_OFF: LostError, UNREADABLE: ResponseError}
            return kinds.get(error.code, LostError)(f"{title}: {name}: {said}")
        if error.code == CONNECTION_CLOSED and self._is_ending:
            return LostError(f"the session with {title} was closed before {name} was answered")
        if error.code == CONNECTION_CLOSED:
            how = self.endpoint.why() if self.endpoint.has_ended else said
            return LostError(f"{title} ended before {name} was answered: {how}")
        if error.code == INVALID_PARAMS:
            return RetryCall(f"{name}: {said}")
        return RefusedError(f"{title} refused {name}: {said} (code {error.code})", error.code)


class _Dispatcher(JSONRPCDispatcher[Any]):
    """Shows listings before the SDK reads them, which gives a whole page up for one tool that is wrong."""

    def __init__(self, received: Any, sent: Any, sort: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__(received, sent)
        self._sort = sort

    async def send_raw_request(self, method: str, *args: Any, **options: Any) -> dict[str, Any]:
        answer = await super().send_raw_request(method, *args, **options)
        return self._sort(answer) if method == "tools/list" else answer


async def _negotiate(session: ClientSession) -> None:
    """Agrees on a version: of the present protocol, or by the handshake of the versions before it."""
    for _ in range(2):
        try:
            await session.discover()
            return
        except (MCPError, RuntimeError, ValidationError):
            pass
        try:
            await session.initialize()
            return
        except MCPError as error:
            # One that was slow to start has taken the first question late, and then speaks the present protocol only.
            if error.code != UNSUPPORTED_PROTOCOL_VERSION:
                raise
    await session.discover()


async def _all_tools(session: ClientSession) -> list[Tool]:
    tools: list[Tool] = []
    cursors: set[str] = set()
    cursor: str | None = None
    while True:
        page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor) if cursor is not None else None)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return tools
        if cursor in cursors or len(tools) > _MAX_TOOLS:
            raise StartError(
                f"the list of tools has no end: {len(tools)} so far, and the next page is one that was read already"
            )
        cursors.add(cursor)


def _leaf(error: BaseException) -> BaseException:
    """The error that a group of tasks ended with."""
    while isinstance(error, BaseExceptionGroup):
        inner = error.exceptions
        error = next((e for e in inner if not isinstance(e, asyncio.CancelledError)), inner[0])
    return error


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return one_line("; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found[:2]), 300)


def _promised(error: RuntimeError) -> str:
    """What the SDK found wrong with structured content, in a line."""
    cause = error.__cause__
    if cause is not None and hasattr(cause, "absolute_path"):
        at = "".join(f"/{part}" for part in cause.absolute_path)
        return (
            f"the result breaks its output schema at {at or 'the top level'}: {one_line(getattr(cause, 'message', cause), 200)}"
        )
    return one_line(error, 300)
