"""Gemma 3 prompted for JSON calls: it has no tokens for tools, so everything stands in its ordinary turns.

    <start_of_turn>user⏎SYSTEM⏎⏎…[{TOOL}]⏎⏎QUERY<end_of_turn>⏎<start_of_turn>model⏎{"name": "…", "parameters": {…}}<end_of_turn>

The format is the one of Google's guide to function calling with Gemma; several calls are written one on a line.
"""

from __future__ import annotations

from .family import JsonDialect
from .gemma3 import Gemma3Dialect


class Gemma3JsonDialect(Gemma3Dialect, JsonDialect):
    """Gemma 3, asked for JSON in words."""

    name = "gemma3_json"
    task = """You can call functions. To call one, write nothing but {"name": function name, "parameters": its arguments}; \
to call several, write one such object on each line. Where no function helps, answer in words.
"""
    arguments = "parameters"
    between = "\n"
