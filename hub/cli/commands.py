"""`ferrule parity`."""

from __future__ import annotations

import math
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ...core import available_backends, get_backend
from ..parity import TOLERANCE, Parity, measure_parity
from .console import err, fail, one_line_errors, out, print_json
from .options import given, number, whole_number

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


def parity(
    preset: Annotated[str, typer.Argument(help="A preset name or a path.", callback=given)] = "needle_3",
    backend: Annotated[
        list[str] | None, typer.Option("--backend", "-b", help="Only these (default: every installed one).")
    ] = None,
    tokens: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Length of the greedy continuations.")] = 32,
    tolerance: Annotated[
        float,
        typer.Option(
            parser=number(0), metavar="X", help="Largest difference over the largest logit of a position that agrees."
        ),
    ] = TOLERANCE,
    as_json: AsJson = False,
) -> None:
    """Compare each backend's logits and greedy tokens with the reference, which is plain NumPy."""
    with one_line_errors():
        names = backend or available_backends()
        for name in names:
            get_backend(name)
        results = []
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
            task = progress.add_task(f"numpy reference, then {', '.join(names)}", total=None)
            for result in measure_parity(preset, names, tokens, tolerance):
                results.append(result)
                progress.update(task, description=f"{result.backend} done")
    if as_json:
        print_json([_measured(result) for result in results])
    else:
        table = Table("backend", "max abs", "max rel", "greedy tokens equal", "load s", box=None, header_style="bold")
        for r in results:
            equal = f"{r.greedy_equal}/{r.greedy_tokens}"
            table.add_row(r.backend, f"{r.max_abs:.1e}", f"{r.max_rel:.1e}", equal, f"{r.load_seconds:.1f}")
        out.print(table)
    wrong = [f"{result.backend} ({_disagreement(result)})" for result in results if not result.agrees]
    if wrong:
        fail(f"not as the NumPy reference: {', '.join(wrong)}")


def _measured(result: Parity) -> dict[str, object]:
    """What JSON can carry: a difference that is no number is null."""
    numbers = {name: None if isinstance(x, float) and not math.isfinite(x) else x for name, x in vars(result).items()}
    return {**numbers, "finite": result.finite, "agrees": result.agrees}


def _disagreement(result: Parity) -> str:
    if not result.finite:
        return "logits are not finite"
    if result.max_rel > result.tolerance:
        return f"logits differ by {result.max_rel:.1e}, {result.tolerance:.1e} allowed"
    return f"{result.greedy_equal} of {result.greedy_tokens} greedy tokens equal"
