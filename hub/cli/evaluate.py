"""`ferrule eval`: accuracy on public benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ...agents import Budget
from ...agents.agent import MIN_CONFIDENCE
from ..evaluation import CATEGORIES, Result, evaluate, read_baseline
from ..loading import from_preset
from .console import err, one_line_errors, out, print_json

app = typer.Typer(help="Accuracy on public benchmarks, with their own checkers.", no_args_is_help=True)


@app.callback()
def evaluation() -> None:
    """Accuracy on public benchmarks, with their own checkers."""


@app.command()
def bfcl(
    category: Annotated[list[str] | None, typer.Option("--category", "-c", help=f"Of {', '.join(CATEGORIES)}.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many cases of each category.")] = None,
    preset: Annotated[str, typer.Option("--preset", "-p", help="A preset name or a path.")] = "needle_3",
    backend: Annotated[str, typer.Option("--backend", "-b", help="numpy, jax, torch or tensorflow.")] = "numpy",
    baseline: Annotated[Path | None, typer.Option(help="Another engine's calls: run its cases, and score both.")] = None,
    output: Annotated[Path | None, typer.Option(help="JSON-lines file of results; what it holds is not run again.")] = None,
    reasoning_tokens: Annotated[int, typer.Option(min=1, help="Most tokens before the calls.")] = Budget.reasoning_tokens,
    min_confidence: Annotated[float, typer.Option(min=0.0, max=1.0, help="Withhold calls below this.")] = MIN_CONFIDENCE,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """The Berkeley Function Calling Leaderboard, single-turn categories: does the agent decide on the right calls?"""
    with one_line_errors():
        others = read_baseline(baseline) if baseline is not None else None
        model = from_preset(preset, backend)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
            task = progress.add_task("bfcl", total=None)
            right = done = 0

            def show(result: Result, total: int) -> None:
                nonlocal right, done
                done, right = done + 1, right + result.ok
                progress.update(task, completed=done, total=total, description=f"bfcl {right / done:.1%} right")

            report = evaluate(
                model,
                category or CATEGORIES,
                limit,
                on_result=show,
                output=output,
                baseline=others,
                budget=Budget(reasoning_tokens=reasoning_tokens),
                min_confidence=min_confidence,
            )
    if as_json:
        print_json(report.to_json())
    else:
        out.print(report.table())
