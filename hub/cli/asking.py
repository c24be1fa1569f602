"""Asking the person at the terminal: whether a call may be made, and what is missing."""

from __future__ import annotations

import json
import sys

from rich.text import Text

from ...agents import Approve
from .console import err, printable


def can_ask() -> bool:
    """Whether somebody is there: both what is typed and what is shown is a terminal."""
    return sys.stdin.isatty() and err.is_terminal


def approve(request: Approve) -> bool:
    """Show the call, its reasons and where its values come from; anything but "y" or "yes" is a no."""
    err.print(Text.assemble(("? ", "yellow"), (printable(request.call.name), "bold"), " wants your permission:"))
    for name, value in request.call.arguments.items():
        err.print(Text(f"    {printable(name)} = {printable(json.dumps(value, ensure_ascii=False))}"))
    for reason in request.reasons:
        err.print(Text(f"  because {printable(reason)}", "dim"))
    return (_typed("  allow this call? [y/N] ") or "").strip().lower() in ("y", "yes")


def ask(question: str) -> str | None:
    """The reply to a question; None where there is none."""
    err.print(Text.assemble(("? ", "yellow"), printable(question)))
    return _typed("  > ") or None


def _typed(prompt: str) -> str | None:
    err.print(Text(prompt), end="")
    try:
        return sys.stdin.readline().strip()
    except (OSError, ValueError):
        return None
