"""Files that an evaluation writes."""

from __future__ import annotations

from pathlib import Path

from ...tools.library.writing import write_whole
from .bfcl import EvaluationError


def write_text(target: Path, text: str) -> None:
    """Write a text file, whole or not at all; EvaluationError where it cannot be written."""
    try:
        write_whole(target, text.encode())
    except OSError as error:
        raise EvaluationError(f"{target} cannot be written ({error.strerror})") from None
