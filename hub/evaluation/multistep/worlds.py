"""Worlds: something with a state, and tools that read and change it; a fresh one for every task."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from ....tools import Tool, ToolFailed
from ..bfcl import data_folder
from ..checker import import_checked
from ..simulated import SIMULATED
from .service import running_service
from .tasks import WorldSpec, initial_states

_SOURCES = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"


# No part of what a task may change: where one stands in the file system, the seeds, caches, texts about the class itself.
_HIDDEN_BUT_STATE = ("_parkingBrakeForce", "_brakePedalForce")
_NO_STATE = ("long_context",)
# The credential of a logged-in user is the host's to fill in, not the user's to say or the model's to know.
_CREDENTIAL = "access_token"


class World(Protocol):
    """What a task takes place in."""

    @property
    def tools(self) -> list[Tool]:
        """Bound to this world."""
        ...

    def state(self) -> dict[str, Any]:
        """All that a task may change, as JSON values."""
        ...


class SimulatedWorld:
    """A fresh instance of one of the package's classes.

    A result that is nothing but an error is the tool's failure. Defaults that are Python's None in quotes are left out.

    Args:
        name: of `SIMULATED`.
        state: what it begins with.

    Raises:
        EvaluationError: the package is missing or another version.
    """

    def __init__(self, name: str, state: dict[str, Any]):
        folder, self._kind = data_folder(), SIMULATED[name]
        module = import_checked(f"{_SOURCES}.{self._kind.module}")
        self._instance = getattr(module, name)()
        if hasattr(self._instance, "_load_scenario"):
            self._instance._load_scenario(copy.deepcopy(state))
        lines = (folder / "multi_turn_func_doc" / f"{self._kind.module}.json").read_text(encoding="utf-8").splitlines()
        self.tools = [self._tool(json.loads(line)) for line in lines]

    def state(self) -> dict[str, Any]:
        if hasattr(self._instance, "root"):
            return {"root": _tree(self._instance.root)}
        found = vars(self._instance).items()
        return {
            key: _plain(value)
            for key, value in found
            if key in _HIDDEN_BUT_STATE or not (key.startswith("_") or key in _NO_STATE)
        }

    def _tool(self, doc: dict[str, Any]) -> Tool:
        name, parameters = doc["name"], doc["parameters"]
        given = {}
        if _CREDENTIAL in parameters["properties"]:
            del parameters["properties"][_CREDENTIAL]
            parameters["required"].remove(_CREDENTIAL)
            given[_CREDENTIAL] = getattr(self._instance, _CREDENTIAL)
        for parameter in parameters["properties"].values():
            if parameter.get("default") == "None":
                del parameter["default"]
        method = getattr(self._instance, name)

        def function(**arguments: Any) -> Any:
            value = method(**arguments, **given)
            if error := _error(value):
                raise ToolFailed(error)
            return _plain(value)

        return Tool.from_schema(doc, function, permission=self._kind.permission(name))


@contextmanager
def open_world(specs: Iterable[WorldSpec]) -> Iterator[list[World]]:
    """Fresh worlds, each in its initial state; servers end with the block."""
    worlds: list[World] = []
    states = initial_states()
    with running_service() as start:
        for spec in specs:
            state = copy.deepcopy(states[spec.name][spec.state])
            worlds.append(start(state, spec.parts) if spec.name == "Service" else SimulatedWorld(spec.name, state))
        yield worlds


def _error(value: Any) -> str:
    """The message, where a result is an error and nothing else."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict) and "error" in value and all(item is False for key, item in value.items() if key != "error"):
        return str(value["error"])
    return value if isinstance(value, str) and value.startswith("Error: ") else ""


def _tree(directory: Any) -> dict[str, Any]:
    """A directory of the file system as nested objects; files are their content."""
    return {
        name: _tree(item) if hasattr(item, "contents") else item.content for name, item in sorted(directory.contents.items())
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, set):
        return sorted(_plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
