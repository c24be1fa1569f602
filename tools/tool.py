"""A tool: a name, a description, a schema of its parameters, and the function behind it."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args, overload

from jsonschema import Draft202012Validator

from .codec import Decode, Mismatch
from .errors import ArgumentError, ToolDefinitionError, ToolFailed, ToolResultError, one_line
from .result import MAX_RESULT_BYTES, to_json
from .running import arun, run
from .schema import NO_PARAMETERS, Schema, check, normalise, pointer, summary, validator, violations, with_defaults
from .signature import read_signature

Permission = Literal["read", "write", "destructive"]
Policy = Literal["copy", "enum", "derive", "free"]
DEFAULT_TIMEOUT = 30.0
_ADDRESSES = {"uri", "uri-reference", "iri", "iri-reference", "hostname", "idn-hostname"}
_OPTIONS = {
    "name",
    "description",
    "timeout",
    "permission",
    "max_result_bytes",
    "idempotent",
    "sensitive",
    "trusted",
    "policies",
    "returns",
}


@dataclass(frozen=True, eq=False)
class Tool:
    """Something a model can call.

    Calling a Tool as a function calls the Python function behind it, so `@tool` changes nothing for other callers.

    Attributes:
        name: Unique name within a set of tools.
        description: What it does, for the model.
        parameters: JSON Schema 2020-12 of the arguments, an object schema.
        function: What runs, plain or async, called with keyword arguments; None when only the schema is known.
        timeout: Limit of one call in seconds; None for no limit of its own. Where the caller has none either, a plain
            function runs on the calling thread; in an agent's run that needs `Budget(seconds=math.inf)`.
        permission: What it may do: "read", "write" or "destructive".
        max_result_bytes: Limit on the compact JSON text of a result, in bytes.
        idempotent: Whether the same call made twice does no more than made once, so that it may be repeated when nobody knows
            whether it was carried out; None means that tools that only read are.
        sensitive: Parameters whose values may not come from an untrusted result without approval; None means every parameter of
            a tool that writes or destroys, and of one that reads those whose schema says that they are addresses ("format" is
            "uri", "iri", "hostname" or the like), since a request carries out of the house what stands in it. Name them where
            the schema does not say so, and whatever else leaves the house when it is asked for.
        trusted: Whether its results are as good as the user's own words. Whatever holds text that somebody else may have
            written (a mail, a page, a file) is not.
        policies: For parameters by name, what their values must rest on: "copy" (what was said, to the letter), "enum" (the
            schema's list), "derive" (what was said, or what follows from it) or "free" (the model's own words).
        returns: JSON Schema of its results, where it is known. Nothing is checked against it; it tells which tool knows what
            another one needs.

    Raises:
        ToolDefinitionError: If one of them is not what it should be.
    """

    name: str
    description: str = ""
    parameters: Schema = field(default_factory=lambda: copy.deepcopy(NO_PARAMETERS))
    function: Callable[..., Any] | None = None
    timeout: float | None = DEFAULT_TIMEOUT
    permission: Permission = "read"
    max_result_bytes: int = MAX_RESULT_BYTES
    idempotent: bool | None = None
    sensitive: tuple[str, ...] | None = None
    trusted: bool = False
    policies: Mapping[str, Policy] = field(default_factory=dict)
    returns: Schema | None = field(default=None, repr=False)
    # From JSON arguments to keyword arguments; None means "as they are, with the schema's defaults".
    decode: Decode | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        name = self.name
        # Dialects rename what their model cannot read, so any name of one printable line will do.
        if not isinstance(name, str) or not name.strip() or name != name.strip() or not name.isprintable():
            raise ToolDefinitionError(f"a tool's name must be printable text on one line, received {shown(name)}")
        if len(name) > 128:
            raise ToolDefinitionError(f"a tool's name has at most 128 characters, received {len(name)}")
        if not isinstance(self.description, str):
            raise ToolDefinitionError(f"tool {name!r}: description must be text, received {shown(self.description)}")
        if not isinstance(self.parameters, dict):
            raise ToolDefinitionError(
                f"tool {name!r}: parameters must be a JSON Schema object, received {shown(self.parameters)}"
            )
        if self.function is not None and not callable(self.function):
            raise ToolDefinitionError(f"tool {name!r}: function must be callable, received {shown(self.function)}")
        if self.timeout is not None and not (_is_number(self.timeout) and 0 < self.timeout < math.inf):
            raise ToolDefinitionError(
                f"tool {name!r}: timeout must be a positive number of seconds or None, received {shown(self.timeout)}"
            )
        if self.permission not in get_args(Permission):
            raise ToolDefinitionError(
                f"tool {name!r}: permission must be one of {', '.join(get_args(Permission))}, received {shown(self.permission)}"
            )
        if not _is_number(self.max_result_bytes) or self.max_result_bytes <= 0:
            raise ToolDefinitionError(
                f"tool {name!r}: max_result_bytes must be a positive number, received {shown(self.max_result_bytes)}"
            )
        check(self.parameters, name)
        self._check_safety()

    def _check_safety(self) -> None:
        where = f"tool {self.name!r}"
        if not (self.idempotent is None or isinstance(self.idempotent, bool)) or not isinstance(self.trusted, bool):
            raise ToolDefinitionError(
                f"{where}: idempotent and trusted are True or False, "
                f"received {shown(self.idempotent)} and {shown(self.trusted)}"
            )
        if isinstance(self.sensitive, str):
            raise ToolDefinitionError(f"{where}: sensitive is a list of parameters' names, received {shown(self.sensitive)}")
        if not isinstance(self.policies, Mapping) or not all(p in get_args(Policy) for p in self.policies.values()):
            raise ToolDefinitionError(
                f"{where}: policies give {', '.join(get_args(Policy))} for parameters by name, received {shown(self.policies)}"
            )
        known = self.parameters.get("properties", {})
        if unknown := [name for name in (*(self.sensitive or ()), *self.policies) if name not in known]:
            raise ToolDefinitionError(f"{where}: there is no parameter {shown(unknown[0])} to be sensitive or have a policy")
        if self.sensitive is not None:
            object.__setattr__(self, "sensitive", tuple(self.sensitive))

    @property
    def may_repeat(self) -> bool:
        """Whether a call may be made again when nobody knows whether it was carried out."""
        return self.permission == "read" if self.idempotent is None else self.idempotent

    def is_sensitive(self, parameter: str) -> bool:
        """Whether a value for that parameter may not come from an untrusted result without approval."""
        declared = self.parameters.get("properties", {})
        if parameter not in declared:
            return self.permission != "read" and self.sensitive != ()
        if self.sensitive is not None:
            return parameter in self.sensitive
        return self.permission != "read" or any(kind in _ADDRESSES for kind in _formats(declared[parameter]))

    @classmethod
    def from_schema(cls, schema: Mapping[str, Any], function: Callable[..., Any] | None = None, **options: Any) -> Tool:
        """A tool from `{"name", "description", "parameters"}`, bare or inside `{"type": "function", "function": …}`.

        `parameters` may be missing (no arguments); `input_schema` and `inputSchema` are read as well, and as `returns`
        also `outputSchema` and `response`. Type names that
        JSON Schema does not have but files in the wild do (int, float, bool, dict, list, tuple, any) are normalised.

        Args:
            schema: The tool's declaration.
            function: What runs, called with the validated arguments by keyword; None when it only can be called for.
            options: `timeout`, `permission`, `max_result_bytes` and the like, as in the class.

        Raises:
            ToolDefinitionError: If the declaration or its JSON Schema is wrong.
        """
        if not isinstance(schema, Mapping):
            raise ToolDefinitionError(f"a tool's schema must be a JSON object, received {shown(schema)}")
        inner = schema.get("function")
        if "name" not in schema and isinstance(inner, Mapping):
            schema = inner
        if "name" not in schema:
            raise ToolDefinitionError(f'a tool\'s schema needs a "name", received {shown(dict(schema))}')
        name = schema["name"]
        found = [schema[key] for key in ("parameters", "input_schema", "inputSchema") if schema.get(key) is not None]
        try:
            parameters = copy.deepcopy(found[0] if found else NO_PARAMETERS)
            if isinstance(parameters, dict):
                parameters = {"type": "object", **normalise(parameters)}
        except RecursionError:
            raise ToolDefinitionError(f"tool {shown(name)}: the schema is nested too deeply") from None
        description = schema.get("description")
        results = [schema[key] for key in ("returns", "outputSchema", "response") if isinstance(schema.get(key), dict)]
        options.setdefault("returns", copy.deepcopy(results[0]) if results else None)
        return cls(name, "" if description is None else description, parameters, function, **options)

    @property
    def is_async(self) -> bool:
        """True when the function is a coroutine function."""
        return inspect.iscoroutinefunction(self.function)

    def schema(self) -> Schema:
        """A copy of `{"name", "description", "parameters"}`."""
        return {"name": self.name, "description": self.description, "parameters": copy.deepcopy(self.parameters)}

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return validator(self.parameters)

    def validate(self, arguments: Any) -> None:
        """Checks arguments without running anything.

        Raises:
            ArgumentError: If they do not satisfy `parameters`; one line that names each place by its JSON pointer.
        """
        self.bind(arguments)

    def bind(self, arguments: Any) -> dict[str, Any]:
        """The keyword arguments of the function: a validated copy, defaults filled in, decoded to Python values.

        Raises:
            ArgumentError: If the arguments do not satisfy `parameters`.
        """
        if not isinstance(arguments, Mapping):
            raise self._wrong([("", f"must be a JSON object, received {shown(arguments)}")])
        try:
            plain = to_json(arguments, max_bytes=None)
        except ToolResultError as error:
            raise self._wrong([("", str(error).replace("the result", "the object", 1))]) from None
        if found := violations(self._validator, plain):
            raise self._wrong(found)
        if self.decode is None:
            return with_defaults(self.parameters, plain)
        try:
            return self.decode(plain)
        except Mismatch as mismatch:
            raise self._wrong([(pointer(mismatch.path), str(mismatch))]) from mismatch.__cause__
        except RecursionError:
            raise self._wrong([("", "nested too deeply")]) from None

    def _wrong(self, found: list[tuple[str, str]]) -> ArgumentError:
        return ArgumentError(f"wrong arguments for {self.name}: {summary(found)}", found)

    def call(self, arguments: Any, seconds: float | None = None) -> Any:
        """Validates the arguments, runs the function and returns its result as a JSON value.

        Args:
            arguments: JSON object of arguments by parameter name.
            seconds: Limit of this call, where the tool's own `timeout` is None or longer.

        Raises:
            ArgumentError: If the arguments are wrong; nothing has run then.
            ToolTimeout: If the function passed the time limit. Its thread is left behind (see running.py).
            ToolResultError: If the result is not JSON or too large.
            ToolFailed: If there is no function, or it tried to end the program.
            Exception: Whatever else the function raised.
        """
        function, values = self._ready(arguments)
        return to_json(run(function, values, self._limit(seconds), self.name), self.max_result_bytes)

    async def acall(self, arguments: Any, seconds: float | None = None) -> Any:
        """As `call`, from a coroutine: an async function runs on the caller's event loop, a plain one on a thread."""
        function, values = self._ready(arguments)
        return to_json(await arun(function, values, self._limit(seconds), self.name), self.max_result_bytes)

    def _limit(self, seconds: float | None) -> float | None:
        return min((limit for limit in (self.timeout, seconds) if limit is not None), default=None)

    def _ready(self, arguments: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
        values = self.bind(arguments)
        if self.function is None:
            raise ToolFailed(
                f"tool {self.name!r} has no function to run: only its schema was given (use Tool.from_schema(schema, function))"
            )
        return self.function, values

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the Python function behind the tool as it is: no validation, no limit, no conversion."""
        if self.function is None:
            raise ToolFailed(f"tool {self.name!r} has no function to run: only its schema was given")
        return self.function(*args, **kwargs)


@overload
def tool(function: Callable[..., Any] | Tool, /) -> Tool: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    permission: Permission = "read",
    max_result_bytes: int = MAX_RESULT_BYTES,
    idempotent: bool | None = None,
    sensitive: Sequence[str] | None = None,
    trusted: bool = False,
    policies: Mapping[str, Policy] | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(function: Callable[..., Any] | Tool | None = None, /, **options: Any) -> Tool | Callable[..., Tool]:
    """Makes a tool from a typed function; the docstring describes it and its parameters.

    Used bare (`@tool`) or with options (`@tool(timeout=5, permission="write")`).

    >>> from typing import Literal
    >>> @tool
    ... def get_weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> dict:
    ...     '''Current weather in a city.
    ...
    ...     Args:
    ...         city: Name of the city.
    ...     '''
    ...     return {"city": city, "temperature": 21, "unit": unit}
    >>> get_weather.call({"city": "Oslo"})
    {'city': 'Oslo', 'temperature': 21, 'unit': 'celsius'}

    Args:
        function: A function or bound method, plain or async, every parameter annotated.
        options: `name` and `description` instead of the function's own; `timeout`, `permission`, `max_result_bytes`,
            `idempotent`, `sensitive`, `trusted` and `policies` as in `Tool`.

    Raises:
        ToolDefinitionError: If the signature cannot be described in JSON Schema; it names the function and parameter.
    """
    frame = sys._getframe(1)
    # Types defined inside the calling function, for `from __future__ import annotations`.
    localns = {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)
    if unknown := options.keys() - _OPTIONS:
        raise TypeError(f"tool() got an unexpected keyword argument {min(unknown)!r}")
    if function is not None:
        return make_tool(function, options, localns)
    return lambda function: make_tool(function, options, localns)


def make_tool(function: Any, options: Mapping[str, Any] | None = None, localns: dict[str, Any] | None = None) -> Tool:
    """What `tool` does, with the options in a mapping and no look at the caller's frame.

    Raises:
        ToolDefinitionError: As `tool`.
    """
    options = options or {}
    options = {
        key: value for key, value in options.items() if key not in ("name", "description", "policies") or value is not None
    }
    if isinstance(function, Tool):
        return dataclasses.replace(function, **options) if options else function
    if not callable(function) or isinstance(function, type):
        raise ToolDefinitionError(f"@tool takes a function or a bound method, received {shown(function)}")
    name = options.pop("name", None) or getattr(function, "__name__", None)
    if not isinstance(name, str) or name == "<lambda>":
        raise ToolDefinitionError(f"@tool needs a name for {shown(function)}: tool(name=...)")
    found, parameters, decode = read_signature(function, name, localns)
    description = options.pop("description", found)
    return Tool(name, description, parameters, function, decode=decode, **options)


def _formats(schema: Any) -> list[str]:
    """The formats of a parameter, of its alternatives and of its items."""
    if not isinstance(schema, Mapping):
        return []
    inner = [schema.get("items"), *(item for name in ("anyOf", "oneOf", "allOf") for item in schema.get(name) or ())]
    return [str(schema.get("format")), *(name for item in inner for name in _formats(item))]


def shown(value: object) -> str:
    """A value as it appears in an error message."""
    return one_line(repr(value), 80)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
