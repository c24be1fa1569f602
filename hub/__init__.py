"""The front door: models by preset name, and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import FetchError, HubError, ParityError, PresetError

if TYPE_CHECKING:
    from .checkpoints import save_preset
    from .loading import from_preset
    from .publishing import push_to_hub

__all__ = ["FetchError", "HubError", "ParityError", "PresetError", "from_preset", "push_to_hub", "save_preset"]


def __getattr__(name: str) -> Any:
    # Imported when it is asked for, and NumPy and the models with it: the command line must be able to answer before that.
    if name == "from_preset":
        from .loading import from_preset

        return from_preset
    if name == "save_preset":
        from .checkpoints import save_preset

        return save_preset
    if name == "push_to_hub":
        from .publishing import push_to_hub

        return push_to_hub
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
