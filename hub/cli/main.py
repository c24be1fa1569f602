"""`ferrule`: the commands, put together."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated

import typer

from .commands import parity, presets
from .evaluate import app as evaluation
from .run import run

app = typer.Typer(
    name="ferrule",
    help="Tool-calling language models on your own machine: from a goal in plain words to executed tool calls.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(presets)
app.command()(parity)
app.add_typer(evaluation, name="eval")


def _version(show: bool) -> None:
    if show:
        typer.echo(f"ferrule {metadata.version('ferrule')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    pass


def main() -> None:
    # A terminal or pipe that cannot show a character gets its escape, not a traceback.
    sys.stdout.reconfigure(errors="backslashreplace")
    app()
