"""The front door: models by preset name, and the command line."""

from .errors import FetchError, HubError, PresetError
from .loading import from_preset

__all__ = ["FetchError", "HubError", "PresetError", "from_preset"]
