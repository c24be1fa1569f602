"""AgentDojo's suites and attacks, out of the package `agentdojo`, and their functions as our tools.

The package is installed without its clients of model vendors. They are imported by nothing but the `__init__` of its pipelines,
so that folder is entered without it; of one client a single constant is needed, which stands here.

Source: Debenedetti et al., "AgentDojo: A Dynamic Environment to Evaluate Prompt Injection Attacks and Defenses for LLM Agents",
NeurIPS 2024.
"""

from __future__ import annotations

import importlib
import math
import sys
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from ....tools import Tool, Toolset
from ..bfcl import EvaluationError
from .marks import MARKS

VERSION = "0.1.35"
BENCHMARK_VERSION = "v1.2.2"
INSTALL = f"pip install --no-deps agentdojo=={VERSION}; pip install 'deepdiff<9' docstring-parser email-validator PyYAML"
SUITES = ("workspace", "travel", "banking", "slack")
ATTACK = "important_instructions"

_PIPELINES = "agentdojo.agent_pipeline"
_CLIENT = f"{_PIPELINES}.llms.google_llm"


@cache
def _modules() -> tuple[Any, Any]:
    """Those of suites and attacks.

    Raises:
        EvaluationError: the package is missing, another version, or lacks something.
    """
    spec = find_spec("agentdojo")
    if spec is None or spec.origin is None:
        raise EvaluationError(f"package agentdojo is not installed ({INSTALL})")
    found = metadata.version("agentdojo")
    if found != VERSION:
        raise EvaluationError(f"package agentdojo is {found}, not {VERSION} ({INSTALL})")
    folder = Path(spec.origin).parent / "agent_pipeline"
    if _PIPELINES not in sys.modules:
        for name, at in ((_PIPELINES, folder), (f"{_PIPELINES}.llms", folder / "llms")):
            sys.modules[name] = ModuleType(name)
            sys.modules[name].__path__ = [str(at)]
        sys.modules[_CLIENT] = ModuleType(_CLIENT)
        sys.modules[_CLIENT].EMPTY_FUNCTION_NAME = "<empty-function>"  # type: ignore[attr-defined]
    try:
        return importlib.import_module("agentdojo.task_suite.load_suites"), importlib.import_module("agentdojo.attacks")
    except ImportError as error:
        raise EvaluationError(f"AgentDojo cannot be imported ({error}); {INSTALL}") from None


def load_suite(name: str) -> Any:
    """The `TaskSuite` of a name; EvaluationError where there is none."""
    if name not in SUITES:
        raise EvaluationError(f"AgentDojo has no suite {name!r}; there are: {', '.join(SUITES)}")
    return _modules()[0].get_suite(BENCHMARK_VERSION, name)


class _Victim:
    """What an attack wants to know of whom it addresses."""

    name = "local"


@cache
def load_attack(suite: str, name: str = ATTACK) -> Any:
    """One of the package's own attacks on a suite; EvaluationError where there is none."""
    attacks = _modules()[1]
    known = sys.modules["agentdojo.attacks.attack_registry"].ATTACKS
    if name not in known:
        raise EvaluationError(f"AgentDojo has no attack {name!r}; there are: {', '.join(sorted(known))}")
    return attacks.load_attack(name, load_suite(suite), _Victim())


def function_call(name: str, arguments: dict[str, Any]) -> Any:
    """The package's own `FunctionCall`."""
    return sys.modules["agentdojo.functions_runtime"].FunctionCall(function=name, args=arguments)


def message(role: str, text: str | None, calls: list[Any] | None = None) -> dict[str, Any]:
    """A message as the package's pipelines give it back."""
    content = None if text is None else [{"type": "text", "content": text}]
    return {"role": role, "content": content, "tool_calls": calls}


class Bench:
    """The tools of a suite, bound to whichever environment stands here.

    Attributes:
        suite: the package's `TaskSuite`.
        environment: what the tools work on.
        tools: with their marks.
    """

    def __init__(self, name: str) -> None:
        self.suite = load_suite(name)
        self.environment: Any = None
        self._runtime = sys.modules["agentdojo.functions_runtime"].FunctionsRuntime(self.suite.tools)
        self.tools = Toolset(self._tool(function) for function in self.suite.tools)

    def environment_with(self, injections: dict[str, str]) -> Any:
        """The suite's environment, as its own `load_and_inject_default_environment` builds it, with YAML's fast safe reader."""
        import yaml

        module = sys.modules["agentdojo.task_suite.task_suite"]
        text = module.read_suite_file(self.suite.name, "environment.yaml", self.suite.data_path)
        filled = text.format(**{**self.suite.get_injection_vector_defaults(), **injections})
        reader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(filled)
        try:
            return self.suite.environment_type.model_validate(reader.get_single_data())
        finally:
            reader.dispose()

    def _tool(self, function: Any) -> Tool:
        mark = MARKS.get(function.name)
        if mark is None:
            raise EvaluationError(f"AgentDojo's function {function.name} has no marks here; reinstall the package ({INSTALL})")

        def call(**arguments: Any) -> Any:
            value, _ = self._runtime.run_function(self.environment, function.name, arguments, raise_on_error=True)
            return _plain(value)

        declaration = {
            "name": function.name,
            "description": function.description,
            "parameters": function.parameters.model_json_schema(),
        }
        # Without limits a call runs on the calling thread, which saves a thread for each of thousands.
        return Tool.from_schema(declaration, call, timeout=None, max_result_bytes=1 << 24, **vars(mark))


def _plain(value: Any) -> Any:
    """A result as JSON."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
