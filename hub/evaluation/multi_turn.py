"""BFCL's conversations: the simulated classes behind their tools, and the benchmark's own checker of what became of them.

The checker runs the calls of every turn, and those that were expected, on instances of its own. After each turn the states must
be equal, and what the expected calls gave must be among what ours gave so far.
"""

from __future__ import annotations

import copy
import keyword
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...agents import Call, Run, Stop
from ...tools import RetryCall, Tool, ToolCall
from .bfcl import Dialogue
from .checker import Verdict, import_checked
from .simulated import SIMULATED

_PACKAGE = "bfcl_eval.eval_checker.multi_turn_eval"
_BUDGETS = ("turns", "calls", "tokens", "seconds")  # where one of these ends a turn, the benchmark ends the conversation


class Talker(Protocol):
    """Our agent, or a peer of it."""

    def run(self, goal: str, *, earlier: Run | None = None) -> Run: ...


@dataclass
class Talk:
    """What became of a conversation.

    Attributes:
        turns: for each turn of the user the calls, step by step of the model.
        stop: what ended it before its end.
        runs: one for each turn.
    """

    turns: list[list[list[ToolCall]]] = field(default_factory=list)
    stop: Stop | None = None
    runs: list[Run] = field(default_factory=list)


class World:
    """Fresh instances of the classes of a conversation.

    Raises:
        EvaluationError: the package or mpmath is missing.
    """

    def __init__(self, dialogue: Dialogue):
        self._instances = [self._instance(dialogue, cls) for cls in dialogue.entry["involved_classes"]]

    def tools(self, functions: Sequence[dict[str, Any]]) -> list[Tool]:
        """The functions as tools bound to the instances. What they give is the user's own data, and is trusted."""
        return [self._tool(doc) for doc in functions]

    def _instance(self, dialogue: Dialogue, cls: str) -> Any:
        instance = getattr(import_checked(f"{_PACKAGE}.func_source_code.{SIMULATED[cls].module}"), cls)()
        if hasattr(instance, "_load_scenario"):
            config = copy.deepcopy(dialogue.entry.get("initial_config", {}).get(cls, {}))
            instance._load_scenario(config, long_context="long_context" in dialogue.category)
        return instance

    def _tool(self, doc: dict[str, Any]) -> Tool:
        name = doc["name"]
        instance = next(one for one in self._instances if hasattr(one, name))
        permission = SIMULATED[type(instance).__name__].permission(name)
        run = _carefully(getattr(instance, name))
        # The checker runs calls as they were written; so do we, without the defaults of the docs.
        return Tool.from_schema(doc, run, permission=permission, trusted=True, decode=dict)


def _carefully(method: Callable[..., Any]) -> Callable[..., Any]:
    def run(**arguments: Any) -> Any:
        try:
            value = method(**arguments)
        except Exception as error:
            raise RetryCall(f"Error during execution: {error}") from error
        if isinstance(value, dict) and set(value) == {"error"}:
            raise RetryCall(value["error"])
        return _plain(value)

    return run


def talk(dialogue: Dialogue, talker: Callable[[list[Tool]], Talker]) -> Talk:
    """Have a conversation: every turn goes on with those before, on the same instances.

    Args:
        dialogue: the user's side.
        talker: makes an agent from tools; asked for another one when functions are added.
    """
    world, found = World(dialogue), Talk()
    added = import_checked("bfcl_eval.constants.default_prompts").DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_FC
    run: Run | None = None
    functions: list[dict[str, Any]] | None = None
    for goal, offered in zip(dialogue.goals, dialogue.functions, strict=True):
        if offered != functions:
            functions, agent = offered, talker(world.tools(offered))
        run = agent.run(goal or added, earlier=run)
        found.runs.append(run)
        found.turns.append(_steps(run))
        last = run.steps[-1]
        if isinstance(last, Stop) and last.reason in _BUDGETS:
            found.stop = last
            break
    return found


def check_talk(dialogue: Dialogue, turns: Sequence[Sequence[Sequence[ToolCall]]]) -> tuple[Verdict, int]:
    """What the benchmark's checker says, and how many turns were right before one was not.

    Args:
        dialogue: what was expected.
        turns: for each turn of the user the calls, step by step of the model.

    Raises:
        EvaluationError: the package or mpmath is missing.
    """
    answers, right = dialogue.answers, 0
    try:
        written = [[[_source(call) for call in step] for step in turn if step] for turn in turns]
    except ValueError as error:
        return Verdict(False, "multi_turn:name_error", str(error)), 0
    for count in range(1, len(turns) + 1):
        said = _checked(dialogue, written[:count], answers[:count])
        if not said["valid"]:
            return Verdict(False, said["error_type"], " ".join(said["error_message"].split())), right
        right = count
    if len(turns) < len(answers):
        return Verdict(False, "multi_turn:force_terminated", f"{len(turns)} of {len(answers)} turns were had"), right
    return Verdict(True), right


def _checked(dialogue: Dialogue, written: list[list[list[str]]], answers: list[list[str]]) -> dict[str, Any]:
    checker = import_checked(f"{_PACKAGE}.multi_turn_checker")
    # The checker keeps its instances under the name of the model, and would go on with those of a check before.
    name = f"ferrule{secrets.token_hex(8)}"
    try:
        return checker.multi_turn_checker(written, answers, dialogue.entry, dialogue.category, name)
    finally:
        kept = vars(import_checked(f"{_PACKAGE}.multi_turn_utils"))
        for key in [key for key in kept if key.startswith(name)]:
            del kept[key]


def _steps(run: Run) -> list[list[ToolCall]]:
    """The calls of a run, each turn of the model a list."""
    steps: dict[int, list[ToolCall]] = {}
    for step in run.steps:
        if isinstance(step, Call):
            steps.setdefault(step.turn, []).append(step.call)
    return list(steps.values())


def _source(call: ToolCall) -> str:
    """A call as Python source, as the checker wants to evaluate it.

    Raises:
        ValueError: a name in it is no identifier, and would be something else as source.
    """
    for name in (call.name, *call.arguments):
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"{name!r} in a call of {call.name!r} is no identifier: it is not evaluated")
    return f"{call.name}({', '.join(f'{name}={value!r}' for name, value in call.arguments.items())})"


def _plain(value: Any) -> Any:
    """A result as JSON; a few classes give sets, or objects that only have a text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, set):
        return sorted(map(_plain, value), key=str)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
