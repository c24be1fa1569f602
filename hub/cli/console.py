"""What all commands share: printing, JSON, and one line for an error."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ...agents import AgentError
from ...core import CoreError
from ...models.errors import ModelError
from ...presets import UnknownPresetError
from ...tools.errors import ToolError
from ..errors import HubError

OUR_ERRORS = (AgentError, CoreError, ModelError, ToolError, HubError, UnknownPresetError)

out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output; ASCII only, so that it survives any terminal and pipe."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Callable[..., None]]:
    """A bar on standard error, where that is a terminal; it is moved as in `rich.progress.Progress.update`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield functools.partial(progress.update, progress.add_task(title, total=None))


def printable(text: str) -> str:
    """Text from models, tools and files as a terminal may have it: control characters become escapes, as they are in JSON."""
    return "".join(c if c in "\n\t" or not (c < " " or "\x7f" <= c <= "\x9f") else f"\\u{ord(c):04x}" for c in text)


def say_error(message: str) -> None:
    """One line on standard error."""
    err.print(Text.assemble(("error:", "red"), " ", printable(" ".join(message.split()))))


def fail(message: str, code: int = 1) -> NoReturn:
    """One line on standard error, then exit."""
    say_error(message)
    raise typer.Exit(code)


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """What tools, and programs that they start, print meanwhile goes to standard error: the document stays alone."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def one_line_errors(worded: Callable[[str], str] = str) -> Iterator[None]:
    """Our own errors become one line and status 1; anything else is a fault of ours and keeps its traceback.

    Args:
        worded: says their messages in other words.
    """
    try:
        yield
    except OUR_ERRORS as error:
        fail(worded(str(error)))
    except KeyboardInterrupt:
        fail("interrupted", 130)
