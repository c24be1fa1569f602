"""Agent presets, as data: the JSON files in `agents/`, and those that a user saves. What makes an agent of one lies elsewhere.

A preset names the model, what makes the tools, and the rules of a run::

    {"description": "…", "model": {"preset": "needle_3"}, "tools": [{"library": "files"}], "instructions": "date: {date}",
     "permissions": {"destructive": "ask"}, "budget": {"turns": 8}, "examples": ["which files are there?"]}

Tools come from the library ("library", with "options") or from what `load_tools` takes ("source": a Python file, an OpenAPI
document, ``mcp:COMMAND``); "names" picks some of them. In instructions, ``{date}`` stands for the time of the run.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from jsonschema import Draft202012Validator

from .catalogue import UnknownPresetError

FILE_NAME = "agent.json"
"""What a preset is called in a folder."""

_TEXT = {"type": "string"}
_NAME = {"type": "string", "minLength": 1}
_VERDICT = {"enum": ["allow", "ask", "deny"]}
_WHOLE = {"type": "integer", "minimum": 1}
_TOOLS = {
    "type": "object",
    "properties": {
        "library": _NAME,
        "source": _NAME,
        "options": {"type": "object"},
        "names": {"type": "array", "items": _NAME, "minItems": 1, "uniqueItems": True},
    },
    "oneOf": [{"required": ["library"]}, {"required": ["source"]}],
    "additionalProperties": False,
}


def _record(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required or [], "additionalProperties": False}


SCHEMA: dict[str, Any] = _record(
    ["model", "tools"],
    title=_TEXT,
    description=_TEXT,
    model={"anyOf": [{"type": "null"}, _record(["preset"], preset=_NAME, backend=_NAME, options={"type": "object"})]},
    tools={"type": "array", "items": _TOOLS, "minItems": 1},
    instructions=_TEXT,
    permissions=_record(
        read=_VERDICT,
        write=_VERDICT,
        destructive=_VERDICT,
        tainted=_VERDICT,
        tools={"type": "object", "additionalProperties": _VERDICT},
    ),
    budget=_record(
        turns=_WHOLE,
        calls=_WHOLE,
        tokens=_WHOLE,
        turn_tokens=_WHOLE,
        reasoning_tokens=_WHOLE,
        seconds={"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "unlimited"}]},
    ),
    min_confidence={"type": "number", "minimum": 0, "maximum": 1},
    grounding={"enum": [True, False, "strict"]},
    retrieve={"anyOf": [{"type": "null"}, _WHOLE]},
    examples={"type": "array", "items": _NAME},
)
"""JSON Schema of a preset's file."""


class AgentPresetError(ValueError):
    """A file is no agent preset; the message is one line."""


@dataclass(frozen=True)
class ToolEntry:
    """What makes tools: one of the first two.

    Attributes:
        library: name of a module of the library of tools.
        source: what `load_tools` takes.
        options: by name.
        names: the tools that are wanted; None for all.
    """

    library: str | None = None
    source: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        facts = {"library": self.library, "source": self.source, "options": dict(self.options) or None}
        named = {} if self.names is None else {"names": list(self.names)}
        return {**{key: value for key, value in facts.items() if value is not None}, **named}


@dataclass(frozen=True)
class AgentPreset:
    """An agent as data. None stands for what the agent decides by itself.

    Attributes:
        name: of the catalogue, or of its file.
        path: the file, of one that a user saved; relative paths in it begin in its folder.
        model: "preset", and where it says so "backend" and "options" of `ferrule.hub.from_preset`; None: a model must be given.
        permissions, budget: what differs from the usual.
        examples: goals that it is good for.
    """

    name: str
    tools: tuple[ToolEntry, ...]
    model: Mapping[str, Any] | None = None
    title: str = ""
    description: str = ""
    instructions: str = ""
    permissions: Mapping[str, Any] = field(default_factory=dict)
    budget: Mapping[str, Any] = field(default_factory=dict)
    min_confidence: float | None = None
    grounding: bool | Literal["strict"] | None = None
    retrieve: int | None = None
    examples: tuple[str, ...] = ()
    path: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON object of its file."""
        document = {
            "title": self.title,
            "description": self.description,
            "model": None if self.model is None else dict(self.model),
            "tools": [entry.to_json() for entry in self.tools],
            "instructions": self.instructions,
            "permissions": dict(self.permissions),
            "budget": dict(self.budget),
            "min_confidence": self.min_confidence,
            "grounding": self.grounding,
            "retrieve": self.retrieve,
            "examples": list(self.examples),
        }
        always = ("model", "tools")
        return {key: value for key, value in document.items() if key in always or value not in (None, "", [], {})}


@functools.cache
def list_agent_presets() -> tuple[AgentPreset, ...]:
    """The agent presets that come along, by name."""
    files = [entry for entry in resources.files(__package__).joinpath("agents").iterdir() if entry.name.endswith(".json")]
    return tuple(
        sorted((_parsed(file.read_text("utf-8"), file.name[:-5], file.name) for file in files), key=lambda preset: preset.name)
    )


def get_agent_preset(name: str | os.PathLike[str]) -> AgentPreset:
    """The agent preset of that name, or of that file or folder. A name of the catalogue goes before a path.

    Raises:
        UnknownPresetError: there is none.
        AgentPresetError: the file is no agent preset.
    """
    known = {preset.name: preset for preset in list_agent_presets()}
    text = os.fspath(name)
    if text in known:
        return known[text]
    path = Path(text).expanduser()
    if path.is_dir():
        path = path / FILE_NAME
    if path.is_file() or os.sep in text or text.endswith(".json"):
        return read_agent_preset(path)
    near = difflib.get_close_matches(text, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
    raise UnknownPresetError(f"no agent preset is called {text!r}; {hint} (see `ferrule agents`)")


def read_agent_preset(path: Path) -> AgentPreset:
    """The agent preset of a file.

    Raises:
        AgentPresetError: there is no such file, or it is none.
    """
    try:
        if path.stat().st_size > 1 << 20:
            raise AgentPresetError(f"{path} is too large for an agent preset")
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise AgentPresetError(f"there is no agent preset {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise AgentPresetError(f"{path} cannot be read as an agent preset: {error}") from None
    name = path.parent.resolve().name if path.name == FILE_NAME else path.stem
    return _parsed(text, name, str(path), path.resolve())


def _parsed(text: str, name: str, where: str, path: Path | None = None) -> AgentPreset:
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise AgentPresetError(f"{where}, line {error.lineno}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise AgentPresetError(f"{where} is no JSON: {error}") from None
    wrong = min(Draft202012Validator(SCHEMA).iter_errors(document), key=lambda error: str(error.json_path), default=None)
    if wrong is not None:
        message = " ".join(wrong.message.split())
        raise AgentPresetError(f"{where} is no agent preset: at {wrong.json_path}: {message[:300]}")
    tools = tuple(
        ToolEntry(e.get("library"), e.get("source"), MappingProxyType(e.get("options", {})), _tuple(e.get("names")))
        for e in document.pop("tools")
    )
    examples = tuple(document.pop("examples", ()))
    return AgentPreset(name, tools, examples=examples, path=path, **document)


def _tuple(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
