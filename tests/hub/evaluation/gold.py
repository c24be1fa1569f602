"""The expected calls of BFCL's conversations, as calls."""

from __future__ import annotations

import ast

from ferrule.hub.evaluation import Dialogue
from ferrule.tools import ToolCall


def gold(dialogue: Dialogue) -> list[list[list[ToolCall]]]:
    """For each turn of the user the steps of the model, one call each."""
    return [[[_call(source, dialogue.functions[-1])] for source in answer] for answer in dialogue.answers]


def _call(source: str, docs: list[dict]) -> ToolCall:
    call = ast.parse(source, mode="eval").body
    names = next(list(doc["parameters"]["properties"]) for doc in docs if doc["name"] == call.func.id)
    arguments = {name: ast.literal_eval(value) for name, value in zip(names, call.args)}
    return ToolCall(call.func.id, arguments | {word.arg: ast.literal_eval(word.value) for word in call.keywords})
