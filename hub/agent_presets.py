"""Agents of presets: the data is read, the tools are made, the model is loaded; and an agent becomes such data again.

`Agent.from_preset` and `Agent.save_preset` come here by an entry point (group ``ferrule.agent_presets``): the agents room knows
neither models nor presets.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ..agents import Agent, Budget, Permissions
from ..agents.dates import WEEKDAYS, clock_of
from ..presets import AgentPreset, AgentPresetError, ToolEntry, UnknownPresetError, get_agent_preset
from ..presets.agent_presets import FILE_NAME
from ..tools import Tool, Toolset
from ..tools.library import LIBRARY, Option, Origin, absolute, made, options_of, origin_of
from ..tools.library.writing import write_whole
from .errors import PresetError
from .loading import from_preset

_AGENT = tuple(name for name in inspect.signature(Agent.__init__).parameters if name not in ("self", "model", "tools"))
_SECRET = ("headers", "env")  # options of MCP servers that hold secrets
_RULES = ("min_confidence", "grounding", "retrieve")


def load_agent(name: str | os.PathLike[str], *, model: Any = None, backend: str | None = None, **given: Any) -> Agent:
    """An agent of a preset; see `Agent.from_preset`."""
    preset = find_agent_preset(name)
    ours = {key: given.pop(key) for key in _AGENT if key in given}
    tools = make_tools(preset, given)
    arguments = agent_arguments(preset, ours)
    return Agent(load_model(preset, model, backend), tools, **arguments)


def find_agent_preset(name: str | os.PathLike[str]) -> AgentPreset:
    """The agent preset of a name, a file or a folder.

    Raises:
        PresetError: there is none, or the file is none.
    """
    if not isinstance(name, str | os.PathLike) or not os.fspath(name):
        raise PresetError(f"an agent preset is named by a text or a path, received {name!r}")
    try:
        return get_agent_preset(name)
    except (UnknownPresetError, AgentPresetError) as error:
        raise PresetError(str(error)) from None


def load_model(preset: AgentPreset, model: Any = None, backend: str | None = None) -> Any:
    """The model of an agent: one that was given, loaded where it is a name; or else the preset's."""
    if model is None and preset.model is None:
        raise PresetError(f"the agent preset {preset.name!r} names no model: give one, as a preset's name or loaded (model=…)")
    if model is not None and not isinstance(model, str | os.PathLike):
        if backend is not None:
            raise PresetError("the model is loaded, on a backend of its own: leave backend= out")
        return model
    named = dict(preset.model or {})
    if model is not None:
        return from_preset(model, backend or named.get("backend", "numpy"))
    where = named["preset"] if preset.path is None else _local_model(named["preset"], preset.path.parent)
    try:
        return from_preset(where, backend or named.get("backend", "numpy"), **named.get("options", {}))
    except TypeError as error:
        raise PresetError(f"the agent preset {preset.name!r} has options that models do not have: {error}") from None


def _local_model(name: str, base: Path) -> str:
    """A path beside the preset's file, where there is such a thing; anything else as it is."""
    beside = base / name
    return str(beside) if name.startswith("./") and beside.exists() else name


# -- tools -------------------------------------------------------------------------------------------------------------


def make_tools(preset: AgentPreset, options: Mapping[str, Any]) -> Toolset:
    """The tools of a preset.

    Args:
        options: go before those of the preset: each to the tools that know it.

    Raises:
        PresetError: an option is not known or missing, or a tool that is named is not there.
        ToolDefinitionError: the tools cannot be made.
    """
    entries = [_rooted(entry, preset) for entry in preset.tools]
    known = [_options(entry) for entry in entries]
    if unknown := [option for option in options if not any(option in names for names in known)]:
        there = sorted({name for names in known for name in names})
        raise PresetError(
            f"the agent preset {preset.name!r} has no option {unknown[0]!r}; it has: {', '.join(there) or 'none'}"
        )
    found = []
    for entry, names in zip(entries, known):
        own = {**entry.options, **{name: value for name, value in options.items() if name in names}}
        for option in names.values():
            if option is not None and option.is_required and own.get(option.name) is None:
                raise PresetError(f"the agent preset {preset.name!r} needs {option.name}=…: {option.description}")
        found.append(_chosen(made(Origin(entry.library, entry.source, own)), entry, preset))
    return found[0] if len(found) == 1 else Toolset(tool for tools in found for tool in tools)


def preset_options(preset: AgentPreset) -> list[Option]:
    """What a user may decide about a preset's tools, with the preset's own values as defaults."""
    return [
        dataclasses.replace(
            option,
            default=entry.options.get(option.name, option.default),
            is_required=option.is_required and entry.options.get(option.name) is None,
        )
        for entry in preset.tools
        for option in _options(entry).values()
        if option is not None
    ]


def _options(entry: ToolEntry) -> dict[str, Option | None]:
    """The options of an entry by name; what is only known from the preset is not described."""
    if entry.library is None:
        return dict.fromkeys(entry.options)
    if entry.library not in LIBRARY:
        raise PresetError(f"the library has no tools {entry.library!r}; it has: {', '.join(LIBRARY)}")
    return {option.name: option for option in options_of(entry.library)}


def _rooted(entry: ToolEntry, preset: AgentPreset) -> ToolEntry:
    """The entry, whose paths begin in the preset's folder."""
    if preset.path is None:
        return entry
    base, kinds = preset.path.parent, _options(entry)
    options = {
        name: absolute(value, base) if (option := kinds.get(name)) is not None and option.kind == "path" else value
        for name, value in entry.options.items()
    }
    return dataclasses.replace(entry, options=options, source=absolute(entry.source, base))


