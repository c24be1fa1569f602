"""`ferrule agents`: the agents that come along; and what `--agent` and `--option` mean to `ferrule run`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...agents import Budget
from ...presets import AgentPreset, list_agent_presets
from ...tools import Toolset
from ...tools.library import Option
from ..agent_presets import agent_arguments, find_agent_preset, make_tools, preset_options
from .console import one_line_errors, out, print_json
from .options import given

_WIDTH = 120
# parameter of `ferrule run` -> field of the budget
_BUDGET = {
    "max_turns": "turns",
    "max_calls": "calls",
    "max_tokens": "tokens",
    "turn_tokens": "turn_tokens",
    "max_seconds": "seconds",
}

AgentName = Annotated[
    str | None,
    typer.Option("--agent", "-a", help="An agent preset: a name (see `ferrule agents`), a file or a folder.", callback=given),
]
AgentOptions = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="NAME=VALUE", help="With --agent: an option of its tools, such as folder=notes."),
]


# As in `app.py`: the class of whichever click typer uses
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def check_sources(tools: str | None, agent: str | None, options: Sequence[str] | None) -> None:
    """A usage error unless it is said once where the tools come from."""
    if tools is None and agent is None:
        raise _UsageError("Missing option '--tools' or '--agent'")
    if tools is not None and agent is not None:
        raise _UsageError("--tools and --agent both say what the tools are; leave one out")
    if options and agent is None:
        raise _UsageError("--option is of an agent's tools: it needs --agent")


class ChosenAgent:
    """The agent of `--agent`, with the options of the command line in place of its own.

    Args:
        context: of the command: tells what was really given.
        name: of the preset.
        options: texts such as "folder=notes".

    Raises:
        PresetError, ToolDefinitionError: see `make_tools`.
    """

    def __init__(self, context: typer.Context, name: str, options: Sequence[str] | None) -> None:
        self._context = context
        self.preset = find_agent_preset(name)
        self.tools = tools_of(name, options)

    def model(self, name: str, backend: str) -> tuple[str, str]:
        """Name and backend of the model: those of the command line, if they were given."""
        named = self.preset.model or {}
        return (
            name if self._is_given("preset") else named.get("preset", name),
            backend if self._is_given("backend") else named.get("backend", backend),
        )

    def rules(self, **said: Any) -> dict[str, Any]:
        """The arguments of `Agent`; of those said, only what was given at the command line goes before the preset."""
        own = agent_arguments(self.preset, {name: said[name] for name in ("instructions", "clock") if said.get(name)})
        if self._is_given("min_confidence"):
            own["min_confidence"] = said["min_confidence"]
        if self._is_given("evidence"):
            own["grounding"] = said["grounding"]
        budget: Budget = said["budget"]
        changed = {field: getattr(budget, field) for name, field in _BUDGET.items() if self._is_given(name)}
        own["budget"] = Budget(**{**vars(own["budget"]), **changed})
        return own

    def _is_given(self, name: str) -> bool:
        source = self._context.get_parameter_source(name)
        return source is not None and source.name == "COMMANDLINE"


def tools_of(name: str, options: Sequence[str] | None) -> Toolset:
    """The tools of an agent preset with such options."""
    preset = find_agent_preset(name)
    return make_tools(preset, read_options(preset, options or ()))


def read_options(preset: AgentPreset, texts: Sequence[str]) -> dict[str, Any]:
    """Options such as "folder=notes" by name, of the types that the tools expect; several of a list are one."""
    known = {option.name: option for option in preset_options(preset)}
    values: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (sign and name and value):
            raise typer.BadParameter(f"--option is NAME=VALUE, such as folder=notes, received {text!r}")
        if (option := known.get(name)) is not None and option.kind == "list":
            values.setdefault(name, []).append(value)
        else:
            values[name] = value if option is None else _typed(option, value)
    return values


def _typed(option: Option, text: str) -> Any:
    if option.kind not in ("number", "flag"):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, bool) is (option.kind == "flag") and isinstance(value, int | float):
        return value
    what = "true or false" if option.kind == "flag" else "a number"
    raise typer.BadParameter(f"--option {option.name} is {what}, received {text!r}")


def agents(
    name: Annotated[
        str | None, typer.Argument(help="An agent preset, which is shown in full: a name, a file or a folder.", callback=given)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """List the agents that come along, or show one: its tools, what you decide about them, and what it may do."""
    with one_line_errors():
        if name is None:
            found = list_agent_presets()
            if as_json:
                print_json([_document(preset) for preset in found])
            else:
                _list(found)
            return
        preset = find_agent_preset(name)
        document = _document(preset)
    if as_json:
        print_json(document)
    else:
        _show(preset, document["options"])


def _list(found: Sequence[AgentPreset]) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("name", "needs", "what it does"):
        table.add_column(column)
    for preset in found:
        needs = ", ".join(option.name for option in preset_options(preset) if option.is_required)
        table.add_row(preset.name, needs or "—", preset.description)
    Console(highlight=False, emoji=False, width=max(out.width, _WIDTH)).print(table)


def _show(preset: AgentPreset, options: list[dict[str, Any]]) -> None:
    needed = " ".join(f"--option {option['name']}=…" for option in options if option["required"])
    example = preset.examples[0] if preset.examples else "…"
    rows = {
        "name": preset.name,
        "title": preset.title,
        "description": preset.description,
        "model": (preset.model or {}).get("preset", "none: give one with --preset"),
        "tools": "\n".join(entry.library or str(entry.source) for entry in preset.tools),
        "options": "\n".join(_option_line(option) for option in options),
        "permissions": ", ".join(f"{key}: {value}" for key, value in preset.permissions.items()),
        "budget": ", ".join(f"{value} {key}" for key, value in preset.budget.items()),
        "instructions": preset.instructions,
        "goals such as": "\n".join(preset.examples),
        "in a terminal": " ".join(f'ferrule run "{example}" --agent {preset.path or preset.name} {needed}'.split()),
    }
    for key, value in rows.items():
        for n, line in enumerate(str(value or "—").split("\n")):
            out.print(Text.assemble((f"{'' if n else key:<15}", "bold"), " ", line))


def _option_line(option: dict[str, Any]) -> str:
    default = (
        "needed" if option["required"] else f"default {option['default']!r}" if option["default"] is not None else "optional"
    )
    return f"{option['name']}: {option['description']} ({default})"


def _document(preset: AgentPreset) -> dict[str, Any]:
    options = [
        {
            "name": option.name,
            "description": option.description,
            "kind": option.kind,
            "required": option.is_required,
            "default": option.default,
        }
        for option in preset_options(preset)
    ]
    return {"name": preset.name, "path": preset.path and str(preset.path), **preset.to_json(), "options": options}
