"""The catalogue of presets, as data, and its reader."""

from .catalogue import (
    File,
    HubSource,
    PackageSource,
    Preset,
    UnknownPresetError,
    find_by_repo,
    get_preset,
    list_presets,
    name_of,
    search_presets,
)

__all__ = [
    "File",
    "HubSource",
    "PackageSource",
    "Preset",
    "UnknownPresetError",
    "find_by_repo",
    "get_preset",
    "list_presets",
    "name_of",
    "search_presets",
]
