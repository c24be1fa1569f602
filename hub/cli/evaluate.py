"""`ferrule eval`: accuracy on public benchmarks."""

from __future__ import annotations

from typing import Annotated

import typer

from ...agents import Budget
from ..evaluation import ALL_CATEGORIES, GROUPS, LEFT_OUT, EvaluationError, Report, Result, evaluate, read_baseline
from ..evaluation.agentdojo import ATTACK, SUITES, Outcome, evaluate_agentdojo
from ..evaluation.grounding import CATEGORIES as GROUNDED
from ..evaluation.grounding import evaluate_grounding
from ..loading import from_preset, weights_sha256
from .calibration import calibration
from .console import fail, one_line_errors, out, print_json, progress_bar
from .multistep import multistep
from .options import MinConfidence, given, report_files, whole_number
from .retrieval import retrieval

app = typer.Typer(help="Accuracy on public benchmarks, with their own checkers.", invoke_without_command=True)
app.command()(multistep)
app.command()(retrieval)
app.command()(calibration)

_WHICH = f"Of {', '.join(ALL_CATEGORIES)}, or of the groups {', '.join(GROUPS)}; several with commas."


@app.callback()
def evaluation(context: typer.Context) -> None:
    """Accuracy on public benchmarks, with their own checkers."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


@app.command()
def bfcl(
    category: Annotated[
        list[str] | None, typer.Option("--categories", "--category", "-c", metavar="NAMES", help=_WHICH, show_default="all")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="N", help="At most this many cases of each category, always the same ones."),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Run the plain loop of calls and observations, too.")] = False,
    preset: Annotated[str, typer.Option("--preset", "-p", help="A preset name or a path.", callback=given)] = "needle_3",
    backend: Annotated[str, typer.Option("--backend", "-b", help="numpy, jax, torch or tensorflow.", callback=given)] = "numpy",
    baseline: Annotated[
        str | None, typer.Option(help="Another engine's calls: run its cases, and score both.", callback=given)
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write everything to this .json file, or a plot to this .svg file.",
            callback=report_files,
        ),
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
    min_confidence: MinConfidence = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """The Berkeley Function Calling Leaderboard: does the agent make the right calls, in one turn and in conversations?"""
    with one_line_errors():
        if plain and baseline is not None:
            raise EvaluationError("two engines to compare with: leave out --plain or --baseline")
        others = read_baseline(baseline) if baseline is not None else None
        names = [name for text in category or ["all"] for name in text.replace(",", " ").split()]
        model = from_preset(preset, backend)
        with progress_bar("bfcl") as advance:
            weights = weights_sha256(preset) if output is not None else ""

            def run(what: str, plain: bool) -> Report:
                right = done = 0

                def show(result: Result, total: int) -> None:
                    nonlocal right, done
                    done, right = done + 1, right + result.ok
                    advance(completed=done, total=total, description=f"{what} {right / done:.1%} right")

                return evaluate(
                    model,
                    names,
                    limit,
                    on_result=show,
                    weights=weights,
                    output=output,
                    baseline=others,
                    budget=Budget(reasoning_tokens=reasoning_tokens),
                    min_confidence=min_confidence,
                    plain=plain,
                )

            report = run("bfcl", plain=False)
            if plain:
                report = report.beside_plain(run("plain loop", plain=True))
        for path in files or ():
            report.write(path)
    if as_json:
        print_json(report.to_json())
        return
    out.print(report.table())
    if report.peer is not None:
        out.print(report.peer.table())
    if category is None:
        out.print(f"left out: {', '.join(f'{name} ({why})' for name, why in LEFT_OUT.items())}")


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


@app.command()
def agentdojo(
    suite: Annotated[list[str] | None, typer.Option("--suite", "-s", help=f"Of {', '.join(SUITES)}; default: all.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="N", help="At most this many user tasks and injection tasks of each suite."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", "-p", help="A preset name or a path; default: a script that obeys.", callback=given),
    ] = None,
    backend: Annotated[str, typer.Option("--backend", "-b", help="numpy, jax, torch or tensorflow.", callback=given)] = "numpy",
    approver: Annotated[
        list[str] | None,
        typer.Option(
            "--approver",
            "-a",
            help="nobody, user (yes to the calls of the user's own plan only), unguarded; default: nobody and user.",
        ),
    ] = None,
    attack: Annotated[str, typer.Option(help="One of AgentDojo's attacks.", callback=given)] = ATTACK,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """AgentDojo: is the user's task done, and are effects made that somebody ordered in what the tools give back?

    Without a preset a scripted model plays the right calls of each task, and obeys every injected instruction that it reads.
    The exit status is 1 where an effect was made that an injection ordered, or filled, and nobody approved.
    """
    with one_line_errors():
        model = from_preset(preset, backend) if preset is not None else None
        with progress_bar("agentdojo") as advance:

            def show(outcome: Outcome, total: int) -> None:
                advance(advance=1, total=total, description=f"agentdojo {outcome.suite}")

            report = evaluate_agentdojo(
                model, suite or SUITES, limit, show, approvers=approver or ("nobody", "user"), attack=attack
            )
    if as_json:
        print_json(report.to_json())
    else:
        out.print(report.table())
    if report.unapproved:
        fail(f"{len(report.unapproved)} effects that nobody approved; the first: {report.unapproved[0]}")
