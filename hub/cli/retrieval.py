"""`ferrule eval retrieval`: are the tools that a request needs among the first few of many?"""

from __future__ import annotations

from typing import Annotated

import typer

from ...agents.retrieval_shortlist import SHOWN
from ..evaluation.retrieval import CATEGORIES, LIVE_CATEGORIES, evaluate_retrieval
from ..loading import from_preset
from .console import one_line_errors, out, print_json, progress_bar
from .options import given, whole_number

_LIVE = ", ".join(LIVE_CATEGORIES)
_WHICH = f"With answers: {', '.join(CATEGORIES)} (these by default), {_LIVE}. Their functions are the catalogue."


def retrieval(
    category: Annotated[list[str] | None, typer.Option("--category", "-c", help=_WHICH)] = None,
    limit: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="At most this many cases of each category.")
    ] = None,
    most: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Tools that count as found.")] = SHOWN,
    preset: Annotated[
        str | None, typer.Option("--preset", "-p", help="A model that gives embeddings, to rank by them, too.", callback=given)
    ] = None,
    backend: Annotated[str, typer.Option("--backend", "-b", help="numpy, jax, torch or tensorflow.", callback=given)] = "numpy",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """The functions of all cases of BFCL as one catalogue: does a request find its own among the first few?"""
    with one_line_errors():
        model = None if preset is None else from_preset(preset, backend)
        with progress_bar("retrieval") as advance:

            def show(done: int, total: int) -> None:
                advance(completed=done, total=total)

            report = evaluate_retrieval(category or CATEGORIES, limit, most=most, model=model, on_case=show)
    if as_json:
        print_json(report.to_json())
    else:
        out.print(report.table())
