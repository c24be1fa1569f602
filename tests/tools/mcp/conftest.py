"""Servers that really run: one of the official SDK over both transports, and one that misbehaves as it is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ferrule.tools.mcp import McpTools, load_mcp

HERE = Path(__file__).parent
DEMO = [sys.executable, str(HERE / "demo_server.py")]
RAW = [sys.executable, str(HERE / "raw_server.py")]


@pytest.fixture(scope="session")
def demo() -> Iterator[McpTools]:
    """The tools of the SDK's server, over stdin and stdout."""
    with load_mcp(DEMO) as tools:
        yield tools


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The same server over streamable HTTP."""
    with subprocess.Popen([*DEMO, "--http"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


@pytest.fixture(scope="session")
def remote(address: str) -> Iterator[McpTools]:
    with load_mcp(address, headers={"Authorization": "Bearer sesame"}) as tools:
        yield tools


@pytest.fixture(scope="session", params=["stdio", "http"])
def tools(request: pytest.FixtureRequest) -> McpTools:
    """Over both transports, one after the other."""
    return request.getfixturevalue("demo" if request.param == "stdio" else "remote")


@pytest.fixture
def raw() -> Iterator[Callable[..., McpTools]]:
    """``raw("garbage", timeout=1)``: tools of the server that behaves so."""
    opened: list[McpTools] = []

    def load(*behaviour: str, **options: object) -> McpTools:
        opened.append(load_mcp([*RAW, *behaviour], **options))
        return opened[-1]

    yield load
    for found in opened:
        found.close()
