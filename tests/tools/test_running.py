"""Time limits, threads and event loops."""

import asyncio
import contextvars
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from ferrule.tools import ToolCall, ToolFailed, Toolset, ToolTimeout, tool


def execute(made, **arguments):
    return Toolset([made]).execute(ToolCall(made.name, arguments))


def test_a_tool_that_hangs_is_left_behind():
    release = threading.Event()

    @tool(timeout=0.1)
    def hang() -> str:
        release.wait(30)
        return "late"

    start = time.perf_counter()
    result = execute(hang)
    assert time.perf_counter() - start < 5
    assert not result.ok
    assert "limit of 0.1 s" in result.error
    assert 0.1 <= result.seconds < 5
    with pytest.raises(ToolTimeout):
        hang.call({})
    release.set()


def test_an_async_tool_is_cancelled_at_its_limit():
    cancelled = threading.Event()

    @tool(timeout=0.05)
    async def hang() -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "late"

    with pytest.raises(ToolTimeout, match="stopped"):
        hang.call({})
    assert cancelled.wait(5)
    with pytest.raises(ToolTimeout, match="stopped"):
        asyncio.run(hang.acall({}))


def test_an_async_tool_that_blocks_is_left_behind():
    release = threading.Event()

    @tool(timeout=0.05)
    async def block() -> None:
        release.wait(30)

    with pytest.raises(ToolTimeout, match="left behind"):
        block.call({})
    release.set()


def test_the_process_can_exit_while_a_tool_hangs():
    code = textwrap.dedent("""
        import time
        from ferrule.tools import tool, Toolset, ToolCall

        @tool(timeout=0.1)
        def hang() -> None:
            time.sleep(600)

        print(Toolset([hang]).execute(ToolCall("hang", {})).error)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "limit of 0.1 s" in done.stdout


@pytest.mark.parametrize("timeout", [None, 5])
def test_async_tools_from_plain_and_async_code(timeout):
    @tool(timeout=timeout)
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    @tool(timeout=timeout)
    def later(n: int) -> int:
        return double.function(n)  # a plain function that hands back a coroutine

    async def inside():
        return [await double.acall({"n": 2}), double.call({"n": 3}), await later.acall({"n": 4}), later.call({"n": 5})]

    assert double.is_async
    assert double.call({"n": 1}) == 2
    assert later.call({"n": 1}) == 2
    assert asyncio.run(inside()) == [4, 6, 8, 10]


def test_plain_tools_do_not_block_the_event_loop():
    together = threading.Barrier(3)

    @tool
    def meet() -> int:
        together.wait(10)  # passes only when all three run at once
        return 1

    async def all_three():
        return await asyncio.gather(meet.acall({}), meet.acall({}), meet.acall({}))

    assert asyncio.run(all_three()) == [1, 1, 1]

    @tool(timeout=0.05)
    def hang() -> None:
        time.sleep(1)

    with pytest.raises(ToolTimeout):
        asyncio.run(hang.acall({}))


def test_without_a_limit_a_plain_tool_runs_on_the_calling_thread():
    @tool(timeout=None)
    def here() -> bool:
        return threading.current_thread() is threading.main_thread()

    @tool
    def elsewhere() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert here.call({}) is True
    assert elsewhere.call({}) is False


def test_context_variables_reach_the_tool():
    user = contextvars.ContextVar("user")
    user.set("ada")

    @tool
    def whoami() -> str:
        return user.get()

    assert whoami.call({}) == "ada"


def raising(error, is_async, timeout):
    if is_async:

        async def run() -> None:
            raise error
    else:

        def run() -> None:
            raise error

    return tool(name="run", timeout=timeout)(run)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("timeout", [None, 5])
def test_what_a_tool_raises(is_async, timeout):
    result = execute(raising(SystemExit(3), is_async, timeout))
    assert result.error == "tool 'run' tried to end the program: SystemExit: 3"
    with pytest.raises(ToolFailed):
        asyncio.run(raising(SystemExit(3), is_async, timeout).acall({}))
    # Its own TimeoutError is not our limit.
    assert execute(raising(TimeoutError("db"), is_async, timeout)).error == "TimeoutError: db"
    assert not execute(raising(asyncio.CancelledError(), is_async, timeout)).ok
    # Ctrl-C is the user's.
    with pytest.raises(KeyboardInterrupt):
        execute(raising(KeyboardInterrupt(), is_async, timeout))