def _chosen(tools: Toolset, entry: ToolEntry, preset: AgentPreset) -> Toolset:
    if entry.names is None or entry.names == tools.names:
        return tools
    if missing := [name for name in entry.names if name not in tools]:
        where = entry.library or entry.source
        raise PresetError(
            f"the agent preset {preset.name!r} wants {missing[0]!r} of {where}, which has: {', '.join(tools.names)}"
        )
    return Toolset(tools[name] for name in entry.names)


# -- the rules of a run ------------------------------------------------------------------------------------------------


def agent_arguments(preset: AgentPreset, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `Agent` besides model and tools; what is given goes before what the preset says.

    The clock, if none is given and the instructions do not say either, is now.
    """
    arguments: dict[str, Any] = {name: value for name in _RULES if (value := getattr(preset, name)) is not None}
    seconds = {"seconds": math.inf} if preset.budget.get("seconds") == "unlimited" else {}
    arguments |= {
        "permissions": Permissions(**preset.permissions),
        "budget": Budget(**{**preset.budget, **seconds}),
        "instructions": preset.instructions,
        **given,
    }
    instructions = arguments["instructions"]
    if arguments.get("clock") is None and isinstance(instructions, str) and clock_of(instructions) is None:
        arguments["clock"] = datetime.now().isoformat(timespec="minutes")
    if isinstance(clock := arguments.get("clock"), str) and isinstance(instructions, str) and "{date}" in instructions:
        arguments["instructions"] = instructions.replace("{date}", _said(clock))
    return arguments


def _said(clock: str) -> str:
    """A time as instructions give it: "2026-11-22 Sun 14:30"; what is no time stays, and is refused by the agent."""
    try:
        moment = datetime.fromisoformat(clock)
    except ValueError:
        return clock
    return f"{moment:%Y-%m-%d} {WEEKDAYS[moment.weekday()][:3].title()} {moment:%H:%M}"


# -- back to data ------------------------------------------------------------------------------------------------------


def save_agent(agent: Agent, path: str | os.PathLike[str], *, title: str = "", description: str = "") -> Path:
    """Write an agent's preset; see `Agent.save_preset`."""
    target = Path(path).expanduser()
    target = target if target.suffix == ".json" and not target.is_dir() else target / FILE_NAME
    preset = describe_agent(agent, target, title, description)
    data = json.dumps(preset.to_json(), indent=2, ensure_ascii=False).encode() + b"\n"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, data)
    except OSError as error:
        raise PresetError(f"the agent preset cannot be written to {target}: {error.strerror or error}") from None
    return target


def describe_agent(agent: Agent, target: Path, title: str = "", description: str = "") -> AgentPreset:
    """An agent as data.

    Raises:
        PresetError: a tool cannot be named.
    """
    settings = agent.settings
    instructions = settings.instructions
    if settings.clock is not None:
        instructions = instructions.replace(_said(settings.clock), "{date}")
    budget = dict(vars(settings.budget))
    if math.isinf(budget["seconds"]):
        budget["seconds"] = "unlimited"
    permissions = {**vars(settings.permissions), "tools": dict(settings.permissions.tools)}
    return AgentPreset(
        name=target.stem,
        tools=_entries(agent.tools),
        model=_model(agent.model),
        title=title,
        description=description,
        instructions=instructions,
        permissions={key: value for key, value in permissions.items() if value != {}},
        budget=budget,
        **{name: getattr(settings, name) for name in _RULES},
    )


def _model(model: Any) -> dict[str, Any] | None:
    source = getattr(model, "source", None)
    if not isinstance(source, Mapping):
        return None
    return {key: source[key] for key in ("preset", "backend", "options") if source.get(key)}


def _entries(tools: Toolset) -> tuple[ToolEntry, ...]:
    """What makes these tools; those of one origin together, where the first of them is."""
    groups: list[tuple[Origin, list[str]]] = []
    for tool in tools:
        origin = origin_of(tool)
        if origin is None:
            raise PresetError(f"the tool {tool.name!r} cannot be named in a preset: {_why(tool)}")
        names = next((names for known, names in groups if known == origin), None)
        if names is None:
            groups.append((origin, names := []))
        names.append(tool.name)
    return tuple(
        ToolEntry(o.library, o.source, _plain(o), None if tuple(names) == o.names else tuple(names)) for o, names in groups
    )


def _why(tool: Tool) -> str:
    where = getattr(tool.function, "__module__", None)
    if where == "__main__":
        return "its function is one of the program that runs; put it into a file and load that (load_tools)"
    return "it is not what a file or the library gives under that name; put it into a .py file and load that (load_tools)"


def _plain(origin: Origin) -> dict[str, Any]:
    """The options as JSON; what is not set is left out."""
    options = {name: value for name, value in origin.options.items() if value is not None}
    where = origin.library or origin.source
    if hidden := [name for name in _SECRET if name in options]:
        raise PresetError(
            f"the tools of {where} have {hidden[0]}, which may be secret and is not written; name it in the command"
        )
    try:
        plain = json.loads(json.dumps({k: os.fspath(v) if isinstance(v, os.PathLike) else v for k, v in options.items()}))
    except (TypeError, ValueError) as error:
        raise PresetError(f"the options of the tools of {where} are no JSON: {error}") from None
    return plain
