"""Runs a tool's function under a time limit.

A plain function runs on a daemon thread of its own. Python cannot stop a thread: one that passes its limit is left
behind, its result is dropped, and as a daemon it does not keep the process from exiting. An async function gets an
event loop on such a thread and is cancelled at the limit.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from .errors import ToolFailed, ToolTimeout, describe, one_line

logger = logging.getLogger(__name__)

# A coroutine that blocks never sees its cancellation; its thread is given up this many seconds after the limit.
_GRACE = 0.25


class _Job:
    """One function running on a daemon thread; `finish` hands back its value or raises what it raised."""

    def __init__(self, run: Callable[[], Any], name: str, on_done: Callable[[], None] | None = None) -> None:
        self.name = name
        self.done = threading.Event()
        self._value: Any = None
        self._error: BaseException | None = None
        self._on_done = on_done
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._body, run), name=f"tool-{name}", daemon=True)
        self._thread.start()

    def _body(self, run: Callable[[], Any]) -> None:
        try:
            self._value = run()
        except BaseException as error:
            self._error = error
        finally:
            self.done.set()
            if self._on_done is not None:
                self._on_done()

    def finish(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value


def run(function: Callable[..., Any], arguments: dict[str, Any], timeout: float | None, name: str) -> Any:
    """What `function(**arguments)` returns, awaited if it is awaitable.

    Args:
        function: Plain or async function.
        arguments: Keyword arguments.
        timeout: Limit in seconds. None means no limit, and a plain function then runs on the calling thread.
        name: The tool's name, for messages.

    Raises:
        ToolTimeout: If the limit passed.
        ToolFailed: If the function called `sys.exit`, was cancelled from inside, or raised what is no `Exception`.
        Exception: Whatever else the function raised.
    """
    if timeout is None and not inspect.iscoroutinefunction(function):
        return _guarded(lambda: _settle(function(**arguments), None, name), name)
    job = _Job(lambda: _guarded(lambda: _settle(function(**arguments), timeout, name), name), name)
    asynchronous = inspect.iscoroutinefunction(function)
    if not job.done.wait(None if timeout is None else timeout + (_GRACE if asynchronous else 0.0)):
        raise _left_behind(name, timeout)
    return job.finish()


async def arun(function: Callable[..., Any], arguments: dict[str, Any], timeout: float | None, name: str) -> Any:
    """As `run`, from a coroutine: async functions run on the caller's event loop, plain ones on a daemon thread."""
    if inspect.iscoroutinefunction(function):
        process = os.getpid()
        try:
            value = await _limited(function(**arguments), timeout, name)
        except BaseException as error:
            _end_child(process, 1)
            _refuse(error, name)
            raise
        _end_child(process, 0)
        return value
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()

    def wake() -> None:
        # The loop may be closed by the time a tool that was left behind ends.
        if not loop.is_closed():
            loop.call_soon_threadsafe(finished.set)

    job = _Job(lambda: _guarded(lambda: _settle(function(**arguments), timeout, name), name), name, wake)
    try:
        await asyncio.wait_for(finished.wait(), timeout)
    except TimeoutError:
        if not job.done.is_set():
            raise _left_behind(name, timeout) from None
    return job.finish()


def _guarded(body: Callable[[], Any], name: str) -> Any:
    process = os.getpid()
    try:
        value = body()
    except BaseException as error:
        _end_child(process, 1)
        _refuse(error, name)
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            raise ToolFailed(f"tool {name!r} was cancelled from inside") from error
        raise
    _end_child(process, 0)
    return value


def _refuse(error: BaseException, name: str) -> None:
    """ToolFailed for what would end more than the tool: `sys.exit`, and errors of libraries that are no `Exception`.

    Only Ctrl-C, which is the user's, and cancellation are left.
    """
    if isinstance(error, SystemExit):
        raise ToolFailed(f"tool {name!r} tried to end the program: SystemExit: {one_line(error.code, 200)}") from error
    if not isinstance(error, Exception | KeyboardInterrupt | asyncio.CancelledError | GeneratorExit):
        raise ToolFailed(describe(error)) from error


def _end_child(process: int, status: int) -> None:
    """Where a tool forked and its child comes back here, too, the child ends: it must not go on with the program."""
    if os.getpid() != process:
        os._exit(status)


def _settle(value: Any, timeout: float | None, name: str) -> Any:
    """Awaits what a function returned, on an event loop of its own, if there is something to await."""
    if not inspect.isawaitable(value):
        return value
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_limited(value, timeout, name))
    # A loop is already running on this thread, and loops do not nest.
    job = _Job(lambda: asyncio.run(_limited(value, timeout, name)), name)
    job.done.wait()
    return job.finish()


async def _limited(awaitable: Any, timeout: float | None, name: str) -> Any:
    try:
        async with asyncio.timeout(timeout) as limit:
            return await awaitable
    except TimeoutError:
        # The tool's own TimeoutError is an ordinary exception.
        if limit.expired():
            raise _timed_out(name, timeout) from None
        raise


def _timed_out(name: str, timeout: float | None) -> ToolTimeout:
    return ToolTimeout(f"tool {name!r} took longer than its limit of {timeout:g} s and was stopped")


def _left_behind(name: str, timeout: float | None) -> ToolTimeout:
    logger.warning("tool %r passed its limit of %g s; its thread is left behind", name, timeout)
    return ToolTimeout(f"tool {name!r} took longer than its limit of {timeout:g} s and was left behind")
