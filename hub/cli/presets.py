"""`ferrule presets`: the catalogue, searched and shown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...presets import Preset, find_by_repo, list_presets, nearest_names, search_presets
from ..loading import find_kept
from .console import fail, out, print_json

_WIDTH = 120
_SCALES = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([kmbt]?)", re.IGNORECASE)


def _count(text: str | float) -> float:
    """A number of parameters as people write it: 270M, 1.5B, 350000000."""
    match = _NUMBER.fullmatch(str(text).strip())
    if match is None:
        raise typer.BadParameter(f"a number such as 270M or 1.5B is expected, received {text!r}")
    return float(match[1]) * _SCALES[match[2].lower()]


def _one_of(field: str) -> Callable[[str | None], str | None]:
    """What checks that some preset has that value."""

    def check(text: str | None) -> str | None:
        known = sorted({value for preset in list_presets() if (value := getattr(preset, field))})
        if text is not None and text.lower() not in known:
            raise typer.BadParameter(f"one of {', '.join(known)} is expected, received {text!r}")
        return text and text.lower()

    return check


def _given(words: list[str] | None) -> list[str]:
    if any(not word.strip() for word in words or []):
        raise typer.BadParameter(f"a text is expected, received {next(word for word in words if not word.strip())!r}")
    return words or []


def presets(
    query: Annotated[
        list[str] | None,
        typer.Argument(
            help="A preset's name or repository, which shows it in full, or words that all must occur.", callback=_given
        ),
    ] = None,
    family: Annotated[str | None, typer.Option(help="Only of this family.", callback=_one_of("family"))] = None,
    dialect: Annotated[str | None, typer.Option(help="Only those that write calls so.", callback=_one_of("dialect"))] = None,
    max_parameters: Annotated[
        float | None, typer.Option(parser=_count, metavar="N", help="Only those with at most so many parameters, such as 1B.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, a list, instead.")] = False,
) -> None:
    """List the model presets, search them, or show one in full.

    Words are looked for in name, title, family, dialect, licence and repository. Sizes are of the published file, or of a
    repository's weights in bfloat16. A dash stands for what is not known.
    """
    words = " ".join(query or [])
    exact = _named(words)
    meant = [exact] if exact is not None else search_presets(words)
    found = [
        preset
        for preset in meant
        if family in (None, preset.family)
        and dialect in (None, preset.dialect)
        and (max_parameters is None or (preset.parameters or math.inf) <= max_parameters)
    ]
    found.sort(key=lambda preset: (preset.family, preset.parameters or math.inf, preset.name))
    if not meant:
        near = " or ".join(map(repr, nearest_names(words)))
        fail(f"nothing was found for {words!r}; {f'did you mean {near}?' if near else 'leave a word out, or use others'}")
    if as_json:
        print_json([_document(preset) for preset in found])
    elif not found:
        fail(f"no preset{f' found for {words!r}' if words else ''} is like that; leave an option out")
    elif exact is not None:
        _show(exact)
    else:
        _list(found)


def _named(words: str) -> Preset | None:
    """The preset of that name, in any case, or of that repository."""
    name = words.strip().lower()
    return next((preset for preset in list_presets() if preset.name == name), None) or find_by_repo(name.removeprefix("hf://"))


def _list(found: list[Preset]) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("name", "family", "parameters", "size", "context", "dialect", "licence"):
        table.add_column(column, justify="right" if column in ("parameters", "size", "context") else "left")
    for p in found:
        context, licence = p.context_length or "—", f"{p.license or '—'}{' (gated)' if p.gated else ''}"
        table.add_row(p.name, p.family, _rounded(p.parameters), _bytes(p.size), f"{context}", p.dialect or "—", licence)
    # Names are there to be copied: none is cut off where the terminal is narrow, or a pipe
    Console(highlight=False, emoji=False, width=max(out.width, _WIDTH)).print(table)


def _show(preset: Preset) -> None:
    p, page, kept = preset, preset.homepage, find_kept(preset)
    what = "in bfloat16" if p.file is None else p.file.name
    gate = {True: f" (gated: accept it at {page})", False: "", None: f" (may have to be accepted at {page})"}[p.gated]
    rows = {
        "name": p.name,
        "title": p.title,
        "description": p.description,
        "family": p.family,
        "architecture": p.architecture,
        "dialect": p.dialect,
        "parameters": p.parameters and f"{p.parameters} ({_rounded(p.parameters)})",
        "size": p.size and f"{_bytes(p.size)} ({what})",
        "context": p.context_length and f"{p.context_length} tokens",
        "licence": f"{p.license or '—'}{gate}",
        "homepage": page,
        **({} if p.file is None else {"sha256": p.file.sha256}),
        "on this machine": f"{kept}" if kept else "no: it is fetched when it is first used",
        "facts from": "\n".join(p.facts),
        "in Python": f'ferrule.hub.from_preset("{p.name}")',
        # An encoder answers nothing
        **({} if p.dialect is None else {"in a terminal": f'ferrule run "…" --tools tools.py --preset {p.name}'}),
    }
    for key, value in rows.items():
        first, *more = str(value or "—").split("\n")
        out.print(Text.assemble((f"{key:<15}", "bold"), " ", first))
        for line in more:
            out.print(Text(f"{'':<15} {line}"))


def _document(preset: Preset) -> dict[str, Any]:
    """All that is known, for machines: what is not is null."""
    p, repository, kept = preset, preset.repository, find_kept(preset)
    fields = ("name", "title", "description", "family", "architecture", "dialect", "parameters", "context_length", "license")
    return {
        **{field: getattr(p, field) for field in fields},
        "gated": p.gated,
        "homepage": p.homepage,
        "repository": repository and f"hf://{repository.repo}" + (f"@{repository.revision}" if repository.revision else ""),
        "file": p.file and p.file.name,
        "size": p.size,
        "sha256": p.file and p.file.sha256,
        "sources": [{name: value for name, value in vars(source).items() if value is not None} for source in p.sources],
        "kept": kept and str(kept),
        "facts": list(p.facts),
    }


def _rounded(count: int | None) -> str:
    """A number in three digits or so: 121M, 3.09B.

    >>> _rounded(3_085_938_688), _rounded(268_098_176)
    ('3.09B', '268M')
    """
    if count is None:
        return "—"
    return f"{count / 1e9:.3g}B" if count >= 999.5e6 else f"{count / 1e6:.0f}M"


def _bytes(size: int | None) -> str:
    if size is None:
        return "—"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
