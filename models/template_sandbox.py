"""Jinja in which foreign templates can do no harm: what they may reach is listed, and what they do is counted.

Jinja's own sandbox lists what is dangerous; here, the attributes, filters and globals that a template may use are listed, and
everything else is refused. Every loop, call, filter, test, operator and literal goes through a `Meter`: what Jinja compiles to
plain Python is led through filters of ours (`template_nodes.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from types import MethodType
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import loopcontrols
from jinja2.runtime import LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.utils import Cycler, Joiner, Namespace, pass_context
from markupsafe import Markup

from .chat_template import MARKS
from .errors import ChatTemplateError
from .template_growth import FILTERS, LONG_NUMBER, METHODS, WIDTH, check_format, joinable, whole
from .template_meter import BITS, Drained, Meter
from .template_nodes import ITERATED, JOINED, MADE, SEARCHED, SEEN, TICK, Generation, Instrument

_REFUSED = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block, nodes.ScopedEvalContextModifier)
_CALL = 4  # steps, for a call takes longer than other operations
_NODES = 25_000  # several times those of the longest published templates
_RANGE = 100_000  # as Jinja's sandbox has it

_TEXT = """capitalize casefold center count endswith expandtabs find format format_map index isalnum isalpha isascii isdecimal
isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip partition removeprefix
removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title upper zfill"""
_ATTRIBUTES: dict[type, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        str: _TEXT,
        list: "copy count index",
        tuple: "count index grouper list",  # the last two are fields of what the filter groupby gives
        dict: "copy get items keys values",
        LoopContext: "changed cycle depth depth0 first index index0 last length nextitem previtem revindex revindex0",
        Macro: "name arguments catch_kwargs catch_varargs caller",
        Cycler: "current next reset",
    }.items()
}
_FILTERS = """abs attr batch capitalize center count d default dictsort e escape first float format groupby indent int items
join last length list lower map max min reject rejectattr replace reverse round safe select selectattr slice sort string title
trim truncate unique upper wordcount"""
_SHALLOW = """attr batch count d default first items last length list map reject rejectattr reverse select selectattr slice"""
_NUMERIC_TESTS = frozenset(["odd", "even", "divisibleby"])


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja as `transformers` sets it up for chat templates, with limits.

    One rendering at a time: `meter` is that of the current one.
    """

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # or Jinja computes constants before anything is counted
            finalize=pass_context(lambda context, value: context.environment.meter.text(value)),
            extensions=[Generation, loopcontrols],
        )
        self.meter = Meter()
        self.intercepted_binops = frozenset(self.binop_table)
        self.filters = {name: self._filter(name, self.filters[name]) for name in _FILTERS.split()}
        self.filters |= {"sum": self._total, "tojson": self._json}
        self.filters |= {name: pass_context(function) for name, function in self._hidden().items()}
        self.tests = {name: self._test(name, test) for name, test in self.tests.items()}
        own = {
            "range": self._range,
            "dict": self._dictionary,
            "namespace": _Namespace,
            "cycler": Cycler,
            "joiner": Joiner,
            "raise_exception": self._refuse,
            "strftime_now": self._now,
        }
        self.globals.clear()
        self.globals.update(own)
        self._callable = frozenset(own.values())

    def load(self, source: str) -> Callable[[Mapping[str, Any]], str]:
        """What renders a template with variables, which are plain data.

        Raises:
            ChatTemplateError: it is no template, or asks for what is not offered.
        """
        try:
            tree = self.parse(source)
            for kind in _REFUSED:
                if (found := tree.find(kind)) is not None:
                    name = re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).lower()
                    raise ChatTemplateError(f"the chat template has {name!r} in line {found.lineno}, which is not offered")
            if sum(1 for _ in tree.find_all(nodes.Node)) > _NODES:
                raise ChatTemplateError(f"the chat template has more than {_NODES} statements and expressions")
            tree = Instrument().visit(tree)
            tree.set_environment(self)
            template = self.template_class.from_code(self, self.compile(tree), self.make_globals(None))
        except TemplateError as error:
            where = f" (line {error.lineno})" if getattr(error, "lineno", None) else ""
            raise ChatTemplateError(f"the chat template cannot be read: {_line(error)}{where}") from None
        except (ArithmeticError, MemoryError, RecursionError, SyntaxError, ValueError) as error:
            raise ChatTemplateError(f"the chat template cannot be read: {type(error).__name__}: {_line(error)}") from None
        return partial(self._render, template)

    def _render(self, template: Any, variables: Mapping[str, Any]) -> str:
        self.meter = Meter(list(variables.values()))
        try:
            return self.concat(template.root_render_func(template.new_context(dict(variables))))
        except ChatTemplateError:
            raise
        except RecursionError:
            raise ChatTemplateError("the chat template, or what it is given, is nested too deeply") from None
        except MemoryError:
            raise ChatTemplateError("the chat template takes more memory than there is") from None
        except SecurityError as error:
            raise ChatTemplateError(f"the chat template reaches for what is not offered: {_line(error)}") from None
        except Exception as error:  # whatever a template can provoke in Python's own types
            raise ChatTemplateError(f"the chat template cannot render these messages: {_line(error)}") from None
        finally:
            self.meter = Meter()

    # -- what a template can reach -------------------------------------------------------------------------------------

    def getattr(self, obj: Any, attribute: str) -> Any:
        self.meter.spend()
        if isinstance(obj, Undefined):
            if attribute.startswith("_"):
                raise SecurityError(f"attribute {attribute[:80]!r}")
            return getattr(obj, attribute)  # says what is undefined
        if isinstance(obj, dict) and attribute.startswith("__") and attribute in obj:
            return obj[attribute]
        if (found := self._attribute(obj, attribute)) is not None:
            return found[0]
        try:
            return obj[attribute]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        self.meter.look(argument)
        try:
            return obj[argument]
        except (TypeError, LookupError):
            if isinstance(argument, str) and (found := self._attribute(obj, str(argument))) is not None:
                return found[0]
        return self.undefined(obj=obj, name=argument)

    def _attribute(self, obj: Any, name: str) -> tuple[Any] | None:
        """An attribute, in a tuple; None where there is none; SecurityError where it is not offered."""
        if isinstance(obj, Namespace):
            _check_name(name)
            try:
                return (getattr(obj, name),)
            except AttributeError:
                return None
        if not name.startswith("__") and not hasattr(type(obj), name) and not hasattr(obj, name):
            return None
        kind = next((kind for kind in _ATTRIBUTES if isinstance(obj, kind)), None)
        if kind is None or name not in _ATTRIBUTES[kind]:
            raise SecurityError(f"attribute {name[:80]!r} of a value of type {type(obj).__name__!r}")
        is_method = callable(getattr(type(obj), name, None))
        return (_Method(self, obj, name) if is_method else getattr(obj, name),)

    def is_safe_callable(self, obj: Any) -> bool:
        if isinstance(obj, _Method | Macro | LoopContext | Joiner | Undefined):
            return True
        if isinstance(obj, MethodType) and isinstance(obj.__self__, Generation):
            return True
        return isinstance(obj, MethodType | type) and obj in self._callable

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        meter = __self.meter
        meter.spend(_CALL + len(args) + len(kwargs))
        if not __self.is_safe_callable(__obj):
            raise SecurityError(f"a call of a value of type {type(__obj).__name__!r}")
        if isinstance(__obj, LoopContext):
            for value in args:
                meter.walk(value)
        elif not isinstance(__obj, Macro):
            for value in (*args, *(value for name, value in kwargs.items() if not name.startswith("_"))):
                meter.look(value)
        meter.enter()
        try:
            return meter.made(__context.call(__obj, *args, **kwargs))
        finally:
            meter.leave()

    def _filter(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter of Jinja's that is paid for."""
        passed = getattr(function, "jinja_pass_arg", None)
        check, shallow = FILTERS.get(name), name in _SHALLOW.split()

        def paid(*args: Any, **kwargs: Any) -> Any:
            first = 0 if passed is None else 1
            value, rest = args[first], args[first + 1 :]
            self.meter.spend(_CALL)
            (self.meter.walk if shallow else self.meter.look)(value)
            for other in (*rest, *kwargs.values()):
                self.meter.look(other)
            if check is not None:
                check(self.meter, value, *rest, **kwargs)
            return self._drained(self.meter.made(function(*args, **kwargs)))

        if passed is not None:
            paid.jinja_pass_arg = passed  # type: ignore[attr-defined]
        return paid

    def _drained(self, value: Any) -> Any:
        """Lazy filters are carried out at once, for chains of them would be as deep as they are long."""
        if not isinstance(value, Iterator) or isinstance(value, Drained | LoopContext):
            return value
        items, error = [], None
        try:
            for item in value:
                self.meter.spend()
                items.append(item)
        except ChatTemplateError:
            raise
        except Exception as failure:  # belongs to the item, which nobody may ask for
            error = failure
        self.meter.made(items)
        return Drained(items, error, self.meter.weigh(items))

    def _test(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        passed = getattr(function, "jinja_pass_arg", None)

        def paid(*args: Any, **kwargs: Any) -> Any:
            self.meter.spend()
            for value in (*(args if passed is None else args[1:]), *kwargs.values()):
                self.meter.look(value)
            if name in _NUMERIC_TESTS and isinstance(args[0], str):
                raise TypeError(f"the test {name!r} is for numbers")
            return function(*args, **kwargs)

        if passed is not None:
            paid.jinja_pass_arg = passed  # type: ignore[attr-defined]
        return paid

    # -- operators -----------------------------------------------------------------------------------------------------

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        for value in (left, right):
            self.meter.walk(value)
            self.meter.weigh(value)
        if operator == "*":
            self._check_repeated(left, right)
            self._check_repeated(right, left)
        elif operator == "**" and isinstance(left, int) and isinstance(right, int) and abs(left) > 1:
            if left.bit_length() * right > 2 * BITS:
                raise ChatTemplateError(f"the chat template makes a number of more than {BITS} bits")
        elif operator == "%" and isinstance(left, str):
            check_format(self.meter, left, right)
        return self.meter.made(super().call_binop(context, operator, left, right))

    def _check_repeated(self, value: Any, times: Any) -> None:
        if isinstance(times, int) and times > 0 and isinstance(value, str | list | tuple):
            if isinstance(value, str):
                self.meter.write(len(value) * times)
            else:
                self.meter.spend(len(value) * times)

    def concat(self, parts: Iterable[str]) -> str:  # type: ignore[override]
        kept = []
        for part in parts:
            self.meter.write(len(part))
            kept.append(part)
        return "".join(kept)

    def _hidden(self) -> dict[str, Callable[..., Any]]:
        """Filters that the compiled template goes through, by names that it cannot spell."""

        def iterated(context: Any, value: Any) -> Any:
            self.meter.walk(value)
            return value

        def tick(context: Any, value: Any) -> None:
            self.meter.spend()

        def seen(context: Any, value: Any) -> Any:
            if not isinstance(value, str):
                self.meter.look(value)
            return value

        def searched(context: Any, value: Any) -> Any:
            if not isinstance(value, dict):
                self.meter.look(value)
            return value

        def made(context: Any, value: Any) -> Any:
            return self.meter.made(value)

        def joined(context: Any, values: tuple[Any, ...]) -> str:
            return self.concat([self.meter.text(value) for value in values])

        return dict(zip((ITERATED, TICK, SEEN, SEARCHED, MADE, JOINED), (iterated, tick, seen, searched, made, joined)))

    # -- filters and globals of our own --------------------------------------------------------------------------------

    def _total(self, iterable: Iterable[Any], attribute: str | int | None = None, start: Any = 0) -> Any:
        """`sum`, by additions that are paid for."""
        self.meter.walk(iterable)
        parts = [] if attribute is None else [int(p) if p.isdigit() else p for p in str(attribute).split(".")]
        for item in iterable:
            for part in parts:
                item = self.getitem(item, part)
            start = self.call_binop(None, "+", start, item)
        return start

    def _json(
        self, x: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
    ) -> str:
        """`tojson`, as `transformers` has it; `MARKS` stay what they are where the rest becomes ASCII."""
        self.meter.look(x)
        if (len(indent) if isinstance(indent, str) else whole(indent)) > WIDTH:
            raise ChatTemplateError(f"the chat template indents JSON by more than {WIDTH} characters")
        encoder = json.JSONEncoder(ensure_ascii=False, indent=indent, separators=separators, sort_keys=sort_keys)
        text = self.concat(encoder.iterencode(x))
        return self.meter.made(_ESCAPED.sub(_escape, text)) if ensure_ascii else text

    def _range(self, *args: int) -> range:
        found = range(*args)
        if len(found) > _RANGE:
            raise ChatTemplateError(f"the chat template counts to {len(found)}; {_RANGE} are allowed")
        return found

    def _dictionary(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def _refuse(self, message: Any) -> None:
        raise ChatTemplateError(f"the chat template refuses these messages: {_line(self.meter.text(message))}")

    def _now(self, format: str) -> str:
        if not isinstance(format, str) or len(format) > 200 or LONG_NUMBER.search(format):
            raise ChatTemplateError("the chat template asks for the time in a format of more than 200 characters")
        return datetime.now().strftime(format)


_ESCAPED = re.compile(f"[^\\x00-\\x7f{MARKS}]")


def _escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]


class _Namespace(Namespace):
    """Jinja's namespace without the names of Python's internals, and printed without what is in it."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, args = args[0], args[1:]
        values = dict(*args, **kwargs)
        for name in values:
            _check_name(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)

    def __repr__(self) -> str:
        return "<Namespace>"


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"attribute {name[:80]!r} of a namespace")


class _Method:
    """A method of a plain value, called under the limits."""

    def __init__(self, environment: Sandbox, obj: Any, name: str):
        self._environment, self._object, self._name = environment, obj, name

    def __repr__(self) -> str:
        return f"<method {self._name!r}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        meter, obj, name = self._environment.meter, self._object, self._name
        if isinstance(obj, LoopContext | Cycler):
            meter.look(args)
        elif not isinstance(obj, dict):
            meter.look(obj)
        if isinstance(obj, str):
            if name in ("format", "format_map"):
                return self._formatted(obj, name == "format_map", args, kwargs)
            if name == "join" and args and isinstance(args[0], Iterable):
                args = (joinable(meter, obj, args[0]),)
            elif (check := METHODS.get(name)) is not None:
                check(meter, obj, *args, **kwargs)
        return getattr(obj, name)(*args, **kwargs)

    def _formatted(self, text: str, is_map: bool, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        if isinstance(text, Markup):
            raise SecurityError("attribute 'format' of escaped text")
        return _Formatter(self._environment).vformat(text, () if is_map else args, args[0] if is_map else kwargs)


class _Formatter(SandboxedFormatter):
    """`str.format`, of which every field is looked up by the sandbox and paid for."""

    _env: Sandbox

    def format_field(self, value: Any, format_spec: str) -> str:
        if LONG_NUMBER.search(format_spec):
            raise ChatTemplateError(f"the chat template formats to a width of {WIDTH} characters or more")
        self._env.meter.look(value)
        found = format(value, format_spec)
        self._env.meter.write(len(found))
        return found

    def convert_field(self, value: Any, conversion: Any) -> Any:
        self._env.meter.look(value)
        return super().convert_field(value, conversion)


def _line(text: Any) -> str:
    """At most 300 characters on one line."""
    text = " ".join(str(text)[:1000].split())
    return text if len(text) <= 300 else text[:299] + "…"
