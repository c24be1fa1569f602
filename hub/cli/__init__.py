"""The command line. Every command prints for people, or JSON with `--json`, and fails with one line and a non-zero status."""

from .main import main

__all__ = ["main"]
