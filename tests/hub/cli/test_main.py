from __future__ import annotations

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
