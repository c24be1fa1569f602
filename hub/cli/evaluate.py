"""`ferrule eval`: accuracy on public benchmarks."""

from __future__ import annotations

import typer

app = typer.Typer(help="Accuracy on public benchmarks, with their own checkers.", no_args_is_help=True)


@app.callback()
def evaluation() -> None:
    pass
