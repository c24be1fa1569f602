"""`ferrule eval calibration`: does an agent's confidence say how often its calls are wanted?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...agents.confidence import MIN_CONFIDENCE, Calibration
from ..evaluation.baseline import read_baseline
from ..evaluation.calibration import evaluate_calibration
from ..loading import from_preset
from .console import one_line_errors, out, print_json, progress_bar
from .options import given, whole_number


def calibration(
    preset: Annotated[str, typer.Option("--preset", "-p", help="A preset name or a path.", callback=given)] = "needle_3",
    backend: Annotated[str, typer.Option("--backend", "-b", help="numpy, jax, torch or tensorflow.", callback=given)] = "numpy",
    without: Annotated[
        Path | None, typer.Option(help="A baseline of BFCL cases (see `eval bfcl`), which are left for its figures.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="At most this many cases of each category.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Fit the confidence of a model's calls on cases of BFCL, and judge the fit on cases that it has not seen."""
    with one_line_errors():
        kept = set() if without is None else set(read_baseline(without))
        model = from_preset(preset, backend)
        fitted = getattr(model, "calibration", None)
        usual = Calibration(1, 0, 0, 0, 0, MIN_CONFIDENCE, MIN_CONFIDENCE) if fitted is None else Calibration.from_json(fitted)
        with progress_bar("calibration") as advance:

            def show(done: int, total: int) -> None:
                advance(completed=done, total=total)

            report = evaluate_calibration(model, usual, without=kept, limit=limit, on_case=show)
    if as_json:
        print_json(report.to_json())
        return
    out.print(report.table())
    for threshold in (0.0, report.calibration.confirm):
        shares = ", ".join(f"{category} {share:.1%}" for category, share in report.kept(threshold).items())
        out.print(f"right with calls below {threshold:g} withheld: {shares}")
    out.print(f"calibration: {dict(vars(report.calibration))}")
