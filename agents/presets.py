"""How an agent reaches its presets: by an entry point of whoever knows them, since this room knows no models and no data."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from .errors import UsageError

GROUP = "ferrule.agent_presets"
"""The group of entry points: "load" makes an agent of a preset, "save" writes one."""


def door(name: str) -> Callable[..., Any]:
    """What the entry point of that name leads to.

    Raises:
        UsageError: no installed package has one.
    """
    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        raise UsageError(
            f"no installed package knows agent presets (entry point {GROUP}: {name}); install ferrule anew: pip install -e ."
        )
    return found.load()
