"""The catalogue of model presets and agent presets, as data, and its reader."""

from .agent_presets import (
    AgentPreset,
    AgentPresetError,
    ToolEntry,
    get_agent_preset,
    list_agent_presets,
    read_agent_preset,
)
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
    nearest_names,
    search_presets,
)

__all__ = [
    "AgentPreset",
    "AgentPresetError",
    "File",
    "HubSource",
    "PackageSource",
    "Preset",
    "ToolEntry",
    "UnknownPresetError",
    "find_by_repo",
    "get_agent_preset",
    "get_preset",
    "list_agent_presets",
    "list_presets",
    "name_of",
    "nearest_names",
    "read_agent_preset",
    "search_presets",
]
