"""`ferrule`: the commands, put together."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from .agents import agents
from .chat import chat
from .commands import parity
from .console import say_error
from .evaluate import app as evaluation
from .logs import replay, resume
from .mcp import mcp
from .presets import presets
from .run import run

# Later versions of typer bring a click of their own: this is the class of whichever is in use.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class Commands(TyperGroup):
    """Commands whose usage errors are one line, as every other error is, and status 2."""

    def main(self, *args: Any, **options: Any) -> NoReturn:
        try:
            status = super().main(*args, **{**options, "standalone_mode": False})
        except UsageError as error:
            context = error.ctx
            see = f" (see `{context.command_path} --help`)" if context is not None else ""
            say_error(error.format_message().rstrip(".") + see)
            status = 2
        except typer.Abort:
            say_error("interrupted")
            status = 130
        sys.exit(status if isinstance(status, int) else 0)


app = typer.Typer(
    name="ferrule",
    cls=Commands,
    help="Tool-calling language models on your own machine: from a goal in plain words to executed tool calls.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(chat)
app.command()(resume)
app.command()(replay)
app.command()(presets)
app.command()(agents)
app.command()(parity)
app.command()(mcp)
app.add_typer(evaluation, name="eval")


def _version(show: bool) -> None:
    if show:
        typer.echo(f"ferrule {metadata.version('ferrule')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)
