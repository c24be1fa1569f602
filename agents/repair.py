"""The one repair of generated calls: repeated elements where the schema wants them unique.

A grammar cannot remember free text, so of `uniqueItems` it guarantees listed values only; the rest is done here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry

from ..tools.call import ToolCall, canonical


def drop_repeated(parameters: dict[str, Any], call: ToolCall) -> ToolCall:
    """The call with repeated elements dropped wherever only `uniqueItems` objects to them; the first one stays."""
    if "uniqueItems" not in repr(parameters):
        return call
    validator = Draft202012Validator(parameters, registry=Registry())
    arguments = copy.deepcopy(call.arguments)
    for _ in range(64):  # every round shortens an array; nested alternatives may need several
        paths = {tuple(error.absolute_path) for top in validator.iter_errors(arguments) for error in _repetitions(top)}
        if not paths:
            break
        for path in sorted(paths, key=len, reverse=True):
            array = arguments
            for step in path:
                array = array[step]
            first: dict[str, Any] = {}
            for item in array:
                first.setdefault(json.dumps(canonical(item), sort_keys=True), item)
            array[:] = first.values()
    return ToolCall(call.name, arguments, call.id)


def _repetitions(error: ValidationError) -> Iterator[ValidationError]:
    if error.validator == "uniqueItems":
        yield error
    for inner in error.context or ():
        yield from _repetitions(inner)
