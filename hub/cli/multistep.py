"""`ferrule eval multistep`: our suite of chores that need several calls."""

from __future__ import annotations

from typing import Annotated

import typer

from ..evaluation.multistep import Outcome, evaluate_multistep
from ..loading import from_preset
from .console import one_line_errors, out, print_json, progress_bar
from .options import given, report_files, whole_number


def multistep(
    split: Annotated[
        str, typer.Option(help="train, held-out or all. Nothing may be tuned on the held-out half.", callback=given)
    ] = "train",
    plain: Annotated[bool, typer.Option("--plain", help="Run the plain loop of calls and observations, too.")] = False,
    limit: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="At most this many tasks, spread over the split.")
    ] = None,
    preset: Annotated[str, typer.Option("--preset", "-p", help="A preset name or a path.", callback=given)] = "needle_3",
    backend: Annotated[str, typer.Option("--backend", "-b", help="numpy, jax, torch or tensorflow.", callback=given)] = "numpy",
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write everything to this .json file, or a plot to this .svg file.",
            callback=report_files,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Chores in one message that need two to five calls, judged by what the world is like afterwards."""
    with one_line_errors():
        model = from_preset(preset, backend)
        with progress_bar("multistep") as advance:
            reached = done = 0

            def show(outcome: Outcome, total: int) -> None:
                nonlocal reached, done
                if outcome.loop == "agent":
                    done, reached = done + 1, reached + outcome.ok
                name = f"multistep {reached / done:.0%} reached" if done else "multistep"
                advance(advance=1, total=total, description=name)

            loops = ("agent", "plain") if plain else ("agent",)
            report = evaluate_multistep(model, split.replace("-", "_"), limit, loops, show)
        for path in output or ():
            report.write(path)
    if as_json:
        print_json(report.to_json())
        return
    out.print(report.table())
    if report.ratio is not None:
        out.print(f"the agent reaches {report.ratio:.2f} times as many goals as the plain loop")
