from __future__ import annotations

import os
import shlex
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


START = [sys.executable, "-c"]


def program(body: str) -> list[str]:
    """A process in which `ferrule` does `body` in place of a command; `out` is the console."""
    return [
        *START,
        "import sys, time, ferrule.hub.cli.app as app\n"
        "from ferrule.hub.cli.console import out, fail\n"
        f"def command():\n    {body}\n"
        "app.app = command\n"
        "from ferrule.hub.cli import main\n"
        "main()",
    ]


def ran(command: list[str], **options) -> tuple[int, bytes, bytes]:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    done = subprocess.run(command, check=False, timeout=120, **options)
    return done.returncode, done.stdout, done.stderr


def test_a_terminal_that_cannot_show_every_character():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    assert ran(program("out.print('→ 5°')"), env=environment) == (0, b"\\u2192 5\\xb0\n", b"")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams(closed):
    line = f"exec {shlex.join([*START, 'from ferrule.hub.cli import main; main()', '--help'])} {closed}"
    status, stdout, stderr = ran(["sh", "-c", line])
    assert (status, stderr) == (0, b"")
    assert bool(stdout) == (">&-" not in closed.replace("2>&-", ""))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_output_that_cannot_be_written_is_one_line_and_the_command_goes_on(tmp_path):
    body = f"out.print('x' * 100_000); open({str(tmp_path / 'done')!r}, 'w').close(); out.print('y')"
    with open("/dev/full", "wb") as full:
        status, _, stderr = ran(program(body), stdout=full)
    assert (status, stderr) == (1, b"error: standard output cannot be written: No space left on device\n")
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize(("ending", "status"), [("pass", 0), ("sys.exit(4)", 4)])
def test_a_reader_that_goes_away_stops_nothing(tmp_path, ending, status):
    body = f"[out.print('x' * 1000) for _ in range(1000)]; open({str(tmp_path / 'done')!r}, 'w').close(); {ending}"
    process = subprocess.Popen(program(body), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"x" * 1000 + b"\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(120) == status
    assert (tmp_path / "done").exists()


def test_interrupted_while_the_commands_are_imported():
    code = (
        "import sys\nclass Interrupt:\n    def find_spec(self, name, *_):\n"
        "        if name == 'numpy': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\nfrom ferrule.hub.cli import main\nmain()"
    )
    assert ran([*START, code, "presets"]) == (130, b"", b"error: interrupted\n")
