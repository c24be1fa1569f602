from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata

import pytest


def test_version(ferrule):
    assert ferrule("--version").stdout == f"ferrule {metadata.version('ferrule')}\n"


@pytest.mark.parametrize("command", ["run", "presets", "parity", "eval"])
def test_help(ferrule, command):
    assert f" {command} " in ferrule("--help").stdout
    result = ferrule(command, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_a_terminal_that_cannot_show_every_character():
    code = (
        "import ferrule.hub.cli.main, sys; from ferrule.hub.cli.console import out; cli = sys.modules['ferrule.hub.cli.main'];"
        "cli.app = lambda: out.print('→ 5°'); cli.main()"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"\\u2192 5\\xb0\n", b"")
