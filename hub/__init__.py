"""The front door: models by preset name, and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import FetchError, HubError, ParityError, PresetError

if TYPE_CHECKING:
    from .checkpoints import save_preset
    from .loading import from_preset

__all__ = ["FetchError", "HubError", "ParityError", "PresetError", "from_preset", "save_preset"]


def __getattr__(name: str) -> Any:
    # Imported when it is asked for, and NumPy and the models with it: the command line must be able to answer before that.
    if name == "from_preset":
        from .loading import from_preset

        return from_preset
    if name == "save_preset":
        from .checkpoints import save_preset

        return save_preset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
