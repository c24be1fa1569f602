"""The benchmark's own checker, `bfcl_eval.eval_checker.ast_eval.ast_checker`, behind a small adapter.

The package is installed without its 32 dependencies. Its checker needs none of them, except that it looks up each model in a
table whose module imports every vendor's client; that module is replaced by one whose table knows a single rule: names with
dots stay as they are.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

from ...tools import ToolCall
from .bfcl import INSTALL, Case, EvaluationError

_CONFIG = "bfcl_eval.constants.model_config"
_MODEL = "ferrule"
_LANGUAGES = {"simple_java": "JAVA", "simple_javascript": "JAVASCRIPT"}


@dataclass(frozen=True)
class Verdict:
    """What the checker says.

    Attributes:
        ok: the calls are right.
        kind: what is wrong, the checker's `error_type`; empty when ok.
        detail: the checker's words, in one line.
    """

    ok: bool
    kind: str = ""
    detail: str = ""


def check(case: Case, calls: Iterable[ToolCall]) -> Verdict:
    """Whether the calls are what the case asks for.

    Irrelevance is right without a call, relevance with one. The rest is the checker's: exact function, required arguments, no
    other argument, types, values; parallel calls in any order.

    Raises:
        EvaluationError: the package is missing.
    """
    made = list(calls)
    if case.answers is None:
        if "irrelevance" in case.category:
            return Verdict(True) if not made else Verdict(False, "irrelevance_error", "a call was made where no tool fits")
        return Verdict(True) if made else Verdict(False, "relevance_error", "no call was made where a tool fits")
    ast_checker, languages = _load()
    said = ast_checker(
        case.functions,
        [{call.name: call.arguments} for call in made],
        case.answers,
        getattr(languages, _LANGUAGES.get(case.category, "PYTHON")),
        case.category,
        _MODEL,
    )
    if said["valid"]:
        return Verdict(True)
    return Verdict(False, said["error_type"], " ".join(str(line) for line in said["error"]).replace("\n", " "))


@cache
def _load() -> tuple[Callable[..., dict[str, Any]], Any]:
    """The checker and its enumeration of languages."""
    if _CONFIG not in sys.modules:
        config = ModuleType(_CONFIG)
        config.MODEL_CONFIG_MAPPING = {_MODEL: SimpleNamespace(underscore_to_dot=False)}  # type: ignore[attr-defined]
        sys.modules[_CONFIG] = config
    checker = import_checked("bfcl_eval.eval_checker.ast_eval.ast_checker")
    return checker.ast_checker, import_checked("bfcl_eval.constants.enums").Language


def import_checked(module: str) -> ModuleType:
    """A module of the package.

    Raises:
        EvaluationError: the package, or mpmath, which one of its classes uses, is missing.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EvaluationError(f"{module} cannot be imported ({error}); {INSTALL} mpmath") from None
