"""Values of options: each is checked here, and what is wrong is said with the value that was received."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

import typer


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


MinConfidence = Annotated[
    float,
    typer.Option(
        parser=number(0, 1),
        metavar="X",
        help="Withhold calls that are less likely to be right than this, 0 to 1, by the model's own account.",
    ),
]
