"""A server that is a program: JSON-RPC messages, one a line, over its standard input and output.

The SDK's own transport joins lines of any length and shows the server's standard error; here lines are bounded, and the last of
what it says on standard error is kept for the message that says why it ended.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import anyio
from anyio.abc import Process
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from ..errors import describe, one_line
from .errors import StartError
from .messages import MAX_MESSAGE_BYTES, UNREADABLE, failure, redactors

_GRACE = 1.0
"""Seconds that a server has to end by itself after its input was closed, and again after SIGTERM."""

# The number of an answer stands before or after its result; a nested object that ends like this is followed by another brace.
_ID_AT_HEAD = re.compile(rb'\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d{1,18})\s*,')
_ID_AT_TAIL = re.compile(rb'"id"\s*:\s*(\d{1,18})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*\Z')


class Program:
    """A server to be started.

    Args:
        words: Program and arguments; no shell is involved.
        env: Variables besides PATH, HOME and the few others that the SDK passes on.
        folder: Working folder.
    """

    def __init__(self, words: Sequence[str], env: Mapping[str, str] | None = None, folder: str | None = None) -> None:
        self.words, self.env, self.folder = list(words), dict(env or {}), folder
        in_messages, in_results = redactors(self.env.items())
        self.redact, self.cleaned = in_messages.text, in_results.value
        shown = shlex.join([os.path.basename(self.words[0]), *self.words[1:]])
        self.title = f"MCP server {one_line(self.redact(shown), 80)!r}"
        self.has_ended = False
        self._process: Process | None = None
        self._last_line = self._garbage = self._broken = ""

    def why(self) -> str:
        """What is known of how the server ended, or why it says nothing."""
        code = self._process.returncode if self._process is not None else None
        if self._broken:
            said = self._broken
        elif not self.has_ended:
            said = "no answer"
        elif code is None:
            said = "it closed its standard output"
        else:
            said = f"it was ended by {_signal_name(-code)}" if code < 0 else f"it ended with status {code}"
        if self._garbage:
            said += f"; it wrote {self._garbage!r} to its standard output, which is no message"
        if self._last_line:
            said += f"; the last line of its standard error: {self._last_line}"
        return self.redact(said)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[Any, Any]]:
        """Starts it; its messages, and where messages to it go.

        Raises:
            StartError: If it cannot be started.
        """
        try:
            process = await anyio.open_process(
                self.words, env=get_default_environment() | self.env, cwd=self.folder, start_new_session=True
            )
        except FileNotFoundError as error:
            what = f"folder {self.folder!r}" if error.filename == self.folder else f"program {self.words[0]!r}"
            raise StartError(f"{self.title}: there is no {self.redact(what)} (check the command)") from None
        except (OSError, ValueError) as error:
            raise StartError(f"{self.title} cannot be started: {self.redact(describe(error))}") from None
        self._process = process
        to_session, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        sent, from_session = anyio.create_memory_object_stream[SessionMessage](0)
        async with anyio.create_task_group() as tasks:
            errors_read = anyio.Event()
            tasks.start_soon(self._keep_last_line, process, errors_read)
            tasks.start_soon(self._receive, process, to_session, errors_read)
            tasks.start_soon(self._send, process, from_session)
            try:
                yield received, sent
            finally:
                self.has_ended = True
                with anyio.CancelScope(shield=True):
                    received.close()
                    sent.close()
                    await _stop(process)
                tasks.cancel_scope.cancel()

    async def _send(self, process: Process, messages: Any) -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            async with messages:
                async for item in messages:
                    text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                    await process.stdin.send(text.encode("utf-8") + b"\n")

    async def _receive(self, process: Process, out: Any, errors_read: anyio.Event) -> None:
        assert process.stdout is not None
        async with out:
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
                async for line in _lines(process.stdout, MAX_MESSAGE_BYTES):
                    if isinstance(line, _TooLong):
                        if line.id is None:
                            self._broken = f"it wrote a line of {line.size} bytes; at most {MAX_MESSAGE_BYTES} are read"
                            break
                        text = f"the answer has {line.size} bytes; at most {MAX_MESSAGE_BYTES} are read"
                        await out.send(SessionMessage(failure(UNREADABLE, text, line.id)))
                    elif line.strip():
                        await self._deliver(line, out)
            # Whoever waits for an answer is told why there is none: how it ended is known a moment after its output closed.
            with anyio.move_on_after(0.5):
                await process.wait()
                await errors_read.wait()
            self.has_ended = True

    async def _deliver(self, line: bytes, out: Any) -> None:
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            # Programs print greetings and warnings; they are no answer, and what is asked may still get one.
            self._garbage = one_line(line[:300].decode("utf-8", "replace"), 80)
            return
        await out.send(SessionMessage(message))

    async def _keep_last_line(self, process: Process, done: anyio.Event) -> None:
        assert process.stderr is not None
        tail = b""
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            async for chunk in process.stderr:
                tail = (tail + chunk)[-4096:]
                lines = [line for line in tail.splitlines() if line.strip()]
                if lines:
                    self._last_line = one_line(lines[-1].decode("utf-8", "replace"), 200)
        done.set()


class _TooLong:
    """A line that was not kept: its size in bytes, and the number of the answer in it, where that can be seen."""

    def __init__(self, size: int, id: int | None) -> None:
        self.size, self.id = size, id


async def _lines(stream: Any, limit: int) -> AsyncIterator[bytes | _TooLong]:
    """Lines of a byte stream; of one with more than `limit` bytes only the ends are looked at."""
    kept, tail, size = bytearray(), b"", 0
    async for chunk in stream:
        *ended, rest = chunk.split(b"\n")
        for part in (*ended, None):
            piece = rest if part is None else part
            size += len(piece)
            if size <= limit:
                kept += piece
            else:
                tail = ((tail or bytes(kept[-256:])) + piece[-256:])[-256:]
                kept += piece[:256]
                del kept[256:]
            if part is None:
                continue
            if size <= limit:
                yield bytes(kept)
            else:
                found = _ID_AT_HEAD.match(kept) or _ID_AT_TAIL.search(tail)
                yield _TooLong(size, int(found[1]) if found else None)
            kept, tail, size = bytearray(), b"", 0


async def _stop(process: Process) -> None:
    """Ends a server and whatever it has started, by the protocol's steps: close its input, SIGTERM, SIGKILL."""
    assert process.stdin is not None
    with contextlib.suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.aclose()
    for order in (None, signal.SIGTERM, signal.SIGKILL):
        if order is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, order)
        with anyio.move_on_after(_GRACE):
            # Not process.wait(), which waits until every child that has inherited the pipes is gone, too.
            while process.returncode is None:
                await anyio.sleep(0.01)
        if process.returncode is not None:
            break
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # children that outlived it
    # Pipes that somebody else has inherited stay open; only asyncio's own object, which anyio does not show, can let them go.
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        transport.close()
        await anyio.sleep(0)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
