"""Commands run in this process, in a folder of their own."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from ferrule.agents import ScriptedModel
from ferrule.hub.cli.app import app
from typer.testing import CliRunner

TOOLS = '''
import time
from ferrule.tools import tool

@tool
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b

@tool
def crash() -> str:
    """Raises."""
    raise RuntimeError("the [red]line[/red]\\nis down")

@tool(timeout=0.1)
def hang() -> str:
    """Never comes back in time."""
    time.sleep(3)

@tool
def handle() -> object:
    """Gives what is not JSON."""
    return object()
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a file of tools."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tools.py").write_text(TOOLS)
    return tmp_path


@pytest.fixture
def ferrule(folder: Path) -> Callable[..., Result]:
    """``ferrule("presets", "--json")``: status and output of the command; only errors that it does not expect are raised."""

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)

    return call


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ScriptedModel]:
    """``script([ToolCall(…)], "answer")``: what the model of `ferrule run` writes."""

    def write(*turns: object, **options: object) -> ScriptedModel:
        model = ScriptedModel.from_calls(turns, **options)
        for command in ("run", "logs"):
            module = importlib.import_module(f"ferrule.hub.cli.{command}")
            monkeypatch.setattr(module, "from_preset", lambda name, backend: model)
        return model

    return write


@pytest.fixture
def refused(ferrule: Callable[..., Result], folder: Path) -> Callable[..., str]:
    """The one line of a command that fails, which leaves nothing behind."""

    def call(*arguments: object, status: int = 1) -> str:
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        result = ferrule(*arguments)
        assert result.exit_code == status, result.output
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: ")
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
        return line.removeprefix("error: ")

    return call
