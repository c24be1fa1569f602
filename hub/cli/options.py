"""Values of options: each is checked here, and what is wrong is said with the value that was received."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

# what messages name, where they speak to whoever writes Python -> the option that does it
_OPTIONS = {
    "raise Budget(turns=...)": "raise --max-turns",
    "raise Budget(calls=...)": "raise --max-calls",
    "raise Budget(tokens=...)": "raise --max-tokens",
    "raise Budget(turn_tokens=...)": "raise --turn-tokens",
    "raise Budget(seconds=...)": "raise --max-seconds",
    "lower min_confidence": "lower --min-confidence",
    "load_openapi(..., allow_private=True)": "--allow-private",
    "load_openapi(..., servers=['https://...'])": "--server https://...",
    "so allow_private means": "so --allow-private means",
    "so servers means": "so --server means",
    "among the given servers; add it to them": "among those of --server; name it with another --server",
}
GROUNDING: dict[str, bool | Literal["strict"]] = {"strict": "strict", "on": True, "off": False}


def worded(text: str) -> str:
    """A message as it is at the command line: by the names of options, not of Python's arguments."""
    for python, option in _OPTIONS.items():
        text = text.replace(python, option)
    return text


def whole_number(text: str | int) -> int:
    """A number of things, from 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise typer.BadParameter(f"a whole number from 1 is expected, received {text!r}")
    return value


def number(least: float, most: float = math.inf) -> Callable[[str | float], float]:
    """What reads a number between two bounds, both included."""

    def read(text: str | float) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:  # NaN is in no range
            bounds = f"from {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
            raise typer.BadParameter(f"a number {bounds} is expected, received {text!r}")
        return value

    return read


def given(text: str | None) -> str | None:
    """A text that may be left out, but not be empty."""
    if text is not None and not text.strip():
        raise typer.BadParameter(f"a text is expected, received {text!r}")
    return text


def moment(text: str | None) -> str | None:
    """A local date, or date and time."""
    try:
        known = text is None or datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        known = False
    if not known:
        raise typer.BadParameter(f"a local date and time such as '2026-11-22T14:30' is expected, received {text!r}")
    return text


def grounding(text: str) -> str:
    """One of the ways to ask for evidence."""
    if text not in GROUNDING:
        raise typer.BadParameter(f"one of {', '.join(GROUNDING)} is expected, received {text!r}")
    return text


MinConfidence = Annotated[
    float | None,
    typer.Option(
        parser=number(0, 1),
        metavar="X",
        help="Withhold calls that are less likely to be right than this, 0 to 1. Default: the preset's, or 0.1.",
    ),
]
ActConfidence = Annotated[
    float | None,
    typer.Option(
        parser=number(0, 1),
        metavar="X",
        help="Ask about calls that change something and are less likely to be right than this. Default: the preset's.",
    ),
]

Explain = Annotated[
    bool, typer.Option("--explain", help="Show what each value of each call rests on, what was left out or withheld, and why.")
]
AllowPrivate = Annotated[
    bool,
    typer.Option("--allow-private", help="OpenAPI, MCP: also connect to addresses that are not public, such as 127.0.0.1."),
]
Server = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="OpenAPI: a base address that may be called, in place of the document's; may be repeated, the first is used.",
        callback=lambda urls: [given(url) for url in urls] if urls else None,
    ),
]


def openapi_options(source: str, allow_private: bool, servers: list[str] | None) -> dict[str, object]:
    """Those that were given, as `load_tools` takes them for that source."""
    if servers and source.lower().startswith("mcp:"):
        raise typer.BadParameter("--server is for OpenAPI documents, and an MCP server was named; leave it out")
    options: dict[str, object] = {"allow_private": True} if allow_private else {}
    return {**options, "servers": servers} if servers else options


def report_files(paths: list[str] | None) -> list[str] | None:
    """The files of a report: JSON, or a plot."""
    for path in paths or ():
        if Path(path).suffix not in (".json", ".svg"):
            raise typer.BadParameter(f"a .json or .svg file is expected, received {path!r}")
    return paths
