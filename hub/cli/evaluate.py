"""`ferrule eval`: accuracy on public benchmarks."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ...agents import Budget
from ...agents.agent import MIN_CONFIDENCE
from ..evaluation import ALL_CATEGORIES, CATEGORIES, Result, evaluate, read_baseline
from ..evaluation.grounding import CATEGORIES as GROUNDED
from ..evaluation.grounding import evaluate_grounding
from ..loading import from_preset, weights_sha256
from .console import err, one_line_errors, out, print_json
from .options import MinConfidence, given, whole_number

app = typer.Typer(help="Accuracy on public benchmarks, with their own checkers.", invoke_without_command=True)

_FURTHER = ", ".join(name for name in ALL_CATEGORIES if name not in CATEGORIES)
_WHICH = f"Of {', '.join(CATEGORIES)} (all of these by default), {_FURTHER} (only when asked for)."


@app.callback()
def evaluation(context: typer.Context) -> None:
    """Accuracy on public benchmarks, with their own checkers."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


@app.command()
def bfcl(
    category: Annotated[list[str] | None, typer.Option("--category", "-c", help=_WHICH)] = None,
    limit: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="At most this many cases of each category.")
    ] = None,
    preset: Annotated[str, typer.Option("--preset", "-p", help="A preset name or a path.", callback=given)] = "needle_3",
    backend: Annotated[str, typer.Option("--backend", "-b", help="numpy, jax, torch or tensorflow.", callback=given)] = "numpy",
    baseline: Annotated[
        str | None, typer.Option(help="Another engine's calls: run its cases, and score both.", callback=given)
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            help="JSON-lines file of results; those that it holds of this preset, weights and version are not run again.",
            callback=given,
        ),
    ] = None,
    reasoning_tokens: Annotated[
        int, typer.Option(parser=whole_number, metavar="N", help="Most tokens before the calls.")
    ] = Budget.reasoning_tokens,
    min_confidence: MinConfidence = MIN_CONFIDENCE,
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
                weights=weights_sha256(preset) if output is not None else "",
                output=output,
                baseline=others,
                budget=Budget(reasoning_tokens=reasoning_tokens),
                min_confidence=min_confidence,
            )
    if as_json:
        print_json(report.to_json())
    else:
        out.print(report.table())


@app.command()
def grounding(
    category: Annotated[
        list[str] | None, typer.Option("--category", "-c", help=f"With answers; default: {', '.join(GROUNDED)}.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="At most this many cases of each category.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Strict grounding on BFCL's gold answers, without a model: how many it refuses, and how many wrong values it catches."""
    with one_line_errors():
        report = evaluate_grounding(category or GROUNDED, limit)
    if as_json:
        print_json(report.to_json())
        return
    for case, what in report.refused.items():
        out.print(f"{case}: {', '.join(what)}", markup=False)
    out.print(f"refused: {len(report.refused)} of {report.cases} gold answers ({report.false_refusals:.1%})")
    out.print(
        f"caught: {report.caught_numbers} of {report.numbers} wrong numbers, {report.caught_texts} of {report.texts} texts"
    )
