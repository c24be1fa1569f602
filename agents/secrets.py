"""Secrets: values that tools need and that neither the model nor a log may see.

The model writes and reads a placeholder, ``{{NAME}}``; the value takes its place when a call is executed, and the other way
round in whatever comes back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .errors import UsageError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}")
_SHORTEST = 6


class Secrets:
    """Values by name.

    Args:
        values: ``{"API_KEY": "…"}``.

    Raises:
        UsageError: a name is no identifier, or a value is too short to be told from ordinary text.
    """

    def __init__(self, values: Mapping[str, str] | None = None):
        self._values = dict(values or {})
        for name, value in self._values.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise UsageError(f"a secret is named by letters, digits and underscores, received {name!r}")
            if not isinstance(value, str) or len(value) < _SHORTEST:
                raise UsageError(
                    f"secret {name}: a value has at least {_SHORTEST} characters, for shorter ones cannot be hidden"
                )
        longest_first = sorted(self._values.items(), key=lambda item: -len(item[1]))
        self._names = {value: name for name, value in longest_first}
        self._found = re.compile("|".join(re.escape(value) for _, value in longest_first) or "(?!)")

    def __bool__(self) -> bool:
        return bool(self._values)

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(self._values)

    def fill(self, value: Any) -> Any:
        """A JSON value with the secrets for their placeholders; unknown ones stay."""
        return _strings(value, lambda text: _PLACEHOLDER.sub(lambda m: self._values.get(m[1], m[0]), text))

    def _placeholder(self, found: re.Match[str]) -> str:
        return "{{" + self._names[found[0]] + "}}"

    def hide(self, value: Any) -> Any:
        """A JSON value with placeholders for the secrets in it, keys included."""
        return _strings(value, lambda text: self._found.sub(self._placeholder, text))


def _strings(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_strings(item, change) for item in value]
    if isinstance(value, dict):
        return {change(key): _strings(item, change) for key, item in value.items()}
    return value
