from __future__ import annotations

import json

import pytest
import typer
from ferrule.agents import AgentError
from ferrule.core import CoreError
from ferrule.hub import HubError
from ferrule.hub.cli.console import fail, one_line_errors, print_json
from ferrule.models import ModelError
from ferrule.presets import UnknownPresetError
from ferrule.tools import ToolError


@pytest.mark.parametrize(
    "message", ["plain", "[red]not markup[/red] [/]", r"a\[b] \\", ":smile: x", "naïve 東京", "y" * 500, "a  b"]
)
def test_one_line_that_says_what_was_said(message, capfd):
    with pytest.raises(typer.Exit) as exit:
        fail(message)
    assert exit.value.exit_code == 1
    stdout, stderr = capfd.readouterr()
    assert (stdout, stderr) == ("", f"error: {' '.join(message.split())}\n")


def test_lines_are_joined(capsys):
    with pytest.raises(typer.Exit):
        fail("first\n  second\tthird", 7)
    assert capsys.readouterr().err == "error: first second third\n"


@pytest.mark.parametrize("kind", [AgentError, CoreError, HubError, ModelError, ToolError, UnknownPresetError])
def test_our_errors_become_a_line(kind, capsys):
    with pytest.raises(typer.Exit), one_line_errors():
        raise kind("it is so")
    assert capsys.readouterr().err == "error: it is so\n"


def test_faults_of_ours_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), one_line_errors():
        1 / 0  # noqa: B018


def test_json_survives_any_pipe(capsys):
    print_json({"x": "東京 \ud800"})
    text = capsys.readouterr().out
    assert text.isascii()
    assert json.loads(text) == {"x": "東京 \ud800"}
