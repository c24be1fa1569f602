"""Bounds of a parameter, for `Annotated`: what JSON Schema says of numbers and texts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds, all included; read by name (see `constraints.py`)."""

    ge: float | None = None
    le: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
